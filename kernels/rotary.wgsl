// Rotary positions (Su et al., 2021), in place on [N, H, D]: of the first R entries of every head, pair i turns by the
// angle position · frequency i; the rest stays (R is D in most models, D/4 in Pythia).
// Pairs are (i, i + R/2) in Hugging Face weights and (2i, 2i + 1) in llama2.c's. Backward turns the other way.
// Cosines and sines come from the host, computed in float64: f32 loses the digits of large angles.

struct Dims { rows: u32, heads: u32, width: u32, turned: u32, direction: f32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> positions: array<u32>; // [N]
@group(0) @binding(2) var<storage, read> angles: array<vec2f>; // [longest, R/2] of (cos, sin)
@group(0) @binding(3) var<storage, read_write> x: array<Stored>; // [N, H, D]

@compute @workgroup_size(64)
fn rotate(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let half = dims.turned / 2u;
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= dims.rows * dims.heads * half) { return; }
  let pair = i % half;
  let head = i / half;
  let turn = angles[positions[head / dims.heads] * half + pair];
// @if INTERLEAVED
  let first = head * dims.width + 2u * pair;
  let second = first + 1u;
// @else
  let first = head * dims.width + pair;
  let second = first + half;
// @end
  let a = f32(x[first]);
  let b = f32(x[second]);
  let sine = turn.y * dims.direction;
  x[first] = Stored(a * turn.x - b * sine);
  x[second] = Stored(b * turn.x + a * sine);
}
