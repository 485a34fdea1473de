// Layer norm   y = (x − mean(x)) · r · weight + bias,   r = 1/sqrt(variance(x) + ε)
// RMS norm     y = x · r · weight,                       r = 1/sqrt(mean(x²) + ε)
// over rows of [N, C]. OLMo's layer norm has neither weight nor bias. Mean and r of each row are kept for backward:
//   dx = r · (g − mean(g) − x̂ · mean(g · x̂)),  g = dy · weight,  x̂ = (x − mean) · r     (RMS: without mean(g))
// dx is added to what is there: the gradient of the residual stream flows past the norm as well as through it.
// Rows are read in cells of four floats where the width allows (cells.wgsl).

struct Dims { rows: u32, width: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<StoredCell>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2f>; // [N] of (mean, r)
@group(0) @binding(3) var<storage, read_write> y: array<StoredCell>;
// @if WEIGHT
@group(0) @binding(4) var<storage, read> weight: array<StoredCell>;
// @end
// @if BIAS
@group(0) @binding(5) var<storage, read> bias: array<StoredCell>;
// @end
@group(0) @binding(6) var<storage, read> dy: array<StoredCell>;
@group(0) @binding(7) var<storage, read_write> dx: array<StoredCell>;
@group(0) @binding(8) var<storage, read_write> partial_weight: array<Cell>; // [row blocks, C]
@group(0) @binding(9) var<storage, read_write> partial_bias: array<Cell>;

fn scaled(gradient: Cell, column: u32) -> Cell {
// @if WEIGHT
  return gradient * Cell(weight[column]);
// @else
  return gradient;
// @end
}

@compute @workgroup_size(LANES * ROWS)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let lane = lane_of(invocation);
  let row = row_of(group, groups, invocation);
  let inside = row < dims.rows;
  let cells = dims.width / CELL;
  let start = min(row, dims.rows - 1u) * cells;
  let width = f32(dims.width);
  var mean = 0.0;
// @if CENTERED
  var sum = 0.0;
  for (var c = lane; c < cells; c += LANES) { sum += total(Cell(x[start + c])); }
  mean = row_sum(sum, lane) / width;
// @end
  var squares = 0.0;
  for (var c = lane; c < cells; c += LANES) {
    let centered = Cell(x[start + c]) - mean;
    squares += total(centered * centered);
  }
  let r = inverseSqrt(row_sum(squares, lane) / width + dims.epsilon);
  if (!inside) { return; }
  if (lane == 0u) { statistics[row] = vec2f(mean, r); }
  for (var c = lane; c < cells; c += LANES) {
    var value = (Cell(x[start + c]) - mean) * r;
// @if WEIGHT
    value *= Cell(weight[c]);
// @end
// @if BIAS
    value += Cell(bias[c]);
// @end
    y[start + c] = StoredCell(value);
  }
}

@compute @workgroup_size(LANES * ROWS)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let lane = lane_of(invocation);
  let row = row_of(group, groups, invocation);
  let inside = row < dims.rows;
  let cells = dims.width / CELL;
  let start = min(row, dims.rows - 1u) * cells;
  let moments = statistics[min(row, dims.rows - 1u)];
  var sum = 0.0;
  var dot_product = 0.0;
  for (var c = lane; c < cells; c += LANES) {
    let g = scaled(Cell(dy[start + c]), c);
    sum += total(g);
    dot_product += total(g * (Cell(x[start + c]) - moments.x)) * moments.y;
  }
  let width = f32(dims.width);
  var mean_g = 0.0;
// @if CENTERED
  mean_g = row_sum(sum, lane) / width;
// @end
  let mean_gx = row_sum(dot_product, lane) / width;
  if (!inside) { return; }
  for (var c = lane; c < cells; c += LANES) {
    let normalized = (Cell(x[start + c]) - moments.x) * moments.y;
    let g = scaled(Cell(dy[start + c]), c);
    dx[start + c] = StoredCell(Cell(dx[start + c]) + moments.y * (g - mean_g - normalized * mean_gx));
  }
}

// Gradients of weight and bias, first of two passes: each invocation sums one cell's column over a block of BLOCK rows.
@compute @workgroup_size(64)
fn backward_parameters(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  let cells = dims.width / CELL;
  if (column >= cells) { return; }
  var weight_sum = Cell();
  var bias_sum = Cell();
  let end = min((id.y + 1u) * BLOCK, dims.rows);
  for (var row = id.y * BLOCK; row < end; row++) {
    let at = row * cells + column;
    let moments = statistics[row];
    let gradient = Cell(dy[at]);
    weight_sum += gradient * (Cell(x[at]) - moments.x) * moments.y;
    bias_sum += gradient;
  }
  partial_weight[id.y * cells + column] = weight_sum;
// @if BIAS
  partial_bias[id.y * cells + column] = bias_sum;
// @end
}
