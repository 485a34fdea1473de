// out[c] += Σ_r x[r, c]: the second pass of every column sum, in row order, so without atomics and reproducible.

struct Dims { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn sum_rows(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= dims.width) { return; }
  var sum = out[column];
  for (var row = 0u; row < dims.rows; row++) { sum += x[row * dims.width + column]; }
  out[column] = sum;
}
