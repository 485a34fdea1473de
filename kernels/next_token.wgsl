// The next token of every sequence, chosen on the GPU so that many steps run before the host reads anything.
// Greedy takes the largest logit (the lowest token on ties). Otherwise one is drawn with probability
// softmax(z / temperature) among those that reach a threshold (ties included, as transformers does): the k-th largest
// logit for top-k, and for top-p the largest that leaves p of the probability. Both are found by bisecting their bits.
// While a sequence is still inside its prompt the prompt's token is taken instead.

struct Dims {
  batch: u32,
  vocabulary: u32,
  capacity: u32,
  top_k: u32,
  top_p: f32,
  inverse_temperature: f32,
  seed: u32,
}

const no_token = 0xffffffffu; // where logits are not finite

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [B, V]
@group(0) @binding(2) var<storage, read> lengths: array<u32>; // [B] of prompts
@group(0) @binding(3) var<storage, read> ids: array<u32>; // [B] which sequence this is, for its random stream
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>; // [B, capacity]
@group(0) @binding(5) var<storage, read_write> current: array<u32>; // [B] the token at its position
@group(0) @binding(6) var<storage, read_write> positions: array<u32>; // [B]

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

@compute @workgroup_size(LANES * ROWS)
fn choose(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let lane = lane_of(invocation);
  let sequence = row_of(group, groups, invocation);
  let row = min(sequence, dims.batch - 1u);
  let start = row * dims.vocabulary;
  // Each lane owns a run of tokens, so that lanes in order see the tokens in order.
  let run = (dims.vocabulary + LANES - 1u) / LANES;
  let first = min(lane * run, dims.vocabulary);
  let end = min(first + run, dims.vocabulary);

  var largest = -3.4e38;
  var broken = 0.0;
  for (var j = first; j < end; j++) {
    let logit = logits[start + j];
    largest = max(largest, logit);
    // By its bits, because compilers may take for granted that there is no NaN.
    if ((bitcast<u32>(logit) & 0x7f800000u) == 0x7f800000u) { broken = 1.0; }
  }
  largest = row_max(largest, lane);
  broken = row_max(broken, lane);
  let greedy = dims.top_k <= 1u;
  var threshold = select(0u, ordered(largest), greedy);
  if (dims.top_k > 1u && dims.top_k < dims.vocabulary) {
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
      var reaching = 0.0;
      for (var j = first; j < end; j++) {
        if (ordered(logits[start + j]) >= (threshold | bit)) { reaching += 1.0; }
      }
      if (u32(row_sum(reaching, lane)) >= dims.top_k) { threshold |= bit; }
    }
  }
  if (!greedy && dims.top_p < 1.0) {
    let enough = dims.top_p * row_sum(share_from(threshold, start, first, end, largest), lane);
    var nucleus = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
      let candidate = max(nucleus | bit, threshold);
      let reaching = row_sum(share_from(candidate, start, first, end, largest), lane);
      if (reaching >= enough) { nucleus |= bit; }
    }
    threshold = max(threshold, nucleus);
  }

  // Greedy counts the best tokens and takes the first of them; otherwise a draw falls into some token's share.
  var mine = 0.0;
  for (var j = first; j < end; j++) {
    if (ordered(logits[start + j]) >= threshold) { mine += share(logits[start + j], largest, greedy); }
  }
  let sums = row_before(mine, lane);
  let next = positions[row] + 1u;
  var draw = 0.0;
  if (!greedy) {
    draw = f32(pcg(dims.seed ^ pcg(ids[row] ^ pcg(next))) >> 8u) / 16777216.0 * sums.y;
  }
  if (sequence >= dims.batch || next >= dims.capacity) { return; }
  if (next < lengths[row]) {
    if (lane == 0u) { current[row] = tokens[row * dims.capacity + next]; }
    return;
  }
  if (broken > 0.0) {
    if (lane == 0u) {
      tokens[row * dims.capacity + next] = no_token;
      current[row] = 0u;
    }
    return;
  }
  if (draw < sums.x || draw >= sums.x + mine) { return; } // it falls into another lane's run
  var passed = sums.x;
  var token = first;
  for (var j = first; j < end; j++) {
    if (ordered(logits[start + j]) < threshold) { continue; }
    token = j;
    passed += share(logits[start + j], largest, greedy);
    if (passed > draw) { break; }
  }
  tokens[row * dims.capacity + next] = token;
  current[row] = token;
}

// The sum of what the tokens from `first` to `end` that reach a threshold have of the probability, unnormalised.
fn share_from(threshold: u32, start: u32, first: u32, end: u32, largest: f32) -> f32 {
  var sum = 0.0;
  for (var j = first; j < end; j++) {
    let logit = logits[start + j];
    if (ordered(logit) >= threshold) { sum += share(logit, largest, false); }
  }
  return sum;
}

fn share(logit: f32, largest: f32, greedy: bool) -> f32 {
  return select(exp((logit - largest) * dims.inverse_temperature), 1.0, greedy);
}

@compute @workgroup_size(64)
fn advance(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.batch) { return; }
  positions[id.x] = min(positions[id.x] + 1u, dims.capacity - 1u);
}
