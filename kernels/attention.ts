// Causal attention over [B, T], forward and backward; grouped KV heads; a query sees only keys of its own document.

import { CannotError } from "../src/base/errors.ts";
import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program, textureWidth } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { fitsTexture, prefersTextures } from "./textures.ts";
import source from "./attention.wgsl" with { type: "text" };

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
  /** Queries or keys in the registers of an invocation, 1, 2, 4, …: overrides the adapter's choice, for tests. */
  owned?: number;
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
  record(program, request, "backward_delta", heads, { out, dout, statistics });
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
  walked: Record<string, Tensor> = {},
): void {
  const { batch, time, headWidth } = request;
  if (headWidth % 4 !== 0) {
    throw new CannotError(
      "record attention",
      `the head width ${headWidth} is not a multiple of 4`,
      "Choose width and heads so that width / heads is a multiple of 4",
    );
  }
  const walks = Object.values(walked);
  const onCpu = prefersTextures(program.gpu); // where loads cost more than arithmetic
  const asTextures = onCpu &&
    walks.every((tensor) => fitsTexture(program.gpu, tensor.length));
  const owned = walks.length > 0 ? request.owned ?? (onCpu ? 4 : 1) : 1;
  program.dispatch({
    kernel: kernel("attention", source, entryPoint, {
      D4: headWidth / 4,
      LANES: group / owned,
      OWNED: owned,
      TEXTURE_WIDTH: textureWidth,
      KEY_TEXTURES: asTextures && "k" in walked,
      QUERY_TEXTURES: asTextures && "q" in walked,
    }, { Stored: request.q.type }),
    tensors: asTextures ? tensors : { ...tensors, ...walked },
    ...(asTextures && { textures: texturesOf(program, walked) }),
    dims: [time, request.heads, request.kvHeads, f32(1 / Math.sqrt(headWidth))],
    workgroups: [Math.ceil(time / group), batch * heads],
  });
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
