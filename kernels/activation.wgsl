// Element-wise: addition, scaling in place, SwiGLU y = silu(gate) · up, GELU x · Φ(x), and its tanh form, as in GPT-2.
//   silu(g) = g · σ(g),  silu'(g) = σ(g) · (1 + g · (1 − σ(g)))

struct Dims { count: u32, factor: f32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<Stored>;
@group(0) @binding(2) var<storage, read> b: array<Stored>;
@group(0) @binding(3) var<storage, read_write> y: array<Stored>;
@group(0) @binding(4) var<storage, read> dy: array<Stored>;
@group(0) @binding(5) var<storage, read_write> da: array<Stored>;
@group(0) @binding(6) var<storage, read_write> db: array<Stored>;

fn position(group: vec3u, groups: vec3u, lane: u32) -> u32 {
  return (group.y * groups.x + group.x) * 64u + lane;
}

@compute @workgroup_size(64)
fn add(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = position(group, groups, lane);
  if (i >= dims.count) { return; }
  y[i] = Stored(f32(a[i]) + f32(b[i]));
}

@compute @workgroup_size(64)
fn scale(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = position(group, groups, lane);
  if (i >= dims.count) { return; }
  y[i] = Stored(f32(y[i]) * dims.factor);
}

@compute @workgroup_size(64)
fn swiglu_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = position(group, groups, lane);
  if (i >= dims.count) { return; }
  let gate = f32(a[i]);
  y[i] = Stored(gate / (1.0 + exp(-gate)) * f32(b[i]));
}

@compute @workgroup_size(64)
fn swiglu_backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = position(group, groups, lane);
  if (i >= dims.count) { return; }
  let gate = f32(a[i]);
  let sigmoid = 1.0 / (1.0 + exp(-gate));
  let gradient = f32(dy[i]);
  da[i] = Stored(gradient * f32(b[i]) * sigmoid * (1.0 + gate * (1.0 - sigmoid)));
  db[i] = Stored(gradient * gate * sigmoid);
}

const sqrt_2_over_pi = 0.7978845608028654;

// tanh(u) = 1 − 2 / (e^{2u} + 1) stays finite where a compiler's own tanh overflows.
fn bounded_tanh(u: f32) -> f32 { return 1.0 - 2.0 / (exp(2.0 * clamp(u, -15.0, 15.0)) + 1.0); }

@compute @workgroup_size(64)
fn gelu_tanh_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = position(group, groups, lane);
  if (i >= dims.count) { return; }
  let x = f32(a[i]);
  y[i] = Stored(0.5 * x * (1.0 + bounded_tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x))));
}

@compute @workgroup_size(64)
fn gelu_tanh_backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = position(group, groups, lane);
  if (i >= dims.count) { return; }
  let x = f32(a[i]);
  let t = bounded_tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x));
  let slope = sqrt_2_over_pi * (1.0 + 3.0 * 0.044715 * x * x);
  da[i] = Stored(f32(dy[i]) * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope));
}

// Φ(x) = erfc(−x/√2) / 2, with erfc to 1.2e-7 of itself everywhere (Press et al., Numerical Recipes, erfcc).
fn normal_cdf(x: f32) -> f32 {
  let z = abs(x) * 0.7071067811865476;
  let t = 1.0 / (1.0 + 0.5 * z);
  let series = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 +
    t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  let tail = 0.5 * t * exp(series - z * z);
  return select(tail, 1.0 - tail, x >= 0.0);
}

@compute @workgroup_size(64)
fn gelu_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = position(group, groups, lane);
  if (i >= dims.count) { return; }
  let x = f32(a[i]);
  y[i] = Stored(x * normal_cdf(x));
}

@compute @workgroup_size(64)
fn gelu_backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = position(group, groups, lane);
  if (i >= dims.count) { return; }
  let x = f32(a[i]);
  let density = 0.3989422804014327 * exp(-0.5 * x * x);
  da[i] = Stored(f32(dy[i]) * (normal_cdf(x) + x * density));
}
