// Optional packages from a project of its own beside this one, which has its own import map and none of this project's:
// every part that fetches one works there, and says what is missing where it cannot be had. And what is locked where.

import { importPackage, packages } from "../src/base/packages.ts";
import { CannotError } from "../src/base/errors.ts";
import { assert, assertEquals } from "./assert.ts";
import { isPackageHere } from "./fixtures/package_here.ts";

const root = import.meta.dirname!.replace(/\/tests$/, "");
const project = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
const { exports, name, version } = project as Record<"name" | "version", string> & {
  exports: Record<string, string>;
};

const light = `
import { openTokenizer, trainBytePair } from "${name}/tokenizers";
import { lossCurves, renderPlot } from "${name}/plot";
const trained = trainBytePair(["The old mill, the old mill"], 270);
await trained.save("saved");
const opened = await openTokenizer("saved");
const text = opened.decode(opened.encode("The old mill").ids);
const svg = await renderPlot(lossCurves([{ name: "loss", points: [{ step: 1, loss: 2 }, { step: 2, loss: 1 }] }]));
console.log(JSON.stringify({ text, svg: svg.startsWith("<svg") }));
`;

const frames = `
import { describeFrame, frameToHtml, toDataFrame } from "${name}/frame";
import { showTable } from "${name}/notebook";
const rows = [{ method: "<b>", knowledge: 74.25 }, { method: "masked", knowledge: 3, note: "x" }, { method: "c" }];
const frame = await toDataFrame(rows);
const numbers = await toDataFrame([{ loss: 1 }, { loss: 2 }, { loss: 6 }]);
const described = describeFrame(numbers).split("\\n").map((line) => line.trim().split(/\\s+/));
const statistic = (wanted) => described.find(([name]) => name === wanted)?.[1];
const html = frameToHtml(frame);
console.log(JSON.stringify({
  columns: frame.columns, shape: frame.shape, cell: frame.iat(0, 1), mean: statistic("mean"), median: statistic("median"),
  escaped: html.includes("&#60;b&#62;") && html.includes(">74.25</td>"),
  shown: String(showTable(await toDataFrame([{ a: 1, b: "x" }, { a: 2, b: "y" }]))).split("\\n").slice(2),
  empty: await toDataFrame([]).catch((error) => error.message),
}));
`;

const models = `
import { entityLabeller, transformersClassifier } from "${name}/label";
const told = [];
for (const open of [transformersClassifier, entityLabeller]) {
  told.push(await open("./nowhere").then(() => "opened", (error) => error.message));
}
console.log(JSON.stringify(told));
Deno.exit();
`;

/** A new folder whose deno.json maps this package by path, or links it, with a copy of one of the lock files. */
async function projectBeside(lock: string, by: "path" | "link" = "path"): Promise<string> {
  const folder = await Deno.makeTempDir();
  const byPath = Object.entries(exports).map(([entry, file]) => [
    name + entry.slice(1),
    `${root}/${file}`,
  ]);
  const config = by === "path"
    ? { imports: Object.fromEntries(byPath) }
    : { links: [root], imports: { [name]: `jsr:${name}@${version}` } };
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(config));
  await Deno.copyFile(`${root}/locks/${lock}.lock`, `${folder}/deno.lock`);
  return folder;
}

/** Runs a program in a folder; what it prints is JSON. */
async function run(
  folder: string,
  program: string,
  ...flags: string[]
): Promise<{ result: unknown; errors: string }> {
  await Deno.writeTextFile(`${folder}/program.ts`, program);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...flags, "program.ts"],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { result: out === "" ? undefined : JSON.parse(out!), errors: errors! };
}

for (const by of ["path", "link"] as const) {
  Deno.test(`from another project, by ${by}: tokenizers and pictures need no more than their files`, async () => {
    const folder = await projectBeside("light", by);
    const { result, errors } = await run(folder, light, "--allow-read", "--allow-write");
    assertEquals(result, { text: "The old mill", svg: true }, errors);
  });
}

// The heavy packages are fetched where tests run for everybody, not on the machine of everyone who tries them.
const continuous = Deno.env.get("CI") !== undefined;
async function heavy(name: string, specifier: string, fn: () => Promise<void>): Promise<void> {
  const ignore = !continuous && !await isPackageHere(specifier);
  if (ignore) console.warn(`SKIPPED: ${specifier} is not on this machine; CI=1 fetches it`);
  Deno.test({ name, ignore, fn });
}

await heavy(
  "from another project: rows become a DataFrame, with statistics and HTML",
  packages.danfo,
  async () => {
    const flags = [
      "--allow-read",
      "--allow-env",
      "--allow-sys",
      "--allow-ffi",
    ];
    const { result, errors } = await run(await projectBeside("packages"), frames, ...flags);
    assertEquals(result, {
      columns: ["method", "knowledge", "note"],
      shape: [3, 3],
      cell: 74.25,
      mean: "3",
      median: "2",
      escaped: true,
      shown: ["0  1  x", "1  2  y"],
      empty: "Cannot build a DataFrame: there are no rows. Pass at least one row.",
    }, errors);
  },
);

await heavy(
  "from another project: transformers.js is loaded, and a model that is not there is named",
  packages.transformers,
  async () => {
    const flags = [
      "--allow-read",
      "--allow-env",
      "--allow-sys",
      "--allow-ffi",
    ];
    const { result, errors } = await run(await projectBeside("packages"), models, ...flags);
    const [classifier, entities] = result as string[];
    assert(
      classifier?.startsWith('Cannot load the classifier "./nowhere"'),
      `${classifier} ${errors}`,
    );
    assert(entities?.startsWith('Cannot load the model of entities "./nowhere"'), entities);
  },
);

Deno.test("a package that cannot be had is named with its version, what is in the way, and what to do", async () => {
  const folder = await projectBeside("light");
  const missing = `Cannot load the package ${packages.transformers}: `;
  const said = async (...flags: string[]) =>
    (await run(folder, models, "--allow-read", ...flags)).result as string[];
  await run(folder, light, "--allow-read", "--allow-write"); // the lock file learns of this project
  for (const line of await said("--frozen")) {
    assert(line.startsWith(`${missing}The lockfile is out of date`), line);
    assert(line.includes("Use a lock file that holds it"), line);
  }
  const unreachable = { NPM_CONFIG_REGISTRY: "http://127.0.0.1:9", DENO_DIR: `${folder}/empty` };
  await Deno.remove(`${folder}/deno.lock`);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-read", "program.ts"],
    cwd: folder,
    env: { NO_COLOR: "1", ...unreachable },
  }).output();
  for (const line of JSON.parse(new TextDecoder().decode(stdout))) {
    assert(line.startsWith(missing), line);
    assert(line.endsWith("fetches it, or shows what is in the way."), line);
  }
});

Deno.test("every package is locked at its version: Vega for all tasks, the heavy ones apart", async () => {
  const locked = async (file: string) =>
    Object.keys(JSON.parse(await Deno.readTextFile(`${root}/locks/${file}.lock`)).specifiers);
  const inAll = await locked("light"), inHeavy = await locked("packages");
  for (const specifier of Object.values(packages)) assert(inHeavy.includes(specifier), specifier);
  for (const specifier of [packages.vega, packages.vegaLite]) {
    assert(inAll.includes(specifier), specifier);
  }
  const text = await Deno.readTextFile(`${root}/locks/light.lock`);
  for (const heavy of ["onnxruntime", "tfjs"]) assert(!text.includes(heavy), heavy);
});

Deno.test("every task runs what it runs with a lock file that may not grow", () => {
  const { tasks } = project as { tasks: Record<string, { command: string }> };
  for (const [task, { command }] of Object.entries(tasks)) {
    for (const [call] of command.matchAll(/deno (?:run|test) [^&|]*/g)) {
      const locked = /--lock=locks\/\w+\.lock --frozen/.test(call);
      assert(locked || task === "lock", `${task}: ${call}`);
    }
  }
});

Deno.test("tasks without transformers.js load no libraries and see no more of the environment than they say", () => {
  const { tasks } = project as { tasks: Record<string, { command: string }> };
  for (
    const task of [
      "demo",
      "notes",
      "tofu",
      "toxicity",
      "train",
      "label",
      "generate",
      "perplexity",
      "pretrain",
    ]
  ) {
    const { command } = tasks[task]!;
    for (const flag of ["--allow-ffi", "--allow-env ", "--allow-sys ", "--allow-run", "-A "]) {
      assert(!command.includes(flag), `${task}: ${flag}`);
    }
  }
});

Deno.test("importing what is not a package fails as a sentence", async () => {
  try {
    await importPackage("nothing" as keyof typeof packages);
    throw new Error("it was imported");
  } catch (error) {
    assert(error instanceof CannotError, String(error));
  }
});
