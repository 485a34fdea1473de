// Shared by row-wise kernels: LANES invocations of a workgroup work on one row, ROWS rows side by side.
// Sums run over the lanes in a fixed tree, so that results are the same bytes every time. With one lane per row,
// which is faster on a CPU, nothing is shared and nothing waits.

// @if LANES_SHARE
var<workgroup> row_scratch: array<f32, LANES * ROWS>;
// @end

fn row_sum(value: f32, local: vec3u) -> f32 {
// @if LANES_SHARE
  let slot = local.y * LANES + local.x;
  row_scratch[slot] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (local.x < half) { row_scratch[slot] += row_scratch[slot + half]; }
    workgroupBarrier();
  }
  let total = row_scratch[local.y * LANES];
  workgroupBarrier();
  return total;
// @else
  return value;
// @end
}

fn row_max(value: f32, local: vec3u) -> f32 {
// @if LANES_SHARE
  let slot = local.y * LANES + local.x;
  row_scratch[slot] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (local.x < half) { row_scratch[slot] = max(row_scratch[slot], row_scratch[slot + half]); }
    workgroupBarrier();
  }
  let largest = row_scratch[local.y * LANES];
  workgroupBarrier();
  return largest;
// @else
  return value;
// @end
}

// (Σ over lower lanes, Σ over all lanes), both added up from lane 0 on, so that one lane's end is the next one's start.
fn row_before(value: f32, local: vec3u) -> vec2f {
// @if LANES_SHARE
  let first = local.y * LANES;
  row_scratch[first + local.x] = value;
  workgroupBarrier();
  var before = 0.0;
  var total = 0.0;
  for (var lane = 0u; lane < LANES; lane++) {
    if (lane == local.x) { before = total; }
    total += row_scratch[first + lane];
  }
  workgroupBarrier();
  return vec2f(before, total);
// @else
  return vec2f(0.0, value);
// @end
}
