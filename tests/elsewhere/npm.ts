// The npm package in Node, on Dawn: what `deno task npm` makes trains there, and TypeScript believes its types. Node 22, Dawn
// and TypeScript come from npm; Dawn runs on whatever Vulkan there is, else on the SwiftShader that comes with Chromium.

import { assert, assertEquals } from "../assert.ts";

const root = new URL("../../", import.meta.url);
const dawn = "webgpu@0.6.2";
const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

async function run(command: string, args: string[], cwd: string | URL): Promise<string> {
  const here = await Deno.stat(swiftShader).then(() => true, () => false);
  const env = { NO_COLOR: "1", ...(here && { VK_DRIVER_FILES: swiftShader }) };
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd, env }).output();
  const [said, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(success, `${command} ${args.join(" ")}: ${complaint}${said}`);
  return said!;
}

const found = async (...command: [string, ...string[]]) =>
  await run(command[0], command.slice(1), root).then(() => true, () => false);

/** Why the package cannot be tried here, if it cannot. */
async function missing(): Promise<string | undefined> {
  if (!await found("npm", "--version")) return "no npm here (apt-get install npm)";
  if (!await found("npm", "view", dawn, "version")) return `npm has no ${dawn} to give`;
  const drivers = [swiftShader, "/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
  const here = await Promise.all(drivers.map((path) => Deno.stat(path).catch(() => undefined)));
  return here.some(Boolean) ? undefined : "no Vulkan driver (apt-get install chromium)";
}

const why = await missing();

Deno.test({
  name: `${
    why ? `SKIPPED, ${why}: ` : ""
  }in Node the npm package trains, and its types are believed`,
  ignore: why !== undefined,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const packages = ["node@22", dawn, "typescript@5.9.3", "@webgpu/types@0.1.74"];
      await Deno.writeTextFile(`${folder}/package.json`, `{"type": "module"}`);
      await run(
        "npm",
        ["install", "--no-audit", "--no-fund", "--loglevel=error", ...packages],
        folder,
      );
      await run("deno", ["task", "npm", "--out", `${folder}/node_modules/@slung/slung`], root);
      for (const name of ["npm_program.mjs", "npm_types.mts"]) {
        await Deno.copyFile(new URL(`${name}.txt`, import.meta.url), `${folder}/${name}`);
      }
      const said = await run("node_modules/.bin/node", ["npm_program.mjs"], folder);
      const { losses } = JSON.parse(said.trim().split("\n").at(-1)!);
      assertEquals(losses.length, 10);
      assert(losses.every(Number.isFinite) && losses[9] < 0.3 * losses[0], said);
      const open =
        `import { Gpu } from "@slung/slung"; await Gpu.open().catch((e) => console.log(e.message));`;
      for (const flags of [[], ["--no-experimental-global-navigator"]]) { // Node 20 has no navigator
        const args = [...flags, "--input-type=module", "--eval", open];
        const refused = await run("node_modules/.bin/node", args, folder);
        assert(refused.includes("install the package `webgpu`"), refused);
      }
      const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"];
      const lib = ["--lib", "es2024,esnext.disposable,esnext.float16,dom"];
      await run("node_modules/.bin/tsc", [...options, ...lib, "npm_types.mts"], folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
