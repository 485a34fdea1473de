// Causal attention with grouped key-value heads and document boundaries, without a T × T array.
//   score(i, j) = q_i · k_j / √D for firstKey(i) ≤ j ≤ i,   out_i = Σ_j softmax_j(score) · v_j
// Forward keeps one running maximum and sum per query (Milakov & Gimelshein, 2018) and saves LSE_i, from which backward
// recomputes the probabilities:  ds = p · (do · v − δ_i),  δ_i = do_i · out_i  (Dao et al., 2022).
// The two files that go on from here hold the same three kernels, as a CPU wants them (attention.wgsl) and as a GPU does
// (attention_tiled.wgsl). What they read most may come from textures, of which element i is in texel i / 4.

struct Dims { time: u32, heads: u32, kv_heads: u32, scale: f32 }

@group(0) @binding(0) var<uniform> dims: Dims;
// @if QUERY_TEXTURES
@group(0) @binding(1) var q: texture_storage_2d<TEXEL, read>; // [B, T, H, D]
@group(0) @binding(2) var dout: texture_storage_2d<TEXEL, read>; // [B, T, H, D]
fn q_at(i: u32) -> vec4f { return textureLoad(q, vec2u(i % TEXTURE_WIDTH, i / TEXTURE_WIDTH)); }
fn dout_at(i: u32) -> vec4f { return textureLoad(dout, vec2u(i % TEXTURE_WIDTH, i / TEXTURE_WIDTH)); }
// @else
@group(0) @binding(1) var<storage, read> q: array<vec4<Stored>>;
@group(0) @binding(2) var<storage, read> dout: array<vec4<Stored>>;
fn q_at(i: u32) -> vec4f { return vec4f(q[i]); }
fn dout_at(i: u32) -> vec4f { return vec4f(dout[i]); }
// @end
// @if KEY_TEXTURES
@group(0) @binding(3) var k: texture_storage_2d<TEXEL, read>; // [B, T, G, D]
@group(0) @binding(4) var v: texture_storage_2d<TEXEL, read>; // [B, T, G, D]
fn k_at(i: u32) -> vec4f { return textureLoad(k, vec2u(i % TEXTURE_WIDTH, i / TEXTURE_WIDTH)); }
fn v_at(i: u32) -> vec4f { return textureLoad(v, vec2u(i % TEXTURE_WIDTH, i / TEXTURE_WIDTH)); }
// @else
@group(0) @binding(3) var<storage, read> k: array<vec4<Stored>>;
@group(0) @binding(4) var<storage, read> v: array<vec4<Stored>>;
fn k_at(i: u32) -> vec4f { return vec4f(k[i]); }
fn v_at(i: u32) -> vec4f { return vec4f(v[i]); }
// @end
@group(0) @binding(5) var<storage, read> first_key: array<u32>; // [B, T] start of the token's document, never decreasing
@group(0) @binding(6) var<storage, read_write> out: array<vec4<Stored>>; // [B, T, H, D]
@group(0) @binding(7) var<storage, read_write> statistics: array<vec2f>; // [B, H, T] of (LSE, δ)
@group(0) @binding(8) var<storage, read_write> dq: array<vec4<Stored>>;
@group(0) @binding(9) var<storage, read_write> dk: array<vec4<Stored>>;
@group(0) @binding(10) var<storage, read_write> dv: array<vec4<Stored>>;

const hidden = -1e30; // the score of a key that a query may not see

// δ on its own: so the backward kernels bind no more than the eight storage buffers that every adapter has.
@compute @workgroup_size(64)
fn backward_delta(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let i = group.x * 64u + lane;
  if (i >= dims.time) { return; }
  let at = ((batch * dims.time + i) * dims.heads + head) * D4;
  var sum = 0.0;
// @for c in D4
  sum += dot(dout_at(at + {c}u), vec4f(out[at + {c}u]));
// @end
  statistics[(batch * dims.heads + head) * dims.time + i].y = sum;
}
