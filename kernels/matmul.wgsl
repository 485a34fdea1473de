// out[m, n] = Σ_k A[m, k] · B[k, n], where either operand may be stored transposed, optionally added to out.
//
// Each invocation owns an 8 × 8 tile of out in registers, as four 4 × 4 matrices: per step of k by 4 it loads 64 floats
// and does 512 multiply-adds. WGSL matrices hold columns: a block of A is kept as [k][m], of B as [n][k], so that
// `a * b` is the 4 × 4 product and [n][m] its layout.

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

// Four neighbours of one stored line of A; `width` is the length of a line.
fn a_line(line: u32, start: u32, width: u32) -> vec4f {
// @if A_VECTORS
  return a[(line * width + start) / 4u];
// @else
  let at = line * width + start;
  return vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]);
// @end
}

fn b_line(line: u32, start: u32, width: u32) -> vec4f {
// @if B_VECTORS
  return b[(line * width + start) / 4u];
// @else
  let at = line * width + start;
  return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
// @end
}

// Rows past the end repeat the last one: what they compute is never stored.
fn a_block(row: u32, k: u32) -> mat4x4f {
// @if A_TRANSPOSED
  let last = dims.depth - 1u;
  var block = mat4x4f(
    a_line(k, row, dims.rows),
    a_line(min(k + 1u, last), row, dims.rows),
    a_line(min(k + 2u, last), row, dims.rows),
    a_line(min(k + 3u, last), row, dims.rows),
  );
// @else
  let last = dims.rows - 1u;
  var block = transpose(mat4x4f(
    a_line(min(row, last), k, dims.depth),
    a_line(min(row + 1u, last), k, dims.depth),
    a_line(min(row + 2u, last), k, dims.depth),
    a_line(min(row + 3u, last), k, dims.depth),
  ));
// @end
// @if RAGGED_DEPTH
  for (var i = 1u; i < 4u; i++) {
    if (k + i >= dims.depth) { block[i] = vec4f(); }
  }
// @end
  return block;
}

fn b_block(k: u32, column: u32) -> mat4x4f {
// @if B_TRANSPOSED
  let last = dims.columns - 1u;
  return mat4x4f(
    b_line(min(column, last), k, dims.depth),
    b_line(min(column + 1u, last), k, dims.depth),
    b_line(min(column + 2u, last), k, dims.depth),
    b_line(min(column + 3u, last), k, dims.depth),
  );
// @else
  let last = dims.depth - 1u;
  return transpose(mat4x4f(
    b_line(k, column, dims.columns),
    b_line(min(k + 1u, last), column, dims.columns),
    b_line(min(k + 2u, last), column, dims.columns),
    b_line(min(k + 3u, last), column, dims.columns),
  ));
// @end
}

fn store(block: mat4x4f, row: u32, column: u32) {
  let lines = transpose(block);
  for (var i = 0u; i < 4u; i++) {
    if (row + i >= dims.rows || column >= dims.columns) { continue; }
    let at = (row + i) * dims.columns + column;
// @if OUT_VECTORS
// @if ACCUMULATE
    out[at / 4u] += lines[i];
// @else
    out[at / 4u] = lines[i];
// @end
// @else
    for (var j = 0u; j < 4u && column + j < dims.columns; j++) {
// @if ACCUMULATE
      out[at + j] += lines[i][j];
// @else
      out[at + j] = lines[i][j];
// @end
    }
// @end
  }
}

@compute @workgroup_size(8, 8)
fn multiply(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y * 8u;
  let column = id.x * 8u;
  if (row >= dims.rows || column >= dims.columns) { return; }
  var c00 = mat4x4f();
  var c01 = mat4x4f();
  var c10 = mat4x4f();
  var c11 = mat4x4f();
  for (var k = 0u; k < dims.depth; k += 4u) {
    let a0 = a_block(row, k);
    let a1 = a_block(row + 4u, k);
    let b0 = b_block(k, column);
    let b1 = b_block(k, column + 4u);
    c00 += a0 * b0;
    c01 += a0 * b1;
    c10 += a1 * b0;
    c11 += a1 * b1;
  }
  store(c00, row, column);
  store(c01, row, column + 4u);
  store(c10, row + 4u, column);
  store(c11, row + 4u, column + 4u);
}
