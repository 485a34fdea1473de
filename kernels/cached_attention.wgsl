// Attention of one new token per sequence against the keys and values of its past.
// `append` stores the new key and value at the sequence's position in its cache; `attend` then reads positions 0 to there.
// Positions are data: many steps are submitted at once and each finds its own, and sequences may start at any time.

struct Dims { batch: u32, heads: u32, kv_heads: u32, capacity: u32, scale: f32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> positions: array<u32>; // [B]
@group(0) @binding(2) var<storage, read> q: array<vec4<Stored>>; // [B, H, D]
@group(0) @binding(3) var<storage, read> k: array<vec4<Stored>>; // [B, G, D]
@group(0) @binding(4) var<storage, read> v: array<vec4<Stored>>; // [B, G, D]
@group(0) @binding(5) var<storage, read_write> keys: array<vec4<Stored>>; // [B, capacity, G, D]
@group(0) @binding(6) var<storage, read_write> values: array<vec4<Stored>>; // [B, capacity, G, D]
@group(0) @binding(7) var<storage, read_write> out: array<vec4<Stored>>; // [B, H, D]

@compute @workgroup_size(64)
fn append(@builtin(global_invocation_id) id: vec3u) {
  let width = dims.kv_heads * D4;
  if (id.x >= dims.batch * width) { return; }
  let batch = id.x / width;
  let slot = (batch * dims.capacity + positions[batch]) * width + id.x % width;
  keys[slot] = k[id.x];
  values[slot] = v[id.x];
}

@compute @workgroup_size(64)
fn attend(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.batch * dims.heads) { return; }
  let batch = id.x / dims.heads;
  let kv_head = id.x % dims.heads / (dims.heads / dims.kv_heads);
  let at = id.x * D4;
// @for c in D4
  let q{c} = vec4f(q[at + {c}u]);
  var out{c} = vec4f();
// @end
  var largest = -1e30;
  var sum = 0.0;
  let position = positions[batch];
  for (var j = 0u; j <= position; j++) {
    let key = ((batch * dims.capacity + j) * dims.kv_heads + kv_head) * D4;
    var score = 0.0;
// @for c in D4
    score += dot(q{c}, vec4f(keys[key + {c}u]));
// @end
    score *= dims.scale;
    let new_largest = max(largest, score);
    let shrink = exp(largest - new_largest);
    let weight = exp(score - new_largest);
    sum = sum * shrink + weight;
    largest = new_largest;
// @for c in D4
    out{c} = out{c} * shrink + weight * vec4f(values[key + {c}u]);
// @end
  }
// @for c in D4
  out[at + {c}u] = vec4<Stored>(out{c} / sum);
// @end
}
