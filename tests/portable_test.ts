// The engine runs wherever WebGPU does: what trains and decodes needs neither Deno nor Node, so that it can be bundled for
// a browser. Checked over the source of everything that its files import, however deep.

import { assert, assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);

// Where the engine begins. Everything else that it needs follows from the imports.
const entries = [
  ...await sources("src/base/", [
    ...["content_digest.ts", "files.ts", "free_space.ts", "lock.ts", "packages.ts", "process.ts"],
  ]),
  ...await sources("src/gpu/"),
  ...await sources("src/nn/", ["mod.ts"]), // a door, which leads to files too
  ...await sources("src/slung/"),
  ...await sources("kernels/"),
  ...["config", "decoder", "generate", "initialise", "language_model", "batch_tensors"]
    .map((name) => `src/model/${name}.ts`),
  ...["trainer", "optimiser", "fit", "loop", "schedule"].map((name) => `src/train/${name}.ts`),
];

async function sources(folder: string, except: readonly string[] = []): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(new URL(folder, root)), ({ name }) => name);
  return names.filter((name) => name.endsWith(".ts") && !except.includes(name)).sort()
    .map((name) => folder + name);
}

/** What a file asks of its surroundings: `Deno`, `process`, `Buffer`, and modules that are no file beside it. */
function foreign(code: string): string[] {
  const globals = code.match(/\b(?:Deno|process|Buffer|require)\b(?=\s*[.(\[])/g) ?? [];
  return [...globals, ...specifiers(code).filter((specifier) => !specifier.startsWith("."))];
}

// Of what is still there when the program runs: types are erased.
function specifiers(code: string): string[] {
  const statements = code.matchAll(
    /\b(?:im|ex)port\b(?!\s*type\b)\s*(?:[^;"'`()]*\bfrom\s*)?\(?\s*["'`]([^"'`]+)["'`]/g,
  );
  return Array.from(statements, ([, specifier]) => specifier!);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

Deno.test("the engine, with everything it imports, asks nothing of Deno or Node", async () => {
  const importedBy = new Map(entries.map((entry) => [entry, "the list of entries"]));
  const found: string[] = [];
  for (const [file, importer] of importedBy) { // grows while it is walked
    const code = withoutComments(await Deno.readTextFile(new URL(file, root)));
    found.push(...foreign(code).map((what) => `${file} (imported by ${importer}): ${what}`));
    for (const specifier of specifiers(code)) {
      if (!/^\..*\.ts$/.test(specifier)) continue;
      const imported = new URL(specifier, new URL(file, root)).href.slice(root.href.length);
      if (!importedBy.has(imported)) importedBy.set(imported, file);
    }
  }
  assertEquals(found, []);
  // That imports are followed: what is not on the list is reached all the same.
  for (const file of ["src/data/packing.ts", "src/train/fingerprint.ts"]) {
    assert(!entries.includes(file) && importedBy.has(file), file);
  }
});

Deno.test("whatever would tie the engine to Deno or Node is found", () => {
  const tied: [code: string, found: string[]][] = [
    ['import { createHash } from "node:crypto";', ["node:crypto"]],
    ['import {\n  a,\n  b,\n} from "npm:a";', ["npm:a"]],
    ['import "node:buffer";', ["node:buffer"]],
    ['await import("node:fs")', ["node:fs"]],
    ["await import(`jsr:@std/cli`)", ["jsr:@std/cli"]],
    ['export { a } from "node:path";', ["node:path"]],
    ["Deno.readFile(path)", ["Deno"]],
    ['Deno["readFile"](path)', ["Deno"]],
    ["process.env.HOME", ["process"]],
    ['Buffer.from("")', ["Buffer"]],
    ['import type { Hash } from "node:crypto";', []],
    ['import { a } from "./a.ts";\nexport const b = "node:crypto";', []],
    ["const processed = preprocess(1);", []],
  ];
  for (const [code, expected] of tied) assertEquals(foreign(code), expected, code);
  assertEquals(withoutComments("a // Deno.x\n/** Deno.y */\nb"), "a \n\nb");
});
