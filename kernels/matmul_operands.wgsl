// out[m, n] = Σ_k A[m, k] · B[k, n] (+ addend[m, n]), where either operand may be stored transposed.
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
@group(0) @binding(1) var a: texture_storage_2d<A_TEXEL, read>;
// @else
// @if A_VECTORS
@group(0) @binding(1) var<storage, read> a: array<vec4<A>>;
// @else
@group(0) @binding(1) var<storage, read> a: array<A>;
// @end
// @end
// @if B_TEXTURE
@group(0) @binding(2) var b: texture_storage_2d<B_TEXEL, read>;
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
  return textureLoad(a, vec2u(texel % TEXTURE_WIDTH, texel / TEXTURE_WIDTH));
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
  return textureLoad(b, vec2u(texel % TEXTURE_WIDTH, texel / TEXTURE_WIDTH));
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

fn cut_vector(vector: vec4f, k: u32) -> vec4f {
// @if RAGGED_DEPTH
  return select(vec4f(), vector, k + vec4u(0u, 1u, 2u, 3u) < vec4u(dims.end_depth));
// @else
  return vector;
// @end
}

fn store(sums: vec4f, row: u32, column: u32) {
  if (row >= dims.end_row || column >= dims.end_column) { return; }
  let at = row * dims.columns + column;
// @if OUT_VECTORS
  var value = sums;
// @if ACCUMULATE
  value += vec4f(out[at / 4u]);
// @end
// @if ADDEND
  value += vec4f(addend[at / 4u]);
// @end
  out[at / 4u] = vec4<Out>(value);
// @else
  for (var j = 0u; j < 4u && column + j < dims.end_column; j++) {
    var value = sums[j];
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
