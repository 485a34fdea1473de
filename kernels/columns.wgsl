// Some columns of a matrix, as a matrix of their own, and back:
//   take   part[r, j] = whole[r, first + j]
//   place  whole[r, first + j] (+)= part[r, j] (+ addend[r, first + j])

struct Dims { rows: u32, width: u32, first: u32, count: u32 }

@group(0) @binding(0) var<uniform> dims: Dims;
// @if PLACE
@group(0) @binding(1) var<storage, read_write> whole: array<Whole>; // [R, width]
@group(0) @binding(2) var<storage, read> part: array<Part>; // [R, count]
// @else
@group(0) @binding(1) var<storage, read> whole: array<Whole>;
@group(0) @binding(2) var<storage, read_write> part: array<Part>;
// @end
// @if ADDEND
@group(0) @binding(3) var<storage, read> addend: array<Whole>; // [R, width]
// @end

@compute @workgroup_size(64)
fn columns(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= dims.rows * dims.count) { return; }
  let at = i / dims.count * dims.width + dims.first + i % dims.count;
// @if PLACE
  var value = f32(part[i]);
// @if ACCUMULATE
  value += f32(whole[at]);
// @end
// @if ADDEND
  value += f32(addend[at]);
// @end
  whole[at] = Whole(value);
// @else
  part[i] = Part(whole[at]);
// @end
}
