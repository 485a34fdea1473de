// The selective loss. A token's loss depends on its logits z through one number only, its log-odds
//   m = z_y − LSE(z without y),   log p_y = −softplus(−m),   log(1 − p_y) = −softplus(m).
// A term is a value and its slope d value/d m, chosen by the token's class: `fn term(class_of_token, m, w)`, where w is
// the token's weight, is written by src/slung/objective.ts and stands before this text:
//   cross-entropy softplus(−m),  unlikelihood softplus(m),  masked: no term.
// With q_j = exp(z_j − LSE(z without y)), the softmax over the other tokens, every term has the bounded gradient
//   dz_y = g,   dz_j = −g · q_j,   g = weight · slope / Z,
// which is exact however large the logits are. Rows come in chunks, so that no [N, V] array exists: `score` turns a
// chunk's logits into losses and overwrites them by their gradient. Rows listed as `none` pad the last chunk.
// Hidden states may be stored in f16; logits and losses are f32, and the gradient is then multiplied by the loss scale.

struct Dims { rows: u32, vocabulary: u32, first: u32, width: u32, listed: u32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> active_rows: array<u32>; // [N] rows with a term, then `none`
@group(0) @binding(2) var<storage, read> targets: array<u32>; // [N]
@group(0) @binding(3) var<storage, read> classes: array<u32>; // [N] class of the target
@group(0) @binding(4) var<storage, read> weights: array<f32>; // [N]
@group(0) @binding(5) var<storage, read> step: array<f32>; // [INVERSE_DIVISOR] = 1/Z
@group(0) @binding(6) var<storage, read_write> logits: array<Cell>; // [chunk, V]
@group(0) @binding(7) var<storage, read_write> losses: array<f32>; // [N] value of the row's term
@group(0) @binding(8) var<storage, read_write> log_odds: array<f32>; // [N] m
@group(0) @binding(9) var<storage, read> hidden: array<Stored>; // [N, C]
@group(0) @binding(10) var<storage, read_write> chunk: array<Stored>; // [chunk, C]
@group(0) @binding(11) var<storage, read_write> dhidden: array<Stored>; // [N, C]
@group(0) @binding(12) var<storage, read> dchunk: array<f32>; // [chunk, C]
@group(0) @binding(13) var<storage, read_write> class_sums: array<f32>; // [4] Σ weight · value by class

const none = 0xffffffffu;
const lowest = -3.4e38;

// The row in a slot of this chunk; the last chunk may reach past the list.
fn row_in(slot: u32) -> u32 {
  let at = dims.first + slot;
  return select(none, active_rows[min(at, dims.listed - 1u)], at < dims.listed);
}

// log(1 + x) for 0 ≤ x ≤ 1, as 2 artanh(x / (2 + x)) to f32. The usual trick divides by (1 + x) − 1, which compilers
// are free to simplify to x, and do: the loss of a well-known token was then off by 6 % at 1 − p = 2e-7.
fn log1p(x: f32) -> f32 {
  let s = x / (2.0 + x);
  let t = s * s;
  let tail = 1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0 + t * (1.0 / 15.0)));
  return 2.0 * s * (1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t * tail))));
}
fn softplus(x: f32) -> f32 { return max(x, 0.0) + log1p(exp(-abs(x))); }
fn sigmoid(x: f32) -> f32 {
  let small = exp(-abs(x));
  return select(small, 1.0, x >= 0.0) / (1.0 + small);
}

struct Term { value: f32, slope: f32 }

@compute @workgroup_size(64)
fn gather(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= dims.rows * dims.width) { return; }
  let row = row_in(i / dims.width);
  var value = Stored(0.0);
  if (row != none) { value = hidden[row * dims.width + i % dims.width]; }
  chunk[i] = value;
}

@compute @workgroup_size(64)
fn scatter(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= dims.rows * dims.width) { return; }
  let row = row_in(i / dims.width);
  if (row != none) { dhidden[row * dims.width + i % dims.width] = Stored(dchunk[i]); }
}

// Rows are read in cells (cells.wgsl), which is faster, and keeps loops short: Mesa's software adapter ends an
// invocation's loops after 65,535 rounds in all, without an error.
@compute @workgroup_size(LANES * ROWS)
fn score(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let lane = lane_of(invocation);
  let slot = row_of(group, groups, invocation);
  let inside = slot < dims.rows;
  let cells = dims.vocabulary / CELL;
  let start = min(slot, dims.rows - 1u) * cells;
  let row = row_in(min(slot, dims.rows - 1u));
  let padding = row == none;
  let target_token = targets[select(row, 0u, padding)];

  // Log-sum-exp over all tokens but the target, in one pass: the sum shrinks whenever the maximum grows.
  var largest = lowest;
  var sum = 0.0;
  for (var j = lane; j < cells; j += LANES) {
    let at_target = is_column(j, target_token);
    let z = select(logits[start + j], Cell(lowest), at_target);
    let new_largest = max(largest, largest_of(z));
    let shares = select(exp(z - new_largest), Cell(), at_target);
    sum = sum * exp(largest - new_largest) + total(shares);
    largest = new_largest;
  }
  let row_largest = row_max(largest, lane);
  let rest = row_largest + log(row_sum(sum * exp(largest - row_largest), lane));
  let target_cell = target_token / CELL;
  let target_logit = select(Cell(), logits[start + target_cell], is_column(target_cell, target_token));
  let m = total(target_logit) - rest;
// @if LANES_SHARE
  workgroupBarrier(); // every lane has read the target's logit before one of them overwrites it
// @end
  if (!inside) { return; }
  let row_class = classes[select(row, 0u, padding)];
  let weight = weights[select(row, 0u, padding)];
  let row_term = term(row_class, m, weight);
  if (!padding && lane == 0u) {
    losses[row] = row_term.value;
    log_odds[row] = m;
  }
// @if GRADIENT
  var gradient = 0.0;
  if (!padding) { gradient = weight * row_term.slope * step[INVERSE_DIVISOR]; }
// @if SCALED
  gradient *= step[LOSS_SCALE];
// @end
  for (var j = lane; j < cells; j += LANES) {
    let q = exp(logits[start + j] - rest);
    logits[start + j] = gradient * select(-q, Cell(1.0), is_column(j, target_token));
  }
// @end
}

// Adds Σ weight · value by class. Each of 64 lanes sums every 64th active row, then lane 0 the lanes: a fixed order.
var<workgroup> lane_sums: array<vec4f, 64>;

@compute @workgroup_size(64)
fn sum_by_class(@builtin(local_invocation_index) lane: u32) {
  var sums = vec4f();
  for (var i = lane; i < dims.rows; i += 64u) {
    let row = active_rows[i];
    if (row == none) { break; }
    let value = weights[row] * losses[row];
    sums += select(vec4f(), vec4f(value), vec4u(0u, 1u, 2u, 3u) == vec4u(classes[row]));
  }
  lane_sums[lane] = sums;
  workgroupBarrier();
  if (lane != 0u) { return; }
  var total = vec4f(class_sums[0], class_sums[1], class_sums[2], class_sums[3]);
  for (var i = 0u; i < 64u; i++) { total += lane_sums[i]; }
  for (var c = 0u; c < 4u; c++) { class_sums[c] = total[c]; }
}
