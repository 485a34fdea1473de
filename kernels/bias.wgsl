// Biases of projections, on [N, M] in cells of four floats where the width allows (cells.wgsl).
//   forward   x[n, :] += bias, in place
//   backward  dbias += Σ_n dy[n, :], the first of two passes: the sums of blocks of BLOCK rows

struct Dims { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> bias: array<StoredCell>; // [M]
@group(0) @binding(2) var<storage, read_write> x: array<StoredCell>; // [N, M]
@group(0) @binding(3) var<storage, read> dy: array<StoredCell>; // [N, M]
@group(0) @binding(4) var<storage, read_write> partial: array<Cell>; // [row blocks, M]

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let cells = dims.width / CELL;
  if (i >= dims.rows * cells) { return; }
  x[i] = StoredCell(Cell(x[i]) + Cell(bias[i % cells]));
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let cells = dims.width / CELL;
  if (id.x >= cells) { return; }
  var sum = Cell();
  let end = min((id.y + 1u) * BLOCK, dims.rows);
  for (var row = id.y * BLOCK; row < end; row++) { sum += Cell(dy[row * cells + id.x]); }
  partial[id.y * cells + id.x] = sum;
}
