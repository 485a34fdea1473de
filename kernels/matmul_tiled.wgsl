// The product as a GPU wants it, whose registers are few, whose workgroup memory is fast, and which fuses `fma`: a
// workgroup owns a tile of out and walks the depth in steps, for each of which its invocations copy both operands' part
// into workgroup memory. There they lie by k, rows or columns in vectors, so that one k of an invocation's sums is a
// few vectors of both and as many multiply-adds as it has sums, one `fma` each, in the order of k.
// Blocks of an invocation lie a tile's width of invocations apart: neighbours load and store neighbouring vectors.

const tile_rows = 4u * ROW_BLOCKS * DOWN;
const tile_columns = 4u * COLUMN_BLOCKS * ACROSS;
const a_pitch = tile_rows / 4u + PADDING; // vectors per k; padding keeps apart what is stored at once
const b_pitch = tile_columns / 4u + PADDING;
const steps = DEPTH_STEP / 4u;
var<workgroup> a_tile: array<vec4f, DEPTH_STEP * a_pitch>;
var<workgroup> b_tile: array<vec4f, DEPTH_STEP * b_pitch>;

// Invocations copy blocks of 4 × 4; neighbours lie along the lines that are stored.
fn copy_a(lane: u32, first_row: u32, k: u32) {
  for (var i = lane; i < tile_rows / 4u * steps; i += ACROSS * DOWN) {
// @if A_TRANSPOSED
    let line = i % (tile_rows / 4u);
    let depth = i / (tile_rows / 4u) * 4u;
    let block = cut(a_block(a_starts(k + depth, dims.end_depth, dims.rows), first_row + 4u * line), k + depth);
// @else
    let line = i / steps;
    let depth = i % steps * 4u;
    let block = cut(transpose(a_block(a_starts(first_row + 4u * line, dims.end_row, dims.depth), k + depth)), k + depth);
// @end
    let at = depth * a_pitch + line;
    a_tile[at] = block[0];
    a_tile[at + a_pitch] = block[1];
    a_tile[at + 2u * a_pitch] = block[2];
    a_tile[at + 3u * a_pitch] = block[3];
  }
}

fn copy_b(lane: u32, first_column: u32, k: u32) {
  for (var i = lane; i < tile_columns / 4u * steps; i += ACROSS * DOWN) {
// @if B_TRANSPOSED
    let line = i / steps;
    let depth = i % steps * 4u;
    let block = cut(transpose(b_block(b_starts(first_column + 4u * line, dims.end_column, dims.depth), k + depth)), k + depth);
// @else
    let line = i % (tile_columns / 4u);
    let depth = i / (tile_columns / 4u) * 4u;
    let block = cut(b_block(b_starts(k + depth, dims.end_depth, dims.columns), first_column + 4u * line), k + depth);
// @end
    let at = depth * b_pitch + line;
    b_tile[at] = block[0];
    b_tile[at + b_pitch] = block[1];
    b_tile[at + 2u * b_pitch] = block[2];
    b_tile[at + 3u * b_pitch] = block[3];
  }
}

@compute @workgroup_size(ACROSS, DOWN)
fn multiply(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let first_row = dims.first_row + group.y * tile_rows;
  let first_column = dims.first_column + group.x * tile_columns;
// @for i in ROW_BLOCKS
// @for r in FOUR
// @for j in COLUMN_BLOCKS
  var sum{i}_{r}_{j} = vec4f();
// @end
// @end
// @end
  for (var k = dims.first_depth; k < dims.end_depth; k += DEPTH_STEP) {
    copy_a(lane, first_row, k);
    copy_b(lane, first_column, k);
    workgroupBarrier();
    for (var step = 0u; step < DEPTH_STEP; step += 4u) {
// @for s in FOUR
// @for i in ROW_BLOCKS
      let a{s}_{i} = a_tile[(step + {s}u) * a_pitch + {i}u * DOWN + local.y];
// @end
// @for j in COLUMN_BLOCKS
      let b{s}_{j} = b_tile[(step + {s}u) * b_pitch + {j}u * ACROSS + local.x];
// @end
// @for i in ROW_BLOCKS
// @for r in FOUR
// @for j in COLUMN_BLOCKS
      sum{i}_{r}_{j} = fma(vec4f(a{s}_{i}[{r}]), b{s}_{j}, sum{i}_{r}_{j});
// @end
// @end
// @end
// @end
    }
    workgroupBarrier();
  }
// @for i in ROW_BLOCKS
// @for r in FOUR
// @for j in COLUMN_BLOCKS
  store(sum{i}_{r}_{j}, first_row + 4u * ({i}u * DOWN + local.y) + {r}u, first_column + 4u * ({j}u * ACROSS + local.x));
// @end
// @end
// @end
}
