// Notebooks through the real Jupyter kernel: a passing and a failing one, and a training cell that is interrupted.
// Without Jupyter's client on this machine those tests say that they were skipped; the others need none.

import { fileURLToPath } from "node:url";
import { checkTypes, readNotebooks, runNotebook } from "../tasks/notebooks.ts";
import { client, installKernel, kernelSpec, planInstall } from "../tasks/jupyter_setup.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";

const project = new URL("../", import.meta.url).href;

async function findPython(): Promise<string | undefined> {
  for (const [program, ...args] of client.probes) {
    const command = new Deno.Command(program!, { args, stderr: "null" });
    if (await command.output().then(({ success }) => success, () => false)) return program;
  }
  return undefined;
}
const python = await findPython();
if (!python) {
  console.warn("SKIPPED: no notebook was run, because Jupyter's client is not installed");
}

/** A folder with one source, made of code cells. */
async function notebookFolder(name: string, ...cells: string[]): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/src`);
  const text = ["// %% [markdown]\n// # A test\n", ...cells.map((code) => `// %%\n${code}\n`)];
  await Deno.writeTextFile(`${folder}/src/${name}.ts`, text.join("\n"));
  return folder;
}

Deno.test({
  name: "a notebook that passes is written with its outputs, late prints included",
  ignore: !python,
  async fn() {
    const folder = await notebookFolder(
      "01_pass",
      `import { showTable, notebookSize } from "${project}src/notebook/mod.ts";
const shared: number = 20;
for (let i = 0; i < 200; i++) console.log("line", i);`,
      `await Deno.jupyter.display({ "text/plain": Deno.cwd() }, { raw: true });
showTable([{ size: notebookSize(), value: shared + 1 }]);`,
    );
    const [notebook] = await readNotebooks(folder);
    const options = { folder, size: "full", limit: 60 } as const;
    await runNotebook(notebook!, options, python!);
    const text = await Deno.readTextFile(`${folder}/01_pass.ipynb`);
    const { cells } = JSON.parse(text);
    assertEquals(cells[1].outputs[0].text.length, 200, "nbclient would lose most of these");
    const plain = cells[2].outputs[1].data["text/plain"].join("");
    assert(plain.includes("full") && plain.includes("21"), plain);
    assert(cells[2].outputs[1].data["text/html"].join("").includes("<table>"));
    await runNotebook(notebook!, options, python!);
    assertEquals(await Deno.readTextFile(`${folder}/01_pass.ipynb`), text, "a second run differs");
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name:
    "a failing cell fails the run, named with notebook, cell, line and error; nothing is written",
  ignore: !python,
  async fn() {
    const folder = await notebookFolder(
      "02_fail",
      "1 + 1;",
      `import { check } from "${project}src/notebook/mod.ts";
check("the loss fell", false);`,
      "never;",
    );
    const [notebook] = await readNotebooks(folder);
    await assertRejects(
      () => runNotebook(notebook!, { folder, size: "quick", limit: 60 }, python!),
      `Cannot run notebook 02_fail: code cell 2 of 3 (${folder}/src/02_fail.ts:8): ` +
        "CannotError: Cannot confirm that the loss fell: it does not hold here.",
    );
    const slow = await notebookFolder(
      "03_slow",
      "await new Promise((go) => setTimeout(go, 60_000));",
    );
    const [sleeper] = await readNotebooks(slow);
    await assertRejects(
      () => runNotebook(sleeper!, { folder: slow, size: "quick", limit: 1 }, python!),
      "it was not done after 1 seconds",
    );
    const long = await notebookFolder(
      "05_long",
      "const all = new Map();",
      'for (const i of [1]) all.set(i, "x".repeat(6000));',
    );
    const [leaky] = await readNotebooks(long);
    await assertRejects(
      () => runNotebook(leaky!, { folder: long, size: "quick", limit: 60 }, python!),
      "code cell 2 of 2",
    );
    await Deno.remove(long, { recursive: true });
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["src"]);
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(slow, { recursive: true });
  },
});

// Only the stop saves this run: its checkpoints are due after a million steps.
const training = (folder: string) => `
const sequences = Array.from({ length: 8 }, (_, i) => ({
  tokens: Uint32Array.from({ length: 8 }, (_, t) => (3 * i + t) % 16),
  classes: new Uint8Array(8).fill(1),
}));
const run = await liveTraining({ title: "Interrupted", interval: 100, ownCheckpoints: true }, (hooks) =>
  fit(new LanguageModel(gpu, config, initialise(config, 1), { gradients: true }), {
    epochs: new Array(100_000).fill(sequences),
    perStep: 8,
    seed: 0,
    objective: objective("direct"),
    optimiser: huggingFaceOptimiser,
    schedule: { peak: 1e-3, warmup: 0, decay: "constant", final: 0 },
    ...hooks,
    checkpoint: checkpointsIn(${JSON.stringify(folder)}, 1_000_000),
  }));
JSON.stringify({ step: run.step, finished: run.finished });
`;

Deno.test({
  name: "interrupting a training cell stops it with a checkpoint, and the kernel lives",
  ignore: !python || Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    const jupyterPath = await installKernel();
    const before = `
import { checkpointsIn, fit, Gpu, huggingFaceOptimiser, initialise, LanguageModel, objective } from "${project}mod.ts";
import { liveTraining } from "${project}src/notebook/mod.ts";
import { olmo as config } from "${project}tests/fixtures/tiny.ts";
const gpu = await Gpu.open();
"ready";`;
    const child = new Deno.Command(python!, {
      args: [fileURLToPath(new URL("fixtures/interrupt_kernel.py", import.meta.url))],
      env: { JUPYTER_PATH: jupyterPath, JUPYTER_RUNTIME_DIR: jupyterPath, NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    const request = { folder, before, training: training(folder), limit: 60 };
    await writer.write(new TextEncoder().encode(JSON.stringify(request)));
    await writer.close();
    const { stdout } = await child.output();
    const [ready, interrupted, after] = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals(ready, { status: "ok", texts: ['"ready"'] });
    const [, stopped] = interrupted.status.match(
      /^Cannot finish this cell: it was interrupted \(Interrupted, step (\d+) of 100000\)\./,
    );
    const step = Number(stopped);
    assert(step > 0 && step < 100_000, interrupted.status);
    assert(interrupted.texts.at(-1).includes("stopped; run the cell again to go on"));
    assertEquals(after, { status: "ok", texts: ["42"] });
    const checkpoint = `${folder}/step-${String(step).padStart(8, "0")}`;
    for (const file of ["model.safetensors", "optimiser.safetensors", "training.json"]) {
      assert((await Deno.stat(`${checkpoint}/${file}`)).size > 0, file);
    }
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(jupyterPath, { recursive: true });
  },
});

Deno.test("types are checked over all cells and over folded solutions", async () => {
  const folder = await notebookFolder("04_types", "const a = 1;", "const b: number = a;");
  const source = `${folder}/src/04_types.ts`;
  await checkTypes(await readNotebooks(folder));
  await Deno.writeTextFile(
    source,
    "// %% [markdown]\n// ```ts\n// const c: string = a;\n// ```\n",
    {
      append: true,
    },
  );
  await assertRejects(
    async () => checkTypes(await readNotebooks(folder)),
    "Type 'number' is not assignable to type 'string'",
  );
  assertEquals(
    [...Deno.readDirSync(folder)].map(({ name }) => name),
    ["src"],
    "copies are removed",
  );
  await assertRejects(() => readNotebooks(folder, "99"), 'has a name that begins with "99"');
  await Deno.remove(folder, { recursive: true });
});

Deno.test("Jupyter is installed on Debian as root; elsewhere the command is said", () => {
  const debian = { distributions: ["debian"], hasApt: true, isRoot: true };
  const plan = planInstall(client, debian);
  assertEquals(plan, { packages: ["python3-jupyter-client"] });
  const user = planInstall(client, { ...debian, isRoot: false });
  assert("remedy" in user && user.remedy.startsWith("Run: sudo apt-get install"));
  const other = planInstall(client, { distributions: [], hasApt: false, isRoot: false });
  assertEquals(other, { remedy: `Run: ${client.python}` });
});

Deno.test("the kernel starts deaf to SIGINT where there is a shell, and keeps Jupyter's placeholder", () => {
  const { argv } = kernelSpec("/bin/deno", "linux") as { argv: string[] };
  assert(argv[2]!.includes("trap '' INT") && argv.at(-1) === "{connection_file}");
  assertEquals((kernelSpec("deno.exe", "windows").argv as string[])[0], "deno.exe");
});
