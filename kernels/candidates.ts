// The ways of computing that come into question on an adapter, by its kind and its limits.

import {
  type AttentionVariant,
  type ChoosingAdapter,
  type DirectVariant,
  type KernelChoices,
  type LossVariant,
  type MatmulVariant,
  type SlicedVariant,
  type TiledVariant,
  workgroupBytes,
} from "../src/gpu/choices.ts";

/** Ways of computing, of each kind the one that suits most such adapters first. */
export interface Candidates {
  /** For products of which both sides are long. */
  square: MatmulVariant[];
  /** For all others; none of them reads textures. */
  thin: MatmulVariant[];
  /** For small results; none where they are like any other. */
  small: MatmulVariant[];
  /** For few rows or columns; none where they are like any other. */
  few: SlicedVariant[];
  attention: AttentionVariant[];
  loss: LossVariant[];
}

/** What candidates depend on, such as a `Gpu`. */
export interface ChoosingGpu {
  adapter: ChoosingAdapter;
  readsTextures: boolean;
}

type Sizes = [number, number];

const direct = (
  memory: DirectVariant["memory"],
  [rowBlocks, columnBlocks]: Sizes,
  lines: number,
): DirectVariant => ({ memory, rowBlocks, columnBlocks, lines });

const fused = (blocks: Sizes): DirectVariant => ({ ...direct("buffer", blocks, 8), fused: true });

const tiled = (
  [rowBlocks, columnBlocks]: Sizes,
  [across, down]: Sizes,
  depthStep: number,
): TiledVariant => ({ memory: "workgroup", rowBlocks, columnBlocks, across, down, depthStep });

const sliced = (rows: number, columnBlocks: number, lanes: number): SlicedVariant => ({
  memory: "buffer",
  ...{ rows, columnBlocks, lanes },
});

const megabyte = 2 ** 20;

// Sums beyond a CPU's registers live on the stack: fewer loads, slower sums.
const onCpu: Candidates = {
  square: [
    ...[direct("texture", [4, 3], 2), direct("texture", [4, 4], 2), direct("texture", [3, 2], 2)],
    ...[direct("texture", [2, 2], 2), direct("buffer", [3, 2], 8)],
  ],
  thin: [direct("buffer", [3, 2], 8), direct("buffer", [2, 2], 8)],
  small: [],
  few: [],
  attention: [
    ...[4, 2, 8].map((owned) => ({ memory: "texture", owned }) as const),
    { memory: "buffer", owned: 4 },
  ],
  loss: [{ chunkBytes: 16 * megabyte }, { chunkBytes: 4 * megabyte }],
};

// At most 64 sums an invocation, so that no GPU has to spill.
const onGpu: Candidates = {
  square: [
    ...[tiled([2, 2], [8, 8], 16), tiled([2, 2], [16, 16], 16), tiled([2, 2], [16, 8], 16)],
    fused([1, 2]),
  ],
  thin: [tiled([1, 1], [32, 2], 16), tiled([1, 2], [32, 2], 8), fused([1, 1])],
  small: [tiled([1, 1], [8, 8], 32), tiled([1, 1], [8, 8], 16), tiled([2, 2], [8, 8], 16)],
  few: [sliced(8, 1, 32), sliced(8, 1, 64), sliced(4, 1, 64)],
  attention: [{ memory: "workgroup", walked: 32 }, { memory: "workgroup", walked: 64 }],
  loss: [{ chunkBytes: 16 * megabyte }, { chunkBytes: 64 * megabyte }],
};

const widerTilesBytes = 16_896; // of attention that walks 64 rows at a time

/** The candidates of an adapter. */
export function candidates({ adapter, readsTextures }: ChoosingGpu): Candidates {
  const { square, thin, small, few, attention, loss } = adapter.software ? onCpu : onGpu;
  const memory = adapter.limits.maxComputeWorkgroupStorageSize!;
  const possible = (variant: MatmulVariant) =>
    variant.memory === "texture" ? readsTextures : workgroupBytes(variant) <= memory;
  return {
    square: square.filter(possible),
    thin: thin.filter(possible),
    small: small.filter(possible),
    few: few.filter(possible),
    attention: attention.filter((variant) =>
      variant.memory === "workgroup"
        ? variant.walked === 32 || widerTilesBytes <= memory
        : variant.memory === "buffer" || readsTextures
    ),
    loss,
  };
}

/** Whether choices consist of candidates: those that an earlier version of this program kept may not. */
export function areCandidates(gpu: ChoosingGpu, choices: Partial<KernelChoices>): boolean {
  const { matmul, attention, loss } = choices;
  const known = candidates(gpu);
  const among = <Variant>(variants: readonly Variant[], variant: Variant | undefined) =>
    variants.some((one) => JSON.stringify(one) === JSON.stringify(variant));
  const amongAny = <Variant>(variants: readonly Variant[], variant: Variant | undefined) =>
    variants.length === 0 ? variant === undefined : among(variants, variant);
  return among(known.square, matmul?.large) && among(known.square, matmul?.square) &&
    among(known.thin, matmul?.thin) && amongAny(known.small, matmul?.small) &&
    amongAny(known.few, matmul?.few) && among(known.attention, attention) &&
    among(known.loss, loss);
}
