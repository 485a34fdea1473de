// AdamW with decoupled weight decay (Loshchilov & Hutter, 2019), as torch.optim.AdamW:
//   w −= lr · decay · w;  m = β₁m + (1−β₁)g;  v = β₂v + (1−β₂)g²;  w −= lr · m̂ / (√v̂ + ε)
// over a whole arena of parameters in one dispatch. Nothing is updated when the step is skipped or the run halted
// (gradient_norm.wgsl). A model in f16 reads a rounded copy of the weights, which is made here.
// An update that is not finite (a rate or a moment that is too large) is not made: the weight keeps its value, and
// status[OVERFLOWED] halts the steps after this one.

struct Dims { count: u32, decay: f32, beta1: f32, beta2: f32, epsilon: f32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> step: array<f32>;
@group(0) @binding(2) var<storage, read_write> status: array<f32>;
@group(0) @binding(3) var<storage, read> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> first_moment: array<f32>;
@group(0) @binding(6) var<storage, read_write> second_moment: array<f32>;
// @if COPY
@group(0) @binding(7) var<storage, read_write> copy: array<Stored>;
// @end

// Comparisons with NaN may be optimised away; the exponent bits may not.
fn is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }

@compute @workgroup_size(64)
fn update(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= dims.count || status[2] != 0.0) { return; }
  let g = gradient[i] * status[1];
  let m = dims.beta1 * first_moment[i] + (1.0 - dims.beta1) * g;
  let v = dims.beta2 * second_moment[i] + (1.0 - dims.beta2) * g * g;
  let rate = step[LEARNING_RATE];
  let deviation = sqrt(v / step[BIAS_CORRECTION_2]) + dims.epsilon;
  let decayed = weight[i] * (1.0 - rate * dims.decay);
  let updated = decayed - rate * (m / step[BIAS_CORRECTION_1]) / deviation;
  var finite = is_finite(m) && is_finite(v) && is_finite(updated);
// @if COPY
  finite = finite && abs(updated) <= LARGEST_COPY;
// @end
  if (!finite) {
    status[OVERFLOWED] = 1.0; // whoever writes it, writes the same
    return;
  }
  first_moment[i] = m;
  second_moment[i] = v;
  weight[i] = updated;
// @if COPY
  copy[i] = Stored(updated);
// @end
}
