// Causal attention with grouped key-value heads and document boundaries, without a T × T array.
//   score(i, j) = q_i · k_j / √D for firstKey(i) ≤ j ≤ i,   out_i = Σ_j softmax_j(score) · v_j
// Forward keeps one running maximum and sum per query (Milakov & Gimelshein, 2018) and saves LSE_i, from which backward
// recomputes the probabilities:  ds = p · (do · v − δ_i),  δ_i = do_i · out_i  (Dao et al., 2022).
// One invocation owns one or a few queries (or keys) in registers and walks the keys (queries) that its workgroup shares:
// the more it owns, the fewer loads. What is walked may come from textures, which a CPU reads faster.

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
const group_rows = LANES * OWNED;

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

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let kv_head = head / (dims.heads / dims.kv_heads);
  let row = batch * dims.time;
  let first_query = group.x * group_rows;
// @for r in OWNED
  let i{r} = first_query + lane * OWNED + {r}u;
  let query{r} = row + min(i{r}, dims.time - 1u);
  let lowest{r} = first_key[query{r}];
  let at{r} = (query{r} * dims.heads + head) * D4;
  var largest{r} = hidden;
  var sum{r} = 0.0;
  // @for c in D4
  let q{r}_{c} = q_at(at{r} + {c}u);
  var out{r}_{c} = vec4f();
  // @end
// @end
  let end = min(first_query + group_rows, dims.time);
  for (var j = first_key[row + first_query]; j < end; j++) {
    let key = ((row + j) * dims.kv_heads + kv_head) * D4;
// @for r in OWNED
    var score{r} = 0.0;
// @end
// @for c in D4
    let k{c} = k_at(key + {c}u);
    // @for r in OWNED
    score{r} += dot(q{r}_{c}, k{c});
    // @end
// @end
// @for r in OWNED
    score{r} = select(hidden, score{r} * dims.scale, j >= lowest{r} && j <= i{r});
    let new_largest{r} = max(largest{r}, score{r});
    let shrink{r} = exp(largest{r} - new_largest{r});
    let weight{r} = exp(score{r} - new_largest{r});
    sum{r} = sum{r} * shrink{r} + weight{r};
    largest{r} = new_largest{r};
// @end
// @for c in D4
    let v{c} = v_at(key + {c}u);
    // @for r in OWNED
    out{r}_{c} = out{r}_{c} * shrink{r} + weight{r} * v{c};
    // @end
// @end
  }
// @for r in OWNED
  if (i{r} < dims.time) {
    // @for c in D4
    out[at{r} + {c}u] = vec4<Stored>(out{r}_{c} / sum{r});
    // @end
    let statistic = (batch * dims.heads + head) * dims.time + i{r};
    statistics[statistic] = vec2f(largest{r} + log(sum{r}), 0.0);
  }
// @end
}

// δ on its own: so the two kernels below bind no more than the eight storage buffers that every adapter has.
@compute @workgroup_size(LANES)
fn backward_delta(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let i = group.x * LANES + lane;
  if (i >= dims.time) { return; }
  let at = ((batch * dims.time + i) * dims.heads + head) * D4;
  var sum = 0.0;
// @for c in D4
  sum += dot(dout_at(at + {c}u), vec4f(out[at + {c}u]));
// @end
  statistics[(batch * dims.heads + head) * dims.time + i].y = sum;
}

@compute @workgroup_size(LANES)
fn backward_queries(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let kv_head = head / (dims.heads / dims.kv_heads);
  let row = batch * dims.time;
  let first_query = group.x * group_rows;
// @for r in OWNED
  let i{r} = first_query + lane * OWNED + {r}u;
  let query{r} = row + min(i{r}, dims.time - 1u);
  let lowest{r} = first_key[query{r}];
  let at{r} = (query{r} * dims.heads + head) * D4;
  let statistic{r} = statistics[(batch * dims.heads + head) * dims.time + min(i{r}, dims.time - 1u)];
  // @for c in D4
  let q{r}_{c} = q_at(at{r} + {c}u);
  let dout{r}_{c} = dout_at(at{r} + {c}u);
  var dq{r}_{c} = vec4f();
  // @end
// @end
  let end = min(first_query + group_rows, dims.time);
  for (var j = first_key[row + first_query]; j < end; j++) {
    let key = ((row + j) * dims.kv_heads + kv_head) * D4;
// @for r in OWNED
    var score{r} = 0.0;
    var dp{r} = 0.0;
// @end
// @for c in D4
    let k{c} = k_at(key + {c}u);
    let v{c} = v_at(key + {c}u);
    // @for r in OWNED
    score{r} += dot(q{r}_{c}, k{c});
    dp{r} += dot(dout{r}_{c}, v{c});
    // @end
// @end
// @for r in OWNED
    let exponent{r} = score{r} * dims.scale - statistic{r}.x;
    let p{r} = select(0.0, exp(exponent{r}), j >= lowest{r} && j <= i{r});
    let ds{r} = p{r} * (dp{r} - statistic{r}.y) * dims.scale;
    // @for c in D4
    dq{r}_{c} += ds{r} * k{c};
    // @end
// @end
  }
// @for r in OWNED
  if (i{r} < dims.time) {
    // @for c in D4
    dq[at{r} + {c}u] = vec4<Stored>(dq{r}_{c});
    // @end
  }
// @end
}

@compute @workgroup_size(LANES)
fn backward_keys(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.kv_heads;
  let kv_head = group.y % dims.kv_heads;
  let sharing = dims.heads / dims.kv_heads;
  let row = batch * dims.time;
  let first = group.x * group_rows;
  let last = min(first + group_rows, dims.time) - 1u;
// @for r in OWNED
  let j{r} = first + lane * OWNED + {r}u;
  let at{r} = ((row + min(j{r}, last)) * dims.kv_heads + kv_head) * D4;
  // @for c in D4
  let k{r}_{c} = k_at(at{r} + {c}u);
  let v{r}_{c} = v_at(at{r} + {c}u);
  var dk{r}_{c} = vec4f();
  var dv{r}_{c} = vec4f();
  // @end
// @end
  for (var head = kv_head * sharing; head < (kv_head + 1u) * sharing; head++) {
    let first_statistic = (batch * dims.heads + head) * dims.time;
    for (var i = first; i < dims.time; i++) {
      let lowest = first_key[row + i];
      if (lowest > last) { break; } // a later document: none of this workgroup's keys is seen from here on
      let statistic = statistics[first_statistic + i];
      let query = ((row + i) * dims.heads + head) * D4;
// @for r in OWNED
      var score{r} = 0.0;
      var dp{r} = 0.0;
// @end
// @for c in D4
      let q{c} = q_at(query + {c}u);
      let dout{c} = dout_at(query + {c}u);
      // @for r in OWNED
      score{r} += dot(q{c}, k{r}_{c});
      dp{r} += dot(dout{c}, v{r}_{c});
      // @end
// @end
// @for r in OWNED
      let exponent{r} = score{r} * dims.scale - statistic.x;
      let p{r} = select(0.0, exp(exponent{r}), j{r} >= lowest && j{r} <= i);
      let ds{r} = p{r} * (dp{r} - statistic.y) * dims.scale;
      // @for c in D4
      dk{r}_{c} += ds{r} * q{c};
      dv{r}_{c} += p{r} * dout{c};
      // @end
// @end
    }
  }
// @for r in OWNED
  if (j{r} <= last) {
    // @for c in D4
    dk[at{r} + {c}u] = vec4<Stored>(dk{r}_{c});
    dv[at{r} + {c}u] = vec4<Stored>(dv{r}_{c});
    // @end
  }
// @end
}
