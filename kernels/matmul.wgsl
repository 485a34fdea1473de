// out[m, n] = Σ_k A[m, k] · B[k, n], where either operand may be stored transposed, optionally added to out.
//
// Each invocation owns ROW_BLOCKS × COLUMN_BLOCKS blocks of 4 × 4 of out in registers. With 3 × 2 blocks a step of k by
// 4 loads 80 floats for 384 multiply-adds; loads cost far more than arithmetic, so the larger tile wins until registers
// run out. WGSL matrices hold columns: a block of A is kept as [k][m], of B as [n][k], so that `a * b` is the 4 × 4
// product with layout [n][m].

struct Dims { rows: u32, columns: u32, depth: u32 }

@group(0) @binding(0) var<uniform> dims: Dims;
// @if A_VECTORS
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
// @else
@group(0) @binding(1) var<storage, read> a: array<f32>;
// @end
// @if B_VECTORS
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
// @else
@group(0) @binding(2) var<storage, read> b: array<f32>;
// @end
// @if OUT_VECTORS
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
// @else
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
// @end

// Where four neighbouring lines of `width` elements begin. Lines past the last repeat it: what comes of them is either
// multiplied by zero or never stored.
fn lines(first: u32, count: u32, width: u32) -> vec4u {
  return min(first + vec4u(0u, 1u, 2u, 3u), vec4u(count - 1u)) * width;
}

fn a_vector(at: u32) -> vec4f {
// @if A_VECTORS
  return a[at / 4u];
// @else
  return vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]);
// @end
}

fn b_vector(at: u32) -> vec4f {
// @if B_VECTORS
  return b[at / 4u];
// @else
  return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
// @end
}

fn a_lines(starts: vec4u, at: u32) -> mat4x4f {
  let s = starts + at;
  return mat4x4f(a_vector(s.x), a_vector(s.y), a_vector(s.z), a_vector(s.w));
}

fn b_lines(starts: vec4u, at: u32) -> mat4x4f {
  let s = starts + at;
  return mat4x4f(b_vector(s.x), b_vector(s.y), b_vector(s.z), b_vector(s.w));
}

// Zeroes what lies past the depth in a block of A, [k][m].
fn cut(block: mat4x4f, k: u32) -> mat4x4f {
// @if RAGGED_DEPTH
  let inside = k + vec4u(0u, 1u, 2u, 3u) < vec4u(dims.depth);
  return mat4x4f(
    select(vec4f(), block[0], inside.x),
    select(vec4f(), block[1], inside.y),
    select(vec4f(), block[2], inside.z),
    select(vec4f(), block[3], inside.w),
  );
// @else
  return block;
// @end
}

fn store(block: mat4x4f, row: u32, column: u32) {
  let by_row = transpose(block);
  for (var i = 0u; i < 4u; i++) {
    if (row + i >= dims.rows || column >= dims.columns) { continue; }
    let at = (row + i) * dims.columns + column;
// @if OUT_VECTORS
// @if ACCUMULATE
    out[at / 4u] += by_row[i];
// @else
    out[at / 4u] = by_row[i];
// @end
// @else
    for (var j = 0u; j < 4u && column + j < dims.columns; j++) {
// @if ACCUMULATE
      out[at + j] += by_row[i][j];
// @else
      out[at + j] = by_row[i][j];
// @end
    }
// @end
  }
}

@compute @workgroup_size(8, 8)
fn multiply(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y * (4u * ROW_BLOCKS);
  let column = id.x * (4u * COLUMN_BLOCKS);
  if (row >= dims.rows || column >= dims.columns) { return; }
// @if A_TRANSPOSED
// @else
// @for i in ROW_BLOCKS
  let rows{i} = lines(row + 4u * {i}u, dims.rows, dims.depth);
// @end
// @end
// @if B_TRANSPOSED
// @for j in COLUMN_BLOCKS
  let columns{j} = lines(column + 4u * {j}u, dims.columns, dims.depth);
// @end
// @end
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
  var sum{i}_{j} = mat4x4f();
// @end
// @end
  for (var k = 0u; k < dims.depth; k += 4u) {
// @if A_TRANSPOSED
    let a_depth = lines(k, dims.depth, dims.rows);
// @end
// @if B_TRANSPOSED
// @else
    let b_depth = lines(k, dims.depth, dims.columns);
// @end
// @for i in ROW_BLOCKS
// @if A_TRANSPOSED
    let a{i} = cut(a_lines(a_depth, row + 4u * {i}u), k);
// @else
    let a{i} = cut(transpose(a_lines(rows{i}, k)), k);
// @end
// @end
// @for j in COLUMN_BLOCKS
// @if B_TRANSPOSED
    let b{j} = b_lines(columns{j}, k);
// @else
    let b{j} = transpose(b_lines(b_depth, column + 4u * {j}u));
// @end
// @end
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
    sum{i}_{j} += a{i} * b{j};
// @end
// @end
  }
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
  store(sum{i}_{j}, row + 4u * {i}u, column + 4u * {j}u);
// @end
// @end
}
