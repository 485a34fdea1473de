// Shared by row-wise kernels: all LANES invocations of a workgroup work on one row, or each of its ROWS invocations on a
// row of its own, which is faster on a CPU, where nothing is shared and nothing waits. Invocations lie along one axis:
// Mesa's software adapter computes eight at a time, and only neighbours along x.
// Sums run over the lanes in a fixed tree, so that results are the same bytes every time. Where the adapter has subgroups,
// the lanes of each combine without waiting, then every subgroup combines the results of all, each of its lanes taking
// every `size`-th. How many lanes a subgroup has is counted, since it may be larger than the workgroup.

fn lane_of(invocation: u32) -> u32 { return invocation % LANES; }
fn row_of(group: vec3u, groups: vec3u, invocation: u32) -> u32 {
  return (group.y * groups.x + group.x) * ROWS + invocation / LANES;
}

// @if LANES_SHARE
var<workgroup> row_scratch: array<f32, LANES>;
// @end

fn row_sum(value: f32, lane: u32) -> f32 {
// @if SUBGROUPS
  let position = subgroupExclusiveAdd(1u);
  let size = subgroupAdd(1u);
  let own = subgroupAdd(value);
  row_scratch[lane] = select(0.0, own, position == 0u);
  workgroupBarrier();
  var others = 0.0;
  for (var i = position; i < LANES; i += size) { others += row_scratch[i]; }
  let total = subgroupAdd(others);
  workgroupBarrier();
  return total;
// @else
// @if LANES_SHARE
  row_scratch[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { row_scratch[lane] += row_scratch[lane + half]; }
    workgroupBarrier();
  }
  let total = row_scratch[0];
  workgroupBarrier();
  return total;
// @else
  return value;
// @end
// @end
}

fn row_max(value: f32, lane: u32) -> f32 {
// @if SUBGROUPS
  let position = subgroupExclusiveAdd(1u);
  let size = subgroupAdd(1u);
  row_scratch[lane] = subgroupMax(value);
  workgroupBarrier();
  var others = value;
  for (var i = position; i < LANES; i += size) { others = max(others, row_scratch[i]); }
  let largest = subgroupMax(others);
  workgroupBarrier();
  return largest;
// @else
// @if LANES_SHARE
  row_scratch[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { row_scratch[lane] = max(row_scratch[lane], row_scratch[lane + half]); }
    workgroupBarrier();
  }
  let largest = row_scratch[0];
  workgroupBarrier();
  return largest;
// @else
  return value;
// @end
// @end
}

// (Σ over lower lanes, Σ over all lanes), both added up from lane 0 on, so that one lane's end is the next one's start.
fn row_before(value: f32, lane: u32) -> vec2f {
// @if LANES_SHARE
  row_scratch[lane] = value;
  workgroupBarrier();
  var before = 0.0;
  var total = 0.0;
  for (var i = 0u; i < LANES; i++) {
    if (i == lane) { before = total; }
    total += row_scratch[i];
  }
  workgroupBarrier();
  return vec2f(before, total);
// @else
  return vec2f(0.0, value);
// @end
}
