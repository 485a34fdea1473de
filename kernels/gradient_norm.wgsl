// The global gradient norm in two passes of fixed order, and what follows from it: the factor that clips gradients to
// `max_norm` (as torch.nn.utils.clip_grad_norm_) and the verdict whether the step may be taken at all.
// status = [norm, factor on gradients, verdict, loss scale, whether an update overflowed]. A norm that is not finite, or an
// update that was not (adamw.wgsl), halts this and every later update, so that the weights stay as they were until the
// host, which reads back rarely, has seen it.
//
// In f16 training (SCALED) gradients come multiplied by the loss scale (Micikevicius et al., 2018), and the factor divides
// by it. An overflow then is no error but the way to find the scale: the step is skipped and the scale halves; after
// `growth_interval` good steps it doubles. The run halts where a smaller scale cannot help: the loss itself is not finite,
// or the scale is down to 1.

struct Dims {
  count: u32, blocks: u32, first_block: u32, max_norm: f32,
// @if SCALED
  growth_interval: u32, beta1: f32, beta2: f32,
// @end
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<storage, read_write> status: array<f32>;
// @if SCALED
@group(0) @binding(4) var<storage, read_write> step: array<f32>;
@group(0) @binding(5) var<storage, read> class_sums: array<f32>; // [4] of the loss
// @end

@compute @workgroup_size(64)
fn sum_squares(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = (group.y * groups.x + group.x) * 64u + lane;
  if (block >= dims.blocks) { return; }
  let end = min((block + 1u) * BLOCK, dims.count);
  var sum = 0.0;
  for (var i = block * BLOCK; i < end; i++) { sum += gradient[i] * gradient[i]; }
  partials[dims.first_block + block] = sum;
}

const halted = 1.0;
const skipped = 2.0;

// Comparisons with NaN may be optimised away; the exponent bits may not.
fn is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }

// @if SCALED
const largest_scale = 4294967296.0; // 2^32: leaves the squares of scaled gradients room in f32

fn scale_and_judge(finite: bool) {
  let scale = step[LOSS_SCALE];
  status[1] /= scale;
  status[3] = scale;
  if (status[OVERFLOWED] != 0.0) { status[2] = halted; }
  if (status[2] == halted) { return; }
  if (finite) {
    status[2] = 0.0;
    let good_steps = step[GOOD_STEPS] + 1.0;
    let grows = good_steps >= f32(dims.growth_interval);
    step[GOOD_STEPS] = select(good_steps, 0.0, grows);
    step[LOSS_SCALE] = select(scale, min(2.0 * scale, largest_scale), grows);
    // 1 − βᵗ from 1 − βᵗ⁻¹, for the t-th update taken.
    step[TAKEN_CORRECTION_1] = dims.beta1 * step[TAKEN_CORRECTION_1] + (1.0 - dims.beta1);
    step[TAKEN_CORRECTION_2] = dims.beta2 * step[TAKEN_CORRECTION_2] + (1.0 - dims.beta2);
    step[BIAS_CORRECTION_1] = step[TAKEN_CORRECTION_1];
    step[BIAS_CORRECTION_2] = step[TAKEN_CORRECTION_2];
    return;
  }
  let loss = class_sums[0] + class_sums[1] + class_sums[2] + class_sums[3];
  if (!is_finite(loss) || scale <= 1.0) {
    status[2] = halted;
    return;
  }
  status[2] = skipped;
  step[LOSS_SCALE] = 0.5 * scale;
  step[GOOD_STEPS] = 0.0;
}
// @end

var<workgroup> lane_sums: array<f32, 64>;

@compute @workgroup_size(64)
fn finish(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < dims.blocks; i += 64u) { sum += partials[i]; }
  lane_sums[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) { return; }
  var total = 0.0;
  for (var i = 0u; i < 64u; i++) { total += lane_sums[i]; }
  var norm = sqrt(total);
// @if SCALED
  norm /= step[LOSS_SCALE];
// @end
  status[0] = norm;
  status[1] = select(1.0, min(1.0, dims.max_norm / (norm + 1e-6)), dims.max_norm > 0.0);
// @if SCALED
  scale_and_judge(is_finite(total));
// @else
  if (!is_finite(total) || status[OVERFLOWED] != 0.0) { status[2] = halted; }
// @end
}
