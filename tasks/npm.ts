// deno task npm: the part of the library that needs no files, as an npm package for Node and bundlers: one module, in syntax
// that Node 22 has, and the types of every file that it came from.

import { readJson, readText, writeFolder } from "../src/base/files.ts";
import { importPackage } from "../src/base/packages.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { bundle } from "./page_files.ts";

const root = new URL("../", import.meta.url);
const entry = "web/library.ts";

/** What is used of TypeScript. */
interface Compiler {
  transpileModule(code: string, options: { compilerOptions: Syntax }): { outputText: string };
  transpileDeclaration(code: string, options: { compilerOptions: Syntax }): { outputText: string };
  ScriptTarget: { ES2022: number };
  ModuleKind: { ESNext: number };
}
type Syntax = { target: number; module: number };

/** The package's files by their names. @throws {CannotError} without the compiler, which comes from npm. */
export async function npmFiles(): Promise<Map<string, string>> {
  const { default: compiler } = await importPackage<{ default: Compiler }>("typescript");
  const { ScriptTarget, ModuleKind } = compiler;
  const compilerOptions = { target: ScriptTarget.ES2022, module: ModuleKind.ESNext };
  const { name, version, license } = await readJson(pathOf("deno.json")) as Record<string, string>;
  const files = new Map<string, string>();
  const { outputText } = compiler.transpileModule(await bundle(entry), { compilerOptions });
  files.set("index.js", outputText);
  for (const [file, code] of await importedFrom(entry)) {
    const { outputText } = compiler.transpileDeclaration(code, { compilerOptions });
    const declared = outputText.replace(/^ *\[Symbol\.dispose\]: \(\) => void;\n/gm, ""); // it says so twice
    const types = file === entry
      ? `/// <reference types="@webgpu/types" />\n${declared}`
      : declared;
    files.set(
      `types/${file.replace(/ts$/, "d.ts")}`,
      types.replace(/(["']\.[^"']+)\.ts(?=["'])/g, "$1.js"),
    );
  }
  const description = {
    ...{ name, version, license, type: "module" },
    description:
      "Train language models on risky text without teaching them to produce it, on WebGPU",
    exports: { ".": { types: `./types/${entry.replace(/ts$/, "d.ts")}`, default: "./index.js" } },
    engines: { node: ">=22" },
    sideEffects: false,
    dependencies: { "@webgpu/types": "^0.1.60" },
    peerDependencies: { webgpu: ">=0.3.0" },
    peerDependenciesMeta: { webgpu: { optional: true } },
  };
  files.set("package.json", JSON.stringify(description, null, 2) + "\n");
  files.set("README.md", readme);
  files.set("LICENSE", await readText(pathOf("LICENSE")));
  return files;
}

const readme = `# SLUNG

Trains language models on risky text without teaching them to produce it ([Wang et al.,
2025](https://arxiv.org/abs/2505.03052)), on WebGPU. This package is what needs no files. Browsers have WebGPU; Node gets
it from the package \`webgpu\`:

\`\`\`js
import { create, globals } from "webgpu";

Object.assign(globalThis, globals);
Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) }, configurable: true });
const { encodeText, fit, Gpu, LanguageModel, objective } = await import("@slung/slung");
\`\`\`
`;

/** A file and all that it imports, by their paths. */
async function importedFrom(first: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const waiting = [first];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file)) continue;
    const code = await readText(pathOf(file));
    found.set(file, code);
    for (const [, specifier] of code.matchAll(/\bfrom\s+"(\.[^"]+\.ts)"/g)) {
      waiting.push(new URL(specifier!, new URL(file, root)).href.slice(root.href.length));
    }
  }
  return found;
}

function pathOf(file: string): string {
  return decodeURIComponent(new URL(file, root).pathname);
}

const command = defineCommand({
  name: "npm",
  summary: "Makes the npm package: what trains in Node and in bundled pages.",
  examples: ["--out runs/npm", "--out ../package"],
  options: {
    out: { type: "path", placeholder: "folder", help: "Where the files go", required: true },
  },
  async run({ out }, terminal) {
    const files = await npmFiles();
    await writeFolder(out, files);
    terminal.print(`${files.size} files in ${out}; \`npm publish ${out}\` publishes them`);
    return { files: files.size, out };
  },
});

export default command;

if (import.meta.main) await runCommand(command);
