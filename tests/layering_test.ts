// Who may import whom. The rule is what keeps a kernel free of models, the method free of GPUs and files, and a report
// free of anything but results. Checked over the import lines of every source file.

import { assert, assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);

// Each room may import itself and these; examples come in through the door alone.
const allowed: Record<string, string[]> = {
  base: [],
  slung: ["base"],
  gpu: ["base"],
  kernels: ["gpu", "base"],
  nn: ["kernels", "gpu", "base"],
  tokenizers: ["base"],
  hub: ["base"],
  label: ["slung", "base"],
  report: ["slung", "base"],
  data: ["label", "tokenizers", "slung", "base"],
  model: ["data", "tokenizers", "nn", "kernels", "gpu", "slung", "base"],
  train: ["model", "data", "tokenizers", "nn", "kernels", "gpu", "slung", "base"],
  eval: ["model", "data", "label", "tokenizers", "nn", "kernels", "gpu", "slung", "base"],
};
const lower = Object.keys(allowed);
allowed.experiments = lower;
allowed.notebook = [...lower, "experiments"];
allowed.mod = [...lower, "experiments"];
allowed.web = [...lower, "experiments", "notebook"];
allowed.tasks = [...lower, "experiments", "notebook", "mod", "web", "bench"]; // it locks what the bench needs
allowed.examples = [];

function room(file: string): string {
  return file.match(/^src\/(\w+)\//)?.[1] ?? file.split("/")[0]!.replace(/\.ts$/, "");
}

async function sources(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
    if (isDirectory) files.push(...await sources(`${folder}${name}/`));
    else if (name.endsWith(".ts")) files.push(folder + name);
  }
  return files;
}

interface Import {
  file: string;
  /** `import type` is gone when the program runs, but rooms and circles count it like any other. */
  typeOnly: boolean;
}

async function importGraph(): Promise<Map<string, Import[]>> {
  const files = ["mod.ts"];
  for (const folder of ["src/", "kernels/", "tasks/", "examples/", "web/"]) {
    files.push(...await sources(folder));
  }
  const graph = new Map<string, Import[]>();
  for (const file of files.sort()) {
    const text = await Deno.readTextFile(new URL(file, root));
    const statements = text.matchAll(
      /\b(?:im|ex)port\b\s*(type\b)?[^;"]*\bfrom\s+"(\.[^"]+\.ts)"/g,
    );
    const imports = Array.from(statements, ([, type, specifier]) => ({
      file: new URL(specifier!, new URL(file, root)).href.slice(root.href.length),
      typeOnly: type !== undefined,
    }));
    graph.set(file, imports);
  }
  return graph;
}

Deno.test("every import goes to a room that its own room may know", async () => {
  const graph = await importGraph();
  const forbidden = [...graph].flatMap(([file, imports]) =>
    imports
      .filter((imported) => room(imported.file) !== room(file))
      .filter((imported) => !allowed[room(file)]?.includes(room(imported.file)))
      .map((imported) => `${file} -> ${imported.file}`)
  );
  assertEquals(forbidden, []);
});

Deno.test("no file imports itself in a circle", async () => {
  const graph = await importGraph();
  const finished = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) {
      circles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      return;
    }
    if (finished.has(file)) return;
    for (const { file: imported } of graph.get(file) ?? []) visit(imported, [...path, file]);
    finished.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  assertEquals(circles, []);
});

Deno.test("the import graph is really read, and leads to nothing outside these rooms", async () => {
  const graph = await importGraph();
  assertEquals(graph.get("src/gpu/gpu.ts"), [
    { file: "src/base/errors.ts", typeOnly: false },
    { file: "src/gpu/choices.ts", typeOnly: false },
    { file: "src/gpu/kernel.ts", typeOnly: false },
    { file: "src/gpu/recording_device.ts", typeOnly: false },
    { file: "src/gpu/runtime.ts", typeOnly: false },
    { file: "src/gpu/tensor.ts", typeOnly: false },
  ]);
  assertEquals(graph.get("src/gpu/ring.ts")!.map(({ typeOnly }) => typeOnly), [true, true]);
  const outside = [...graph.values()].flat().filter(({ file }) => !graph.has(file));
  assertEquals(outside.map(({ file }) => room(file)), ["bench"]);
});

Deno.test("the page's own thread loads nothing that computes: models, kernels and losses are its worker's", async () => {
  const graph = await importGraph();
  const loaded = new Set(["web/main.ts"]);
  for (const file of loaded) { // grows while it is walked
    for (const { file: imported, typeOnly } of graph.get(file)!) {
      if (!typeOnly) loaded.add(imported);
    }
  }
  const worker = ["gpu", "kernels", "nn", "model", "train", "eval", "experiments"];
  const files = ["web/engine/lab.ts", "src/slung/custom_loss.ts"];
  assert(loaded.size > 20, `${loaded.size} files`);
  assertEquals(
    [...loaded].filter((file) => worker.includes(room(file)) || files.includes(file)),
    [],
  );
});

Deno.test("no experiment imports another, nor does anything below them", async () => {
  const graph = await importGraph();
  const experiment = (file: string) => file.match(/^src\/experiments\/(\w+)\//)?.[1];
  const forbidden = [...graph].flatMap(([file, imports]) =>
    imports
      .filter(({ file: imported }) => experiment(imported) !== undefined)
      .filter(({ file: imported }) => experiment(imported) !== experiment(file))
      .filter(() => !["tasks", "mod", "notebook"].includes(room(file)))
      .filter(() => file !== "src/experiments/mod.ts")
      .map((imported) => `${file} -> ${imported.file}`)
  );
  assertEquals(forbidden, []);
});

Deno.test("the picture in the README shows every room once, above all that it imports", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const [, picture] = readme.match(/stands on the floors below[\s\S]*?```text\n([\s\S]*?)```/)!;
  const floors = picture!.trimEnd().split("\n").map((line) =>
    Array.from(line.matchAll(/(?:^|\s{3})(\w+)\s{3,}/g), ([, name]) => name!)
  );
  const graph = await importGraph();
  const rooms = new Set([...graph.keys()].map(room));
  assertEquals(floors.flat().sort(), [...rooms].sort());
  const height = (name: string) => -floors.findIndex((floor) => floor.includes(name));
  const wrong = [...graph].flatMap(([file, imports]) =>
    imports.map((imported) => room(imported.file))
      .filter((below) => rooms.has(below) && below !== room(file))
      .filter((below) => height(below) >= height(room(file)))
      .map((below) => `${room(file)} -> ${below}`)
  );
  assertEquals([...new Set(wrong)], []);
});
