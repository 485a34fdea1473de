// The next token of every sequence, chosen on the GPU so that many steps run before the host reads anything.
// Greedy takes the largest logit (the lowest token on ties). Top-k finds the k-th largest logit by bisecting its bits,
// keeps every token that reaches it (ties included, as transformers does) and draws one with probability
// softmax(z / temperature). While a sequence is still inside its prompt the prompt's token is taken instead.

struct Dims { batch: u32, vocabulary: u32, capacity: u32, top_k: u32, inverse_temperature: f32, seed: u32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [B, V]
@group(0) @binding(2) var<storage, read> lengths: array<u32>; // [B] of prompts
@group(0) @binding(3) var<storage, read> ids: array<u32>; // [B] which sequence this is, for its random stream
@group(0) @binding(4) var<storage, read_write> position: array<u32>; // [1]
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>; // [B, capacity]
@group(0) @binding(6) var<storage, read_write> current: array<u32>; // [B] the token at `position`
@group(0) @binding(7) var<storage, read_write> positions: array<u32>; // [B] copies of `position`, for rotary

// PCG hash (Jarzynski & Olano, 2020).
fn pcg(value: u32) -> u32 {
  let state = value * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

// Integers in the order of the floats that they encode.
fn ordered(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

@compute @workgroup_size(LANES, ROWS)
fn choose(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let sequence = group.x * ROWS + local.y;
  let inside = sequence < dims.batch;
  let row = min(sequence, dims.batch - 1u);
  let start = row * dims.vocabulary;
  let next = position[0] + 1u;

  var largest = -3.4e38;
  for (var j = local.x; j < dims.vocabulary; j += LANES) { largest = max(largest, logits[start + j]); }
  largest = row_max(largest, local);
  var threshold = ordered(largest);
  if (dims.top_k > 1u) {
    threshold = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
      var reaching = 0.0;
      for (var j = local.x; j < dims.vocabulary; j += LANES) {
        if (ordered(logits[start + j]) >= (threshold | bit)) { reaching += 1.0; }
      }
      if (u32(row_sum(reaching, local)) >= dims.top_k) { threshold |= bit; }
    }
  }

  // One lane walks the row: the sum and the draw must see the tokens in the same order.
  if (!inside || local.x != 0u || next >= dims.capacity) { return; }
  var token = tokens[row * dims.capacity + next];
  if (next >= lengths[row]) {
    var total = 0.0;
    for (var j = 0u; j < dims.vocabulary; j++) {
      if (ordered(logits[start + j]) >= threshold) {
        total += exp((logits[start + j] - largest) * dims.inverse_temperature);
        if (dims.top_k <= 1u) { token = j; break; }
      }
    }
    if (dims.top_k > 1u) {
      let draw = f32(pcg(dims.seed ^ pcg(ids[row] ^ pcg(next))) >> 8u) / 16777216.0 * total;
      var passed = 0.0;
      for (var j = 0u; j < dims.vocabulary; j++) {
        if (ordered(logits[start + j]) < threshold) { continue; }
        token = j;
        passed += exp((logits[start + j] - largest) * dims.inverse_temperature);
        if (passed > draw) { break; }
      }
    }
    tokens[row * dims.capacity + next] = token;
  }
  current[row] = token;
}

@compute @workgroup_size(64)
fn advance(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.batch) { return; }
  let next = positions[id.x] + 1u;
  positions[id.x] = next;
  if (id.x == 0u) { position[0] = next; }
}
