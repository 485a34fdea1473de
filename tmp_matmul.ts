import { Gpu } from "./src/gpu/gpu.ts";
import { Program } from "./src/gpu/program.ts";
import { matmul } from "./kernels/matmul.ts";
import process from "node:process";
using gpu = await Gpu.open();
const n = 512;
const v: [string, unknown][] = [];
for (const [r,c] of [[2,2],[3,2],[4,2],[3,3],[4,3],[4,4],[5,3],[5,4]]) for (const lines of [1,2]) v.push([`texture ${r}x${c} lines ${lines}`, {memory:"texture",rowBlocks:r,columnBlocks:c,lines}]);
for (const [r,c] of [[2,2],[3,2],[4,3]]) v.push([`buffer ${r}x${c}`, {memory:"buffer",rowBlocks:r,columnBlocks:c,lines:8}]);
for (const [r,c,a,d,k] of [[1,1,8,8,16],[2,2,8,8,16],[1,2,8,8,16],[2,2,8,4,16],[4,3,8,2,16]]) v.push([`workgroup ${r}x${c} ${a}x${d} k${k}`, {memory:"workgroup",rowBlocks:r,columnBlocks:c,across:a,down:d,depthStep:k}]);
for (const [name, variant] of v) for (const [tA,tB] of [[false,false],[false,true],[true,false]]) {
  using program = new Program(gpu, "p");
  const a = program.allocate("a",[n,n]), b = program.allocate("b",[n,n]), out = program.allocate("out",[n,n]);
  gpu.write(a, new Float32Array(n*n).map(()=>Math.random())); gpu.write(b, new Float32Array(n*n).map(()=>Math.random()));
  try {
  matmul(program, {a,b,out,rows:n,columns:n,depth:n,transposeA:tA,transposeB:tB,variant: variant as any});
  program.replay(); await gpu.settle();
  let best = 1e9;
  for (let r=0;r<4;r++) { const s = process.cpuUsage(); program.replay(3); await gpu.settle(); const e = process.cpuUsage(s); best = Math.min(best,(e.user+e.system)/1e6/3); }
  console.log(name.padEnd(28), tA?"A":"-", tB?"B":"-", (2*n**3/best/1e9).toFixed(1));
  } catch (e) { console.log(name, String(e).slice(0,100)); }
}
Deno.exit(0);
