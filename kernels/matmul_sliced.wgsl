// The product of few rows, such as one token of each sequence, with a matrix that is stored along the depth: all its time
// goes to reading that matrix. A workgroup owns ROWS × 4 · COLUMN_BLOCKS of out, its invocations share the depth of every
// sum (CUTLASS calls this sliced-K) and read neighbouring vectors of both operands; what they have is added up at the end.

const vectors = ROWS * COLUMN_BLOCKS; // of four sums along columns
const parts = LANES / vectors;
var<workgroup> scratch: array<vec4f, LANES * vectors>;

fn add_dot(a: vec4f, b: vec4f, sum: f32) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

@compute @workgroup_size(LANES)
fn multiply(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first_row = dims.first_row + group.y * ROWS;
  let first_column = dims.first_column + group.x * (4u * COLUMN_BLOCKS);
// @for i in ROWS
  let row{i} = min(first_row + {i}u, dims.end_row - 1u) * dims.depth;
// @end
// @for j in COLUMN_BLOCKS
  let columns{j} = b_starts(first_column + 4u * {j}u, dims.end_column, dims.depth);
// @end
// @for i in ROWS
// @for j in COLUMN_BLOCKS
  var sum{i}_{j} = vec4f();
// @end
// @end
  for (var k = dims.first_depth + 4u * lane; k < dims.end_depth; k += 4u * LANES) {
// @for i in ROWS
    let a{i} = cut_vector(a_vector(row{i}, k), k);
// @end
// @for j in COLUMN_BLOCKS
    let b{j} = b_block(columns{j}, k);
// @for i in ROWS
    sum{i}_{j} = vec4f(
      add_dot(a{i}, b{j}[0], sum{i}_{j}.x),
      add_dot(a{i}, b{j}[1], sum{i}_{j}.y),
      add_dot(a{i}, b{j}[2], sum{i}_{j}.z),
      add_dot(a{i}, b{j}[3], sum{i}_{j}.w),
    );
// @end
// @end
  }
// @for i in ROWS
// @for j in COLUMN_BLOCKS
  scratch[lane * vectors + {i}u * COLUMN_BLOCKS + {j}u] = sum{i}_{j};
// @end
// @end
  workgroupBarrier();
  // Each vector is added up by several invocations, and then by one, in the same order every time.
  let vector = lane % vectors;
  let part = lane / vectors;
  var sum = vec4f();
  for (var i = part; i < LANES; i += parts) { sum += scratch[i * vectors + vector]; }
  workgroupBarrier();
  scratch[lane] = sum;
  workgroupBarrier();
  if (lane >= vectors) { return; }
  for (var i = 1u; i < parts; i++) { sum += scratch[i * vectors + vector]; }
  store(sum, first_row + vector / COLUMN_BLOCKS, first_column + 4u * (vector % COLUMN_BLOCKS));
}
