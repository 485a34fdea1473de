// Causal attention with grouped key-value heads and document boundaries, without a T × T array.
//   score(i, j) = q_i · k_j / √D for firstKey(i) ≤ j ≤ i,   out_i = Σ_j softmax_j(score) · v_j
// Forward keeps one running maximum and sum per query (Milakov & Gimelshein, 2018) and saves LSE_i, from which backward
// recomputes the probabilities:  ds = p · (do · v − δ_i),  δ_i = do_i · out_i  (Dao et al., 2022).
// One invocation owns one query (or key) in registers and walks the keys (queries) that its workgroup shares; what is
// walked may come from textures, which a CPU reads faster.

struct Dims { time: u32, heads: u32, kv_heads: u32, scale: f32 }

@group(0) @binding(0) var<uniform> dims: Dims;
// @if QUERY_TEXTURES
@group(0) @binding(1) var q: texture_2d<f32>; // [B, T, H, D]
// @else
@group(0) @binding(1) var<storage, read> q: array<vec4<Stored>>;
// @end
// @if KEY_TEXTURES
@group(0) @binding(2) var k: texture_2d<f32>; // [B, T, G, D]
// @else
@group(0) @binding(2) var<storage, read> k: array<vec4<Stored>>;
// @end
// @if KEY_TEXTURES
@group(0) @binding(3) var v: texture_2d<f32>; // [B, T, G, D]
// @else
@group(0) @binding(3) var<storage, read> v: array<vec4<Stored>>;
// @end
@group(0) @binding(4) var<storage, read> first_key: array<u32>; // [B, T] start of the token's document, never decreasing
@group(0) @binding(5) var<storage, read_write> out: array<vec4<Stored>>; // [B, T, H, D]
@group(0) @binding(6) var<storage, read_write> statistics: array<vec2f>; // [B, H, T] of (LSE, δ)
// @if QUERY_TEXTURES
@group(0) @binding(7) var dout: texture_2d<f32>;
// @else
@group(0) @binding(7) var<storage, read> dout: array<vec4<Stored>>;
// @end
@group(0) @binding(8) var<storage, read_write> dq: array<vec4<Stored>>;
@group(0) @binding(9) var<storage, read_write> dk: array<vec4<Stored>>;
@group(0) @binding(10) var<storage, read_write> dv: array<vec4<Stored>>;

const hidden = -1e30; // the score of a key that a query may not see

fn q_at(i: u32) -> vec4f {
// @if QUERY_TEXTURES
  return textureLoad(q, vec2u(i % TEXTURE_WIDTH, i / TEXTURE_WIDTH), 0);
// @else
  return vec4f(q[i]);
// @end
}
fn k_at(i: u32) -> vec4f {
// @if KEY_TEXTURES
  return textureLoad(k, vec2u(i % TEXTURE_WIDTH, i / TEXTURE_WIDTH), 0);
// @else
  return vec4f(k[i]);
// @end
}
fn v_at(i: u32) -> vec4f {
// @if KEY_TEXTURES
  return textureLoad(v, vec2u(i % TEXTURE_WIDTH, i / TEXTURE_WIDTH), 0);
// @else
  return vec4f(v[i]);
// @end
}
fn dout_at(i: u32) -> vec4f {
// @if QUERY_TEXTURES
  return textureLoad(dout, vec2u(i % TEXTURE_WIDTH, i / TEXTURE_WIDTH), 0);
// @else
  return vec4f(dout[i]);
// @end
}

@compute @workgroup_size(GROUP)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let kv_head = head / (dims.heads / dims.kv_heads);
  let row = batch * dims.time;
  let first_query = group.x * GROUP;
  let i = min(first_query + lane, dims.time - 1u);
  let lowest = first_key[row + i];
  let at = ((row + i) * dims.heads + head) * D4;
// @for c in D4
  let q{c} = q_at(at + {c}u);
  var out{c} = vec4f();
// @end
  var largest = hidden;
  var sum = 0.0;
  let end = min(first_query + GROUP, dims.time);
  for (var j = first_key[row + first_query]; j < end; j++) {
    let key = ((row + j) * dims.kv_heads + kv_head) * D4;
    var score = 0.0;
// @for c in D4
    score += dot(q{c}, k_at(key + {c}u));
// @end
    score = select(hidden, score * dims.scale, j >= lowest && j <= i);
    let new_largest = max(largest, score);
    let shrink = exp(largest - new_largest);
    let weight = exp(score - new_largest);
    sum = sum * shrink + weight;
    largest = new_largest;
// @for c in D4
    out{c} = out{c} * shrink + weight * v_at(key + {c}u);
// @end
  }
  if (first_query + lane >= dims.time) { return; }
// @for c in D4
  out[at + {c}u] = vec4<Stored>(out{c} / sum);
// @end
  statistics[(batch * dims.heads + head) * dims.time + i] = vec2f(largest + log(sum), 0.0);
}

// δ on its own: so the two kernels below bind no more than the eight storage buffers that every adapter has.
@compute @workgroup_size(GROUP)
fn backward_delta(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let i = group.x * GROUP + lane;
  if (i >= dims.time) { return; }
  let at = ((batch * dims.time + i) * dims.heads + head) * D4;
  var sum = 0.0;
// @for c in D4
  sum += dot(dout_at(at + {c}u), vec4f(out[at + {c}u]));
// @end
  statistics[(batch * dims.heads + head) * dims.time + i].y = sum;
}

@compute @workgroup_size(GROUP)
fn backward_queries(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let kv_head = head / (dims.heads / dims.kv_heads);
  let row = batch * dims.time;
  let first_query = group.x * GROUP;
  let i = min(first_query + lane, dims.time - 1u);
  let lowest = first_key[row + i];
  let at = ((row + i) * dims.heads + head) * D4;
  let statistic = statistics[(batch * dims.heads + head) * dims.time + i];
// @for c in D4
  let q{c} = q_at(at + {c}u);
  let dout{c} = dout_at(at + {c}u);
  var dq{c} = vec4f();
// @end
  let end = min(first_query + GROUP, dims.time);
  for (var j = first_key[row + first_query]; j < end; j++) {
    let key = ((row + j) * dims.kv_heads + kv_head) * D4;
    var score = 0.0;
    var dp = 0.0;
// @for c in D4
    let k{c} = k_at(key + {c}u);
    score += dot(q{c}, k{c});
    dp += dot(dout{c}, v_at(key + {c}u));
// @end
    let p = select(0.0, exp(score * dims.scale - statistic.x), j >= lowest && j <= i);
    let ds = p * (dp - statistic.y) * dims.scale;
// @for c in D4
    dq{c} += ds * k{c};
// @end
  }
  if (first_query + lane >= dims.time) { return; }
// @for c in D4
  dq[at + {c}u] = vec4<Stored>(dq{c});
// @end
}

@compute @workgroup_size(GROUP)
fn backward_keys(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.kv_heads;
  let kv_head = group.y % dims.kv_heads;
  let sharing = dims.heads / dims.kv_heads;
  let row = batch * dims.time;
  let first = group.x * GROUP;
  let last = min(first + GROUP, dims.time) - 1u;
  let j = min(first + lane, last);
  let at = ((row + j) * dims.kv_heads + kv_head) * D4;
// @for c in D4
  let k{c} = k_at(at + {c}u);
  let v{c} = v_at(at + {c}u);
  var dk{c} = vec4f();
  var dv{c} = vec4f();
// @end
  for (var head = kv_head * sharing; head < (kv_head + 1u) * sharing; head++) {
    let first_statistic = (batch * dims.heads + head) * dims.time;
    for (var i = first; i < dims.time; i++) {
      let lowest = first_key[row + i];
      if (lowest > last) { break; } // a later document: none of this workgroup's keys is seen from here on
      let statistic = statistics[first_statistic + i];
      let query = ((row + i) * dims.heads + head) * D4;
      var score = 0.0;
      var dp = 0.0;
// @for c in D4
      let q{c} = q_at(query + {c}u);
      let dout{c} = dout_at(query + {c}u);
      score += dot(q{c}, k{c});
      dp += dot(dout{c}, v{c});
// @end
      let p = select(0.0, exp(score * dims.scale - statistic.x), j >= lowest && j <= i);
      let ds = p * (dp - statistic.y) * dims.scale;
// @for c in D4
      dk{c} += ds * q{c};
      dv{c} += p * dout{c};
// @end
    }
  }
  if (first + lane > last) { return; }
// @for c in D4
  dk[at + {c}u] = vec4<Stored>(dk{c});
  dv[at + {c}u] = vec4<Stored>(dv{c});
// @end
}
