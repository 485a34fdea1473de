// Causal attention over [B, T], forward and backward; grouped KV heads; a query sees only keys of its own document.

import { CannotError } from "../src/base/errors.ts";
import type { AttentionVariant } from "../src/gpu/choices.ts";
import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program, textureWidth } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { fitsTexture, withTexels } from "./textures.ts";
import operands from "./attention_operands.wgsl" with { type: "text" };
import rows from "./attention.wgsl" with { type: "text" };
import tiles from "./attention_tiled.wgsl" with { type: "text" };

/** Sizes and inputs that forward and backward share. */
export interface AttentionRequest {
  batch: number;
  time: number;
  heads: number;
  kvHeads: number;
  headWidth: number;
  /** [B, T, H, D] */
  q: Tensor;
  /** [B, T, G, D] */
  k: Tensor;
  /** [B, T, G, D] */
  v: Tensor;
  /** [B, T]: the first position of the row that each position may see. */
  firstKey: Tensor;
  /** [B, T, H, D] */
  out: Tensor;
  /** [B, H, T, 2]: log-sum-exp of each query's scores, written by forward, and δ, written by backward. */
  statistics: Tensor;
  /** Overrides the adapter's choice, for tests and tuning. */
  variant?: AttentionVariant;
}

const group = 32; // queries (or keys) of a workgroup; also the unit in which hidden keys are skipped

/** Records `out = attention(q, k, v)`. */
export function attentionForward(program: Program, request: AttentionRequest): void {
  const { q, k, v, firstKey, out, statistics, heads } = request;
  const tensors = { q, first_key: firstKey, out, statistics };
  record(program, request, "forward", heads, tensors, { k, v });
}

/** Records the gradients of q, k and v. */
export function attentionBackward(
  program: Program,
  request: AttentionRequest & { dout: Tensor; dq: Tensor; dk: Tensor; dv: Tensor },
): void {
  const { q, k, v, firstKey, out, statistics, dout, dq, dk, dv, heads, kvHeads } = request;
  const shared = { first_key: firstKey, statistics };
  recordDelta(program, request, { out, dout, statistics });
  record(program, request, "backward_queries", heads, { ...shared, q, dout, dq }, { k, v });
  record(program, request, "backward_keys", kvHeads, { ...shared, k, v, dk, dv }, { q, dout });
}

// `walked` are the tensors that every invocation reads row after row.
function record(
  program: Program,
  request: AttentionRequest,
  entryPoint: string,
  heads: number,
  tensors: Record<string, Tensor>,
  walked: Record<string, Tensor>,
): void {
  const { batch, time, headWidth } = request;
  if (headWidth % 4 !== 0) {
    throw new CannotError(
      "record attention",
      `the head width ${headWidth} is not a multiple of 4`,
      "Choose width and heads so that width / heads is a multiple of 4",
    );
  }
  const variant = request.variant ?? program.gpu.adapter.kernels.attention;
  const textures = variant.memory === "texture" &&
    Object.values(walked).every((tensor) => fitsTexture(program.gpu, tensor.length));
  const tiled = variant.memory === "workgroup";
  const pairs = time * (time + 1) / 2; // of a query and a key that it sees, in a row that is one document
  program.dispatch({
    kernel: kernel(
      "attention",
      { ...texts(request), ...(tiled ? { attention_tiled: tiles } : { attention: rows }) },
      entryPoint,
      {
        D4: headWidth / 4,
        TEXTURE_WIDTH: textureWidth,
        KEY_TEXTURES: textures && "k" in walked,
        QUERY_TEXTURES: textures && "q" in walked,
        ...(tiled
          ? tileSizes(headWidth / 4, variant.walked)
          : { OWNED: variant.owned, LANES: group / variant.owned }),
      },
      { Stored: request.q.type },
    ),
    tensors: textures ? tensors : { ...tensors, ...walked },
    ...(textures && { textures: texturesOf(program, walked) }),
    dims: dimsOf(request),
    workgroups: [Math.ceil(time / group), batch * heads],
    multiplyAdds: products[entryPoint]! * request.heads * batch * pairs * headWidth,
  });
}

// Products of rows with rows: scores and mixed values; going back the scores again, and gradients of probabilities.
const products: Record<string, number> = { forward: 2, backward_queries: 3, backward_keys: 4 };

function recordDelta(
  program: Program,
  request: AttentionRequest,
  tensors: Record<string, Tensor>,
): void {
  const { batch, time, heads, headWidth, q } = request;
  program.dispatch({
    kernel: kernel("attention", texts(request), "backward_delta", {
      D4: headWidth / 4,
      TEXTURE_WIDTH: textureWidth,
      KEY_TEXTURES: false,
      QUERY_TEXTURES: false,
    }, { Stored: q.type }),
    tensors,
    dims: dimsOf(request),
    workgroups: [Math.ceil(time / 64), batch * heads],
  });
}

const texts = ({ q }: AttentionRequest) => ({ attention_operands: withTexels(operands, q.type) });

const dimsOf = ({ time, heads, kvHeads, headWidth }: AttentionRequest) => [
  ...[time, heads, kvHeads],
  f32(1 / Math.sqrt(headWidth)),
];

/**
 * The sizes of tiles for heads of `vectors` · 4 channels: as many invocations share a row as leave each of them at most
 * two of its vectors up to D 256, and what is copied at one time fits 16 KB, the workgroup memory of every adapter.
 */
function tileSizes(vectors: number, walked: number): Record<string, number> {
  const across = vectors <= 8 ? 8 : vectors <= 32 ? 16 : 32;
  const columns = Math.ceil(vectors / across);
  return {
    ACROSS: across,
    DOWN: group / 4,
    WALKED: walked / across,
    COLUMNS: columns,
    CHUNK: walked > 32 ? 4 : 8,
    STEP: Math.max(1, Math.min(8, Math.floor(256 / (columns * across)))),
    FOUR: 4,
  };
}

function texturesOf(
  program: Program,
  tensors: Record<string, Tensor>,
): Record<string, GPUTexture> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) =>
      [name, program.texture(tensor, { first: 0, count: tensor.length })] as const
    ),
  );
}
