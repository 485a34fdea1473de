// Matrix products in the three layouts that training needs, each with the transposition folded into the loads:
//   forward   y[N, M]  = x[N, K]  · W[M, K]ᵀ     b is stored transposed
//   inputs    dx[N, K] = dy[N, M] · W[M, K]      nothing transposed
//   weights   dW[M, K] = dy[N, M]ᵀ · x[N, K]     a is stored transposed
// Operands and result may be stored in f32 or f16, each for itself; sums are f32.
// How a product is computed is chosen per adapter (`src/gpu/choices.ts`): every invocation on its own, from buffers or from
// textures, which a CPU reads faster, or workgroups together, from their memory, as a GPU wants it.

import type {
  DirectVariant,
  MatmulChoices,
  MatmulVariant,
  SlicedVariant,
  TiledVariant,
} from "../src/gpu/choices.ts";
import {
  type AllowedOptions,
  callback,
  checkOptions,
  flag,
  object,
  required,
  wholeNumber,
} from "../src/base/options.ts";
import { kernel } from "../src/gpu/kernel.ts";
import { type Program, type TextureRange, textureWidth } from "../src/gpu/program.ts";
import { bytesPerElement, type ElementType, type Tensor } from "../src/gpu/tensor.ts";
import { fitsTexture, withTexels } from "./textures.ts";
import operands from "./matmul_operands.wgsl" with { type: "text" };
import direct from "./matmul.wgsl" with { type: "text" };
import sliced from "./matmul_sliced.wgsl" with { type: "text" };
import tiled from "./matmul_tiled.wgsl" with { type: "text" };

/** One product `out[rows, columns] (+)= A[rows, depth] · B[depth, columns]`. */
export interface MatmulRequest {
  /** A, [rows, depth]. */
  a: Tensor;
  /** B, [depth, columns]. */
  b: Tensor;
  /** [rows, columns]. */
  out: Tensor;
  /** Of A and `out`. */
  rows: number;
  /** Of B and `out`. */
  columns: number;
  /** Terms of each sum. */
  depth: number;
  /** `a` is stored as [depth, rows]. */
  transposeA?: boolean;
  /** `b` is stored as [columns, depth]. */
  transposeB?: boolean;
  /** Add to `out` instead of overwriting it. */
  accumulate?: boolean;
  /** [rows, columns] of `out`'s type, added to the product on its way out, such as a residual stream. */
  addend?: Tensor;
  /** Asked at every replay: whether the product is to be computed at all. */
  active?: () => boolean;
  /** Overrides the adapter's choice, for tests and benchmarks. */
  variant?: MatmulVariant;
}

const size = required(wholeNumber({ min: 1 }));
const allowed: AllowedOptions<MatmulRequest> = {
  ...{ a: required(object), b: required(object), out: required(object), addend: object },
  ...{ rows: size, columns: size, depth: size },
  ...{ transposeA: flag, transposeB: flag, accumulate: flag },
  ...{ active: callback, variant: object },
};

/** Records a matrix product. @throws {RangeError} when a tensor's size does not fit the dimensions. */
export function matmul(program: Program, request: MatmulRequest): void {
  checkOptions("record a matrix product", request, allowed);
  const { a, b, out, addend, rows, columns, depth, active } = request;
  const { transposeA = false, transposeB = false, accumulate = false } = request;
  expectLength(a, rows * depth);
  expectLength(b, depth * columns);
  expectLength(out, rows * columns);
  if (addend) expectLength(addend, rows * columns);
  const operandA: Operand = transposeA
    ? { lines: depth, width: rows, type: a.type }
    : { lines: rows, width: depth, type: a.type };
  const operandB: Operand = transposeB
    ? { lines: columns, width: depth, type: b.type }
    : { lines: depth, width: columns, type: b.type };
  // Panels along the depth leave partial sums in `out`, which f16 would round.
  const wholeA = transposeA && out.type === "f16";
  const wholeB = !transposeB && out.type === "f16";
  const texturesFit = operandA.width % 4 === 0 && operandB.width % 4 === 0 &&
    (!wholeA || fitsTexture(program.gpu, a.length)) &&
    (!wholeB || fitsTexture(program.gpu, b.length));
  const variant = request.variant ??
    variantFor(program.gpu.adapter.kernels.matmul, {
      ...{ rows, columns, texturesFit },
      alongDepth: !transposeA && transposeB,
    });
  const textures = variant.memory === "texture";
  const form = formOf(request, variant);
  const parts = partsOf(request, {
    panelsA: textures && !wholeA ? panels(operandA, variant) : [whole(operandA.lines)],
    panelsB: textures && !wholeB ? panels(operandB, variant) : [whole(operandB.lines)],
  });
  for (const part of parts) {
    const first = part.depth.first === 0;
    const texturesOf = textures && {
      a: program.texture(a, elementsOf(part.panelA, operandA), active),
      b: program.texture(b, elementsOf(part.panelB, operandB), active),
    };
    const down = Math.ceil(part.rows.count / form.tileRows);
    const across = Math.ceil(part.columns.count / form.tileColumns);
    const groups = form.alongRows ? [down, across] as const : [across, down] as const;
    const matmul_operands = withTexels(withTexels(operands, a.type, "A_TEXEL"), b.type, "B_TEXEL");
    program.dispatch({
      kernel: kernel("matmul", { matmul_operands, ...form.source }, "multiply", {
        A_TEXTURE: textures,
        B_TEXTURE: textures,
        A_VECTORS: operandA.width % 4 === 0,
        B_VECTORS: operandB.width % 4 === 0,
        OUT_VECTORS: columns % 4 === 0,
        RAGGED_DEPTH: depth % form.depthStep !== 0,
        ACCUMULATE: accumulate || !first,
        ADDEND: addend !== undefined && first,
        TEXTURE_WIDTH: textureWidth,
        ...form.constants,
      }, { A: a.type, B: b.type, Out: out.type }),
      tensors: {
        ...(!textures && { a, b }),
        out,
        ...(addend && first && { addend }),
      },
      ...(texturesOf && { textures: texturesOf }),
      dims: [
        ...[rows, columns, depth],
        ...[part.rows, part.columns, part.depth].flatMap(({ first, end }) => [first, end]),
        ...[part.panelA.first, part.panelB.first],
      ],
      workgroups: active ? () => active() ? groups : [0] : groups,
      multiplyAdds: part.rows.count * part.columns.count * part.depth.count,
    });
  }
}

// Below this many rows or columns copying an operand into a texture costs more than it saves, and tiles stay empty.
const shortSide = 16;
const longSide = 1024;

// Results of fewer elements are few tiles for a GPU of a hundred processors, and so are those of so few rows or columns.
const smallResult = 2 ** 18;
const fewLines = 64;

/** The variant for a product of a size, of which textures may be able to hold both operands or not. */
function variantFor(
  { large, square, thin, small = square, few }: MatmulChoices,
  { rows, columns, texturesFit, alongDepth }: {
    rows: number;
    columns: number;
    texturesFit: boolean;
    alongDepth: boolean;
  },
): MatmulVariant {
  const short = Math.min(rows, columns);
  if (few && alongDepth && short <= fewLines) return few;
  const middle = rows * columns < smallResult ? small : square;
  const variant = short >= longSide ? large : short >= shortSide ? middle : thin;
  return variant.memory === "texture" && !texturesFit ? thin : variant;
}

/** A variant as a kernel. */
interface Form {
  /** WGSL by file. */
  source: Record<string, string>;
  constants: Record<string, number | boolean>;
  /** Of `out`, for one workgroup. */
  tileRows: number;
  tileColumns: number;
  /** Whether workgroups along x follow each other along rows. */
  alongRows: boolean;
  /** A depth that is no multiple of it has to be cut. */
  depthStep: number;
}

function formOf(request: MatmulRequest, variant: MatmulVariant): Form {
  if ("lanes" in variant) return slicedForm(request, variant);
  return variant.memory === "workgroup"
    ? tiledForm(request, variant)
    : directForm(request, variant);
}

function layoutOf({ transposeA = false, transposeB = false }: MatmulRequest) {
  return { A_TRANSPOSED: transposeA, B_TRANSPOSED: transposeB };
}

function directForm(request: MatmulRequest, variant: DirectVariant): Form {
  const { rowBlocks, columnBlocks, lines, fused = false } = variant;
  const alongRows = prefersRows(request, variant);
  return {
    source: { matmul: direct },
    constants: {
      ...layoutOf(request),
      ROW_BLOCKS: rowBlocks,
      COLUMN_BLOCKS: columnBlocks,
      ALONG_ROWS: alongRows,
      LINES: lines,
      FUSED: fused,
    },
    tileRows: 4 * rowBlocks * (alongRows ? 8 : lines),
    tileColumns: 4 * columnBlocks * (alongRows ? lines : 8),
    alongRows,
    depthStep: 4,
  };
}

function tiledForm(
  request: MatmulRequest,
  { rowBlocks, columnBlocks, across, down, depthStep }: TiledVariant,
): Form {
  return {
    source: { matmul_tiled: tiled },
    constants: {
      ...layoutOf(request),
      ROW_BLOCKS: rowBlocks,
      COLUMN_BLOCKS: columnBlocks,
      ACROSS: across,
      DOWN: down,
      DEPTH_STEP: depthStep,
      PADDING: 1,
      FOUR: 4,
    },
    tileRows: 4 * rowBlocks * down,
    tileColumns: 4 * columnBlocks * across,
    alongRows: false,
    depthStep,
  };
}

function slicedForm(
  { rows, transposeA = false, transposeB = false }: MatmulRequest,
  { rows: mostRows, columnBlocks, lanes }: SlicedVariant,
): Form {
  if (transposeA || !transposeB) {
    throw new RangeError("Cannot slice a product along a depth along which no operand is stored");
  }
  const tileRows = Math.min(mostRows, 2 ** Math.ceil(Math.log2(rows)));
  return {
    source: { matmul_sliced: sliced },
    constants: { ROWS: tileRows, COLUMN_BLOCKS: columnBlocks, LANES: lanes },
    tileRows,
    tileColumns: 4 * columnBlocks,
    alongRows: false,
    depthStep: 4,
  };
}

/** What one dispatch multiplies: one panel of each operand, as far as they meet along the depth. */
interface Part {
  panelA: Range;
  panelB: Range;
  rows: Range;
  columns: Range;
  depth: Range;
}

function partsOf(
  { rows, columns, depth, transposeA, transposeB }: MatmulRequest,
  { panelsA, panelsB }: { panelsA: Range[]; panelsB: Range[] },
): Part[] {
  return panelsA.flatMap((panelA) =>
    panelsB.map((panelB) => ({
      panelA,
      panelB,
      rows: transposeA ? whole(rows) : panelA,
      columns: transposeB ? panelB : whole(columns),
      depth: intersection(
        transposeA ? panelA : whole(depth),
        transposeB ? whole(depth) : panelB,
      ),
    }))
  ).filter((part) => part.depth.count > 0);
}

/** How an operand lies in memory. */
interface Operand {
  lines: number;
  /** Elements of a line. */
  width: number;
  type: ElementType;
}

interface Range {
  first: number;
  end: number;
  count: number;
}

const range = (first: number, end: number): Range => ({ first, end, count: end - first });
const whole = (count: number): Range => range(0, count);
const intersection = (a: Range, b: Range): Range =>
  range(Math.max(a.first, b.first), Math.min(a.end, b.end));

const defaultPanelBytes = 16 * 2 ** 20;

// An operand's lines in equal parts of at most `panelBytes`, all but the last a multiple of 16, the height of a tile.
function panels(
  { lines, width, type }: Operand,
  { panelBytes = defaultPanelBytes }: { panelBytes?: number },
): Range[] {
  const lineBytes = bytesPerElement(type) * width;
  const most = Math.max(16, Math.floor(panelBytes / lineBytes / 16) * 16);
  const parts = Math.ceil(lines / most);
  const each = Math.ceil(lines / parts / 16) * 16;
  return Array.from(
    { length: Math.ceil(lines / each) },
    (_, i) => range(i * each, Math.min(lines, (i + 1) * each)),
  );
}

const elementsOf = ({ first, count }: Range, { width }: Operand): TextureRange => ({
  first: first * width,
  count: count * width,
});

// Eight invocations lie side by side: along whichever side wastes less of the last tile.
function prefersRows(
  { rows, columns }: MatmulRequest,
  { rowBlocks, columnBlocks }: DirectVariant,
): boolean {
  const padded = (count: number, tile: number) => Math.ceil(count / tile) * tile;
  const rowUnit = 4 * rowBlocks;
  const columnUnit = 4 * columnBlocks;
  return padded(rows, 8 * rowUnit) * padded(columns, columnUnit) <
    padded(rows, rowUnit) * padded(columns, 8 * columnUnit);
}

function expectLength(tensor: Tensor, length: number): void {
  if (tensor.length < length) {
    throw new RangeError(
      `Cannot multiply: "${tensor.name}" has ${tensor.length} elements, the product needs ${length}`,
    );
  }
}
