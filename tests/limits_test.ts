// WebGPU guarantees eight storage buffers per stage and 256 invocations per workgroup; more would shut adapters out.

import { assert } from "./assert.ts";

const folder = new URL("../kernels/", import.meta.url);

for await (const { name } of Deno.readDir(folder)) {
  if (!name.endsWith(".wgsl")) continue;
  const text = await Deno.readTextFile(new URL(name, folder));
  const storage = [...text.matchAll(/var<storage[^>]*>\s*(\w+)/g)].map(([, variable]) => variable!);
  for (const part of text.split("@compute").slice(1)) {
    const entryPoint = part.match(/fn (\w+)/)![1]!;
    Deno.test(`${name} ${entryPoint} binds at most eight storage buffers`, () => {
      const body = part.split(/\n}\n/)[0]!;
      const used = new Set(
        storage.filter((variable) => new RegExp(`\\b${variable}\\[`).test(body)),
      );
      assert(used.size <= 8, [...used].join(", "));
    });
  }
}
