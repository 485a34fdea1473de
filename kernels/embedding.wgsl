// forward   y[n, :] = table[tokens[n], :], or added to what is there: learned positions are a second lookup
// backward  dtable[v, :] += Σ_{n : tokens[n] = v} dy[n, :]
// Backward needs no atomics: the host, which knows the tokens, lists the rows grouped by token, and one invocation
// sums one channel of one token's rows in that order. A dispatch sees the table's rows from `first_token` to `end_token`.

struct Dims { rows: u32, width: u32, first_token: u32, end_token: u32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> tokens: array<u32>; // [N]
@group(0) @binding(2) var<storage, read> table: array<Table>; // [V, C]
@group(0) @binding(3) var<storage, read_write> y: array<Row>; // [N, C]
@group(0) @binding(4) var<storage, read> order: array<u32>; // [N] rows grouped by token
@group(0) @binding(5) var<storage, read> groups_of_rows: array<u32>; // [N + 1] group g is order[start .. next start)
@group(0) @binding(6) var<storage, read> dy: array<Row>; // [N, C]
@group(0) @binding(7) var<storage, read_write> dtable: array<f32>; // [V, C]

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= dims.rows * dims.width) { return; }
  let token = tokens[i / dims.width];
  if (token < dims.first_token || token >= dims.end_token) { return; }
  let value = table[(token - dims.first_token) * dims.width + i % dims.width];
// @if ADD
  y[i] = Row(f32(y[i]) + f32(value));
// @else
  y[i] = Row(value);
// @end
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let channel = id.x;
  if (channel >= dims.width) { return; }
  let start = groups_of_rows[id.y];
  let end = groups_of_rows[id.y + 1u];
  let token = tokens[order[start]];
  if (token < dims.first_token || token >= dims.end_token) { return; }
  let at = (token - dims.first_token) * dims.width + channel;
  var sum = dtable[at];
  for (var i = start; i < end; i++) { sum += f32(dy[order[i] * dims.width + channel]); }
  dtable[at] = sum;
}
