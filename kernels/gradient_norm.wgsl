// The global gradient norm in two passes of fixed order, and what follows from it: the factor that clips gradients to
// `max_norm` (as torch.nn.utils.clip_grad_norm_) and the verdict whether the step may be taken at all.
// status = [norm, clip factor, halted]. A norm that is not finite halts this and every later update, so that the
// weights stay as they were before the bad step until the host, which reads back rarely, has seen it.

struct Dims { count: u32, blocks: u32, first_block: u32, max_norm: f32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<storage, read_write> status: array<f32>;

@compute @workgroup_size(64)
fn sum_squares(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = (group.y * groups.x + group.x) * 64u + lane;
  if (block >= dims.blocks) { return; }
  let end = min((block + 1u) * BLOCK, dims.count);
  var sum = 0.0;
  for (var i = block * BLOCK; i < end; i++) { sum += gradient[i] * gradient[i]; }
  partials[dims.first_block + block] = sum;
}

var<workgroup> lane_sums: array<f32, 64>;

// Comparisons with NaN may be optimised away; the exponent bits may not.
fn is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }

@compute @workgroup_size(64)
fn finish(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < dims.blocks; i += 64u) { sum += partials[i]; }
  lane_sums[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) { return; }
  var total = 0.0;
  for (var i = 0u; i < 64u; i++) { total += lane_sums[i]; }
  let norm = sqrt(total);
  status[0] = norm;
  status[1] = select(1.0, min(1.0, dims.max_norm / (norm + 1e-6)), dims.max_norm > 0.0);
  if (!is_finite(total)) { status[2] = 1.0; }
}
