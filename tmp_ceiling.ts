import { Gpu } from "./src/gpu/gpu.ts";
import { kernel } from "./src/gpu/kernel.ts";
import { Program } from "./src/gpu/program.ts";
import process from "node:process";
const info = (await navigator.gpu.requestAdapter())!.info;
console.log(JSON.stringify({v:info.vendor,a:info.architecture,d:info.device,de:info.description}));
using gpu = await Gpu.open();
function source(form: string, chains: number) {
  const f = (c: number) => form === "fma" ? `x${c} = fma(x${c}, scale, shift);` : form === "mul" ? `x${c} = x${c} * scale + shift;` : form==="sfma" ? `x${c} = fma(x${c}, scale.x, shift.x);` : `x${c} = x${c}*scale.x + shift.x;`;
  const scalar = form[0] === "s";
  const ty = scalar ? "f32" : "vec4f";
  return `
struct Dims { rounds: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;
@compute @workgroup_size(64)
fn multiply_add(@builtin(global_invocation_id) id: vec3u) {
  let scale = vec4f(factors[0]);
  let shift = vec4f(factors[1]);
  ${Array.from({length:chains},(_, c)=>`var x${c} = ${ty}(f32(id.x+${c}u));`).join("\n")}
  for (var round = 0u; round < dims.rounds; round++) {
  ${Array.from({length: Math.ceil(384/(scalar?1:4)/chains)*chains}, (_, i)=>f(i%chains)).join("\n")}
  }
  sums[id.x] = vec4f(${Array.from({length:chains},(_, c)=>`x${c}`).join("+")});
}`;
}
for (const form of ["mul","fma","smul","sfma"]) for (const chains of form==="sfma"?[6,7,8,9,10,11,12,13]:[2]) {
  using program = new Program(gpu, "ceiling");
  const per = Math.ceil(384/(form[0]==="s"?1:4)/chains)*chains*(form[0]==="s"?1:4);
  const inv = 4096*64;
  const rounds = 8;
  const factors = program.allocate("factors", [2]);
  const sums = program.allocate("sums", [inv, 4]);
  gpu.write(factors, new Float32Array([0.5, 0.25]));
  program.dispatch({ kernel: kernel("c", source(form, chains), "multiply_add"), tensors: {factors, sums}, dims: [rounds], workgroups: [4096] });
  program.replay(); await gpu.settle();
  let best = 1e9;
  for (let r=0;r<4;r++) { const a = process.cpuUsage(); program.replay(2); await gpu.settle(); const b = process.cpuUsage(a); best = Math.min(best,(b.user+b.system)/1e6); }
  console.log(form, chains, (2*2*rounds*per*inv/best/1e9).toFixed(1), "GFLOP/s a core");
}
Deno.exit(0);
