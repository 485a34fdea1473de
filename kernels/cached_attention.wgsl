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

// @if LANES_SHARE
// A workgroup owns one head of one sequence and walks tiles of as many positions as it has invocations: each scores one
// of them, then each adds up one vector of the output over its part of them.
const parts = LANES / D4;
var<workgroup> query: array<vec4f, D4>;
var<workgroup> weights: array<f32, LANES>;
var<workgroup> sums: array<vec4f, LANES>;

@compute @workgroup_size(LANES)
fn attend(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // Without row_of, which reads the lane: all invocations of a workgroup have to wait equally often.
  let head = min(group.y * groups.x + group.x, dims.batch * dims.heads - 1u);
  let batch = head / dims.heads;
  let kv_head = head % dims.heads / (dims.heads / dims.kv_heads);
  let first_slot = batch * dims.capacity;
  let count = positions[batch] + 1u;
  if (lane < D4) { query[lane] = vec4f(q[head * D4 + lane]); }
  workgroupBarrier();
  let channel = lane % D4;
  let part = lane / D4;
  var own = vec4f();
  var largest = -1e30;
  var sum = 0.0;
  for (var first = 0u; first < count; first += LANES) {
    let inside = first + lane < count;
    let key = ((first_slot + min(first + lane, count - 1u)) * dims.kv_heads + kv_head) * D4;
    var score = 0.0;
    for (var c = 0u; c < D4; c++) { score += dot(query[c], vec4f(keys[key + c])); }
    score = select(-1e30, score * dims.scale, inside);
    let new_largest = max(largest, row_max(score, lane));
    let shrink = exp(largest - new_largest);
    let weight = select(0.0, exp(score - new_largest), inside);
    weights[lane] = weight;
    sum = sum * shrink + row_sum(weight, lane); // which waits for all weights
    own *= shrink;
    if (part < parts) {
      for (var i = part; i < min(LANES, count - first); i += parts) {
        let value = ((first_slot + first + i) * dims.kv_heads + kv_head) * D4;
        own += weights[i] * vec4f(values[value + channel]);
      }
    }
    largest = new_largest;
    workgroupBarrier();
  }
  sums[lane] = own;
  workgroupBarrier();
  if (lane >= D4) { return; }
  for (var i = 1u; i < parts; i++) { own += sums[i * D4 + lane]; }
  out[head * D4 + lane] = vec4<Stored>(own / sum);
}
// @else
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
// @end
