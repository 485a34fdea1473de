// How an adapter computes what can be computed in several ways: matrix products, attention, the loss. The ways differ by
// float rounding at most, and an adapter keeps to its own, so that the same seed gives the same bytes. They are plain
// values: committed here for drivers that were measured, measured once on others (`kernels/tuning.ts`), and stored with
// every result as part of the adapter's description.

import committed from "./choices.json" with { type: "json" };

/** What an adapter uses in programs that are recorded from now on. */
export interface KernelChoices {
  /** Committed for this driver, measured on this adapter, what suits its kind, or set by a program. */
  origin: "committed" | "measured" | "assumed" | "set";
  /** Of matrix products. */
  matmul: MatmulChoices;
  /** Of attention, forward and backward. */
  attention: AttentionVariant;
  /** Of the selective loss. */
  loss: LossVariant;
}

/** Variants of the matrix product by the size of its result. */
export interface MatmulChoices {
  /** Both sides are at least 1024. */
  large: MatmulVariant;
  /** Both sides are at least 16. */
  square: MatmulVariant;
  /** All others, and operands that textures cannot hold; never `texture`. */
  thin: MatmulVariant;
  /** So small that few tiles would leave most of a GPU idle; left out where they are like any other. */
  small?: MatmulVariant;
  /** Few rows or columns, of operands that are both stored along the depth; left out where they are like any other. */
  few?: SlicedVariant;
}

/** A way to compute matrix products. */
export type MatmulVariant = DirectVariant | TiledVariant | SlicedVariant;

/** Every invocation reads what it needs of both operands, eight of them side by side. */
export interface DirectVariant {
  /** Where operands are read from. */
  memory: "buffer" | "texture";
  /** What a texture holds of an operand at one time, in bytes, which bounds the memory that textures cost. */
  panelBytes?: number;
  /** Blocks of 4 × 4 that an invocation owns along rows. */
  rowBlocks: number;
  /** Blocks of 4 × 4 that an invocation owns along columns. */
  columnBlocks: number;
  /** Invocations of a workgroup across the eight that lie side by side. */
  lines: number;
  /** Whether sums are chains of `fma`, which a GPU needs to be told; a CPU rounds twice either way. */
  fused?: boolean;
}

/** A workgroup copies both operands into its memory, step by step along the depth; sums are chains of `fma`. */
export interface TiledVariant {
  /** Where operands are read from. */
  memory: "workgroup";
  /** Blocks of 4 × 4 that an invocation owns along rows. */
  rowBlocks: number;
  /** Blocks of 4 × 4 that an invocation owns along columns. */
  columnBlocks: number;
  /** Invocations of a workgroup along columns. */
  across: number;
  /** Invocations of a workgroup along rows. */
  down: number;
  /** Depth of a step, a multiple of 4. */
  depthStep: number;
}

/** A workgroup's invocations share the depth of a few sums, so that neighbours read what lies side by side. */
export interface SlicedVariant {
  /** Where operands are read from. */
  memory: "buffer";
  /** Rows of a workgroup at most: a power of two. */
  rows: number;
  /** Blocks of 4 columns of a workgroup: a power of two. */
  columnBlocks: number;
  /** Invocations of a workgroup: a power of two, and no fewer than `rows` × `columnBlocks`. */
  lanes: number;
}

/** A way to compute attention. */
export type AttentionVariant = AttentionRows | AttentionTiles;

/** An invocation owns whole queries (or keys) in registers and walks keys (queries) one by one. */
export interface AttentionRows {
  /** Where the walked rows are read from. */
  memory: "buffer" | "texture";
  /** Queries or keys of an invocation: 1, 2, 4 or 8. */
  owned: number;
}

/** A workgroup owns 32 queries (or keys), whose rows its invocations share, and walks tiles of keys (queries). */
export interface AttentionTiles {
  /** Where the walked rows are read from. */
  memory: "workgroup";
  /** Rows of a tile: 32 or 64. */
  walked: number;
}

/** A way to compute the selective loss. */
export interface LossVariant {
  /** Logits that exist at one time, in bytes. */
  chunkBytes: number;
}

/** What a choice depends on. */
export interface ChoosingAdapter {
  /** The driver's description. */
  name: string;
  /** Whether it computes on the CPU. */
  software: boolean;
  /** Of WebGPU, by name. */
  limits: Record<string, number>;
}

const megabyte = 2 ** 20;

// On a CPU, arithmetic is cheap, a load dear, and a barrier dearer: large tiles, one row an invocation, no sharing.
const software: Omit<KernelChoices, "origin"> = {
  matmul: {
    large: { memory: "texture", rowBlocks: 3, columnBlocks: 2, lines: 2 },
    square: { memory: "texture", rowBlocks: 3, columnBlocks: 2, lines: 2 },
    thin: { memory: "buffer", rowBlocks: 3, columnBlocks: 2, lines: 8 },
  },
  attention: { memory: "texture", owned: 4 },
  loss: { chunkBytes: 16 * megabyte },
};

// On a GPU, memory is far and registers are few: tiles in workgroup memory, loads that neighbours share, 64 sums each.
const hardware: Omit<KernelChoices, "origin"> = {
  matmul: {
    large: tiles({ rowBlocks: 2, columnBlocks: 2, across: 16, down: 16, depthStep: 16 }),
    square: tiles({ rowBlocks: 2, columnBlocks: 2, across: 8, down: 8, depthStep: 16 }),
    thin: tiles({ rowBlocks: 1, columnBlocks: 1, across: 32, down: 2, depthStep: 16 }),
    small: tiles({ rowBlocks: 1, columnBlocks: 1, across: 8, down: 8, depthStep: 32 }),
    few: { memory: "buffer", rows: 8, columnBlocks: 1, lanes: 32 },
  },
  attention: { memory: "workgroup", walked: 32 },
  loss: { chunkBytes: 16 * megabyte },
};

function tiles(sizes: Omit<TiledVariant, "memory">): TiledVariant {
  return { memory: "workgroup", ...sizes };
}

/** The choices of an adapter that nobody has measured here: as committed for its driver, else what suits its kind. */
export function knownChoices(adapter: ChoosingAdapter): KernelChoices {
  return committedChoices(adapter) ?? assumedChoices(adapter);
}

/** What was measured for a driver and is part of this program. WebGPU names a software driver by its LLVM version. */
export function committedChoices({ name }: ChoosingAdapter): KernelChoices | undefined {
  const entry = committed.find(({ adapter }) => adapter === name);
  return entry && { origin: "committed", ...entry.choices as Omit<KernelChoices, "origin"> };
}

/** What suits the kind of an adapter, within its workgroup memory. */
export function assumedChoices(adapter: ChoosingAdapter): KernelChoices {
  if (adapter.software) return { origin: "assumed", ...software };
  const { large, square } = hardware.matmul;
  const fits = workgroupBytes(large) <= adapter.limits.maxComputeWorkgroupStorageSize!;
  return {
    origin: "assumed",
    ...hardware,
    matmul: { ...hardware.matmul, large: fits ? large : square },
  };
}

/** Workgroup memory that a variant of the matrix product takes. */
export function workgroupBytes(variant: MatmulVariant): number {
  if ("lanes" in variant) return 16 * variant.lanes * variant.rows * variant.columnBlocks;
  if (variant.memory !== "workgroup") return 0;
  const { rowBlocks, columnBlocks, across, down, depthStep } = variant;
  const vectors = rowBlocks * down + 1 + columnBlocks * across + 1; // for each k, one of padding each
  return 16 * depthStep * vectors;
}

/** Choices in words, by what they are for. */
export function describeChoices(
  { origin, matmul, attention, loss }: KernelChoices,
): { what: string; how: string }[] {
  const { large, square, thin, small, few } = matmul;
  const source = {
    committed: "known driver",
    measured: "measured on this machine",
    assumed: "not measured: what suits its kind",
    set: "set by the program",
  }[origin];
  const products = {
    "": square,
    ", large": large,
    ", thin": thin,
    ", small": small,
    ", few rows": few,
  };
  return [
    ...Object.entries(products).flatMap(([size, variant]) =>
      variant ? { what: `Matrix products${size}`, how: describeMatmul(variant) } : []
    ),
    { what: "Attention", how: describeAttention(attention) },
    { what: "Loss", how: `${loss.chunkBytes / megabyte} MiB of logits at a time` },
    { what: "These kernels", how: source },
  ];
}

/** A way to compute products in words: the sums of an invocation, and where it reads. */
export function describeMatmul(variant: MatmulVariant): string {
  if ("lanes" in variant) {
    const { rows, columnBlocks, lanes } = variant;
    return `${rows} × ${4 * columnBlocks} sums that ${lanes} invocations share`;
  }
  const { memory, rowBlocks, columnBlocks } = variant;
  const sums = `${4 * rowBlocks} × ${4 * columnBlocks} sums from ${memory}`;
  if (memory !== "workgroup") return sums;
  const { across, down, depthStep } = variant;
  return `${sums}, ${4 * rowBlocks * down} × ${4 * columnBlocks * across} × ${depthStep}`;
}

/** A way to compute attention in words. */
export function describeAttention(variant: AttentionVariant): string {
  return variant.memory === "workgroup"
    ? `tiles of 32 × ${variant.walked} from workgroup`
    : `${variant.owned} rows an invocation from ${variant.memory}`;
}
