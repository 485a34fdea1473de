// The product as a CPU wants it, for which workgroup memory and barriers are dear: every invocation reads what it needs.
//
// Each invocation owns ROW_BLOCKS × COLUMN_BLOCKS blocks of 4 × 4 of out in registers. With 4 × 3 blocks a step of k by
// 4 loads 112 floats for 768 multiply-adds; loads cost far more than arithmetic, so the larger tile wins until registers
// run out. WGSL matrices hold columns: a block of A is kept as [k][m], of B as [n][k], so that `a * b` is the 4 × 4
// product with layout [n][m].

fn store_block(block: mat4x4f, row: u32, column: u32) {
  let by_row = transpose(block);
  for (var i = 0u; i < 4u; i++) { store(by_row[i], row + i, column); }
}

// @if FUSED
fn multiply_add(a: mat4x4f, b: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(
    add_column(a, b[0], sum[0]),
    add_column(a, b[1], sum[1]),
    add_column(a, b[2], sum[2]),
    add_column(a, b[3], sum[3]),
  );
}

fn add_column(a: mat4x4f, b: vec4f, sum: vec4f) -> vec4f {
  return fma(a[3], b.wwww, fma(a[2], b.zzzz, fma(a[1], b.yyyy, fma(a[0], b.xxxx, sum))));
}
// @end

@compute @workgroup_size(8, LINES)
fn multiply(@builtin(global_invocation_id) id: vec3u) {
  // The eight invocations that a CPU runs as one vector lie along the longer side of the tile.
// @if ALONG_ROWS
  let row = dims.first_row + id.x * (4u * ROW_BLOCKS);
  let column = dims.first_column + id.y * (4u * COLUMN_BLOCKS);
// @else
  let row = dims.first_row + id.y * (4u * ROW_BLOCKS);
  let column = dims.first_column + id.x * (4u * COLUMN_BLOCKS);
// @end
  if (row >= dims.end_row || column >= dims.end_column) { return; }
// @if A_TRANSPOSED
// @else
// @for i in ROW_BLOCKS
  let rows{i} = a_starts(row + 4u * {i}u, dims.end_row, dims.depth);
// @end
// @end
// @if B_TRANSPOSED
// @for j in COLUMN_BLOCKS
  let columns{j} = b_starts(column + 4u * {j}u, dims.end_column, dims.depth);
// @end
// @end
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
  var sum{i}_{j} = mat4x4f();
// @end
// @end
  for (var k = dims.first_depth; k < dims.end_depth; k += 4u) {
// @if A_TRANSPOSED
    let a_depth = a_starts(k, dims.end_depth, dims.rows);
// @end
// @if B_TRANSPOSED
// @else
    let b_depth = b_starts(k, dims.end_depth, dims.columns);
// @end
// @for i in ROW_BLOCKS
// @if A_TRANSPOSED
    let a{i} = cut(a_block(a_depth, row + 4u * {i}u), k);
// @else
    let a{i} = cut(transpose(a_block(rows{i}, k)), k);
// @end
// @end
// @for j in COLUMN_BLOCKS
// @if B_TRANSPOSED
    let b{j} = b_block(columns{j}, k);
// @else
    let b{j} = transpose(b_block(b_depth, column + 4u * {j}u));
// @end
// @end
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
// @if FUSED
    sum{i}_{j} = multiply_add(a{i}, b{j}, sum{i}_{j});
// @else
    sum{i}_{j} += a{i} * b{j};
// @end
// @end
// @end
  }
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
  store_block(sum{i}_{j}, row + 4u * {i}u, column + 4u * {j}u);
// @end
// @end
}
