// Nothing but multiply-adds on registers: 2 · CHAINS · UNROLL floating-point operations per round and invocation.
// Independent chains hide the latency of each other. Scale and shift come from memory, so that no compiler can know
// them, and the sums are stored, so that none may drop the work. With 1/2 and 1/4 the values tend to 1/2: no denormals.

struct Dims { rounds: u32 }

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> factors: array<f32>; // [scale, shift]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // [invocations]

@compute @workgroup_size(64)
fn multiply_add(@builtin(global_invocation_id) id: vec3u) {
  let scale = factors[0];
  let shift = factors[1];
// @for c in CHAINS
  var x{c} = f32(id.x + {c}u);
// @end
  for (var round = 0u; round < dims.rounds; round++) {
// @for u in UNROLL
// @for c in CHAINS
// @if FUSED
    x{c} = fma(x{c}, scale, shift);
// @else
    x{c} = x{c} * scale + shift;
// @end
// @end
// @end
  }
  var sum = 0.0;
// @for c in CHAINS
  sum += x{c};
// @end
  sums[id.x] = sum;
}
