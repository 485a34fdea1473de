// out[m, n] = Σ_k A[m, k] · B[k, n] (+ addend[m, n]), where either operand may be stored transposed.
//
// Each invocation owns ROW_BLOCKS × COLUMN_BLOCKS blocks of 4 × 4 of out in registers. With 4 × 3 blocks a step of k by
// 4 loads 112 floats for 768 multiply-adds; loads cost far more than arithmetic, so the larger tile wins until registers
// run out. WGSL matrices hold columns: a block of A is kept as [k][m], of B as [n][k], so that `a * b` is the 4 × 4
// product with layout [n][m].
//
// An operand is stored as lines: rows of A or of B's transpose, or else one line per k. A texture holds some of the lines,
// from `a_line` or `b_line` on, row after row of TEXTURE_WIDTH texels; the dispatch covers the part of the product that
// they reach.

struct Dims {
  rows: u32, columns: u32, depth: u32,
  first_row: u32, end_row: u32, first_column: u32, end_column: u32, first_depth: u32, end_depth: u32,
  a_line: u32, b_line: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
// @if A_TEXTURE
@group(0) @binding(1) var a: texture_2d<f32>;
// @else
// @if A_VECTORS
@group(0) @binding(1) var<storage, read> a: array<vec4<A>>;
// @else
@group(0) @binding(1) var<storage, read> a: array<A>;
// @end
// @end
// @if B_TEXTURE
@group(0) @binding(2) var b: texture_2d<f32>;
// @else
// @if B_VECTORS
@group(0) @binding(2) var<storage, read> b: array<vec4<B>>;
// @else
@group(0) @binding(2) var<storage, read> b: array<B>;
// @end
// @end
// @if OUT_VECTORS
@group(0) @binding(3) var<storage, read_write> out: array<vec4<Out>>;
// @else
@group(0) @binding(3) var<storage, read_write> out: array<Out>;
// @end
// @if ADDEND
// @if OUT_VECTORS
@group(0) @binding(4) var<storage, read> addend: array<vec4<Out>>;
// @else
@group(0) @binding(4) var<storage, read> addend: array<Out>;
// @end
// @end

// The first elements of four neighbouring lines. Lines past the last repeat it: what comes of them is either multiplied
// by zero or never stored.
fn a_starts(first: u32, end: u32, width: u32) -> vec4u {
  let at = min(first + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
// @if A_TEXTURE
  return (at - dims.a_line) * width;
// @else
  return at * width;
// @end
}

fn b_starts(first: u32, end: u32, width: u32) -> vec4u {
  let at = min(first + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
// @if B_TEXTURE
  return (at - dims.b_line) * width;
// @else
  return at * width;
// @end
}

fn a_vector(start: u32, at: u32) -> vec4f {
  let i = start + at;
// @if A_TEXTURE
  let texel = i / 4u;
  return textureLoad(a, vec2u(texel % TEXTURE_WIDTH, texel / TEXTURE_WIDTH), 0);
// @else
// @if A_VECTORS
  return vec4f(a[i / 4u]);
// @else
  return vec4f(vec4<A>(a[i], a[i + 1u], a[i + 2u], a[i + 3u]));
// @end
// @end
}

fn b_vector(start: u32, at: u32) -> vec4f {
  let i = start + at;
// @if B_TEXTURE
  let texel = i / 4u;
  return textureLoad(b, vec2u(texel % TEXTURE_WIDTH, texel / TEXTURE_WIDTH), 0);
// @else
// @if B_VECTORS
  return vec4f(b[i / 4u]);
// @else
  return vec4f(vec4<B>(b[i], b[i + 1u], b[i + 2u], b[i + 3u]));
// @end
// @end
}

fn a_block(s: vec4u, at: u32) -> mat4x4f {
  return mat4x4f(a_vector(s.x, at), a_vector(s.y, at), a_vector(s.z, at), a_vector(s.w, at));
}

fn b_block(s: vec4u, at: u32) -> mat4x4f {
  return mat4x4f(b_vector(s.x, at), b_vector(s.y, at), b_vector(s.z, at), b_vector(s.w, at));
}

// Zeroes what lies past the depth in a block of A, [k][m].
fn cut(block: mat4x4f, k: u32) -> mat4x4f {
// @if RAGGED_DEPTH
  let inside = k + vec4u(0u, 1u, 2u, 3u) < vec4u(dims.end_depth);
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
    if (row + i >= dims.end_row || column >= dims.end_column) { continue; }
    let at = (row + i) * dims.columns + column;
// @if OUT_VECTORS
    var value = by_row[i];
// @if ACCUMULATE
    value += vec4f(out[at / 4u]);
// @end
// @if ADDEND
    value += vec4f(addend[at / 4u]);
// @end
    out[at / 4u] = vec4<Out>(value);
// @else
    for (var j = 0u; j < 4u && column + j < dims.end_column; j++) {
      var value = by_row[i][j];
// @if ACCUMULATE
      value += f32(out[at + j]);
// @end
// @if ADDEND
      value += f32(addend[at + j]);
// @end
      out[at + j] = Out(value);
    }
// @end
  }
}

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

// @if SHARED
// The same product with both operands staged in workgroup memory, 16 steps of k at a time: what a GPU wants, whose
// registers are few and whose shared memory is fast. 64 invocations own a tile of 64 × 64, each its 8 × 8 of it. A tile
// keeps an operand's lines as they are stored, one vec4 of padding after each against bank conflicts.
const depth_step = 16u;
const by_line = depth_step / 4u + 1u; // vec4 per line of k's
const by_depth = 64u / 4u + 1u; // vec4 per line of rows or columns
var<workgroup> a_tile: array<vec4f, 64u * by_line>; // 320 vec4, more than 16 lines of by_depth
var<workgroup> b_tile: array<vec4f, 64u * by_line>;

fn a_staged(line: u32, k: u32) -> mat4x4f {
// @if A_TRANSPOSED
  let at = k * by_depth + line / 4u;
  return mat4x4f(a_tile[at], a_tile[at + by_depth], a_tile[at + 2u * by_depth], a_tile[at + 3u * by_depth]);
// @else
  let at = line * by_line + k / 4u;
  return transpose(mat4x4f(a_tile[at], a_tile[at + by_line], a_tile[at + 2u * by_line], a_tile[at + 3u * by_line]));
// @end
}

fn b_staged(line: u32, k: u32) -> mat4x4f {
// @if B_TRANSPOSED
  let at = line * by_line + k / 4u;
  return mat4x4f(b_tile[at], b_tile[at + by_line], b_tile[at + 2u * by_line], b_tile[at + 3u * by_line]);
// @else
  let at = k * by_depth + line / 4u;
  return transpose(mat4x4f(b_tile[at], b_tile[at + by_depth], b_tile[at + 2u * by_depth], b_tile[at + 3u * by_depth]));
// @end
}

// Zeroes the elements of a vector along k that lie past the depth.
fn inside_depth(value: vec4f, k: u32) -> vec4f {
  return select(vec4f(), value, k + vec4u(0u, 1u, 2u, 3u) < vec4u(dims.end_depth));
}

fn stage(invocation: u32, first_row: u32, first_column: u32, k: u32) {
  for (var i = invocation; i < 256u; i += 64u) {
// @if A_TRANSPOSED
    let a_k = k + i / 16u;
    let a_value = a_vector(min(a_k, dims.end_depth - 1u) * dims.rows, first_row + i % 16u * 4u);
    a_tile[i / 16u * by_depth + i % 16u] = select(vec4f(), a_value, a_k < dims.end_depth);
// @else
    let a_row = min(first_row + i / 4u, dims.end_row - 1u);
    let a_k = k + i % 4u * 4u;
    let a_value = a_vector(a_row * dims.depth, min(a_k, dims.end_depth - 1u));
    a_tile[i / 4u * by_line + i % 4u] = inside_depth(a_value, a_k);
// @end
// @if B_TRANSPOSED
    let b_column = min(first_column + i / 4u, dims.end_column - 1u);
    let b_k = k + i % 4u * 4u;
    let b_value = b_vector(b_column * dims.depth, min(b_k, dims.end_depth - 1u));
    b_tile[i / 4u * by_line + i % 4u] = inside_depth(b_value, b_k);
// @else
    let b_k = k + i / 16u;
    let b_value = b_vector(min(b_k, dims.end_depth - 1u) * dims.columns, first_column + i % 16u * 4u);
    b_tile[i / 16u * by_depth + i % 16u] = select(vec4f(), b_value, b_k < dims.end_depth);
// @end
  }
}

@compute @workgroup_size(8, 8)
fn multiply_shared(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let first_row = group.y * 64u;
  let first_column = group.x * 64u;
  let line_a = local.y * 8u;
  let line_b = local.x * 8u;
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
  var sum{i}_{j} = mat4x4f();
// @end
// @end
  for (var k = 0u; k < dims.end_depth; k += depth_step) {
    stage(invocation, first_row, first_column, k);
    workgroupBarrier();
    for (var step = 0u; step < depth_step; step += 4u) {
// @for i in ROW_BLOCKS
      let a{i} = a_staged(line_a + 4u * {i}u, step);
// @end
// @for j in COLUMN_BLOCKS
      let b{j} = b_staged(line_b + 4u * {j}u, step);
// @end
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
      sum{i}_{j} += a{i} * b{j};
// @end
// @end
    }
    workgroupBarrier();
  }
// @for i in ROW_BLOCKS
// @for j in COLUMN_BLOCKS
  store(sum{i}_{j}, first_row + line_a + 4u * {i}u, first_column + line_b + 4u * {j}u);
// @end
// @end
}
// @end
