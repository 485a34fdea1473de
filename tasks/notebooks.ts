// deno task notebooks [--only 01] [--full]: type-checks the sources in notebooks/src (with the solutions that they fold
// away), runs each through the real Jupyter kernel from its first cell to its last, and writes notebooks/NN_name.ipynb
// with what came out. Then the folded solutions are run, each in a scope of its own; their outputs are not kept. A notebook
// with a failed cell or solution, and there every failed check is one, keeps its last file; one in which somebody wrote is
// refused before anything runs. With --texts nothing runs: text cells are taken over and outputs kept, where no code changed.

import { fileURLToPath } from "node:url";
import { CannotError } from "../mod.ts";
import { createProgress } from "../src/report/progress.ts";
import { exists, readText, writeFileAtomic } from "../src/base/files.ts";
import { shellWord } from "../src/base/words.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import {
  type CellOutput,
  cleanOutputs,
  keptOutputs,
  ownCells,
  parseSource,
  renderNotebook,
  solutionsOf,
  type SourceCell,
  withSolutions,
} from "../src/notebook/ipynb.ts";
import { client, installKernel, requirePart } from "./jupyter_setup.ts";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

interface Notebook {
  /** E.g. `01_the_selective_loss`. */
  name: string;
  /** The path of its source. */
  path: string;
  text: string;
  cells: SourceCell[];
}

/** How to run notebooks. */
export interface RunOptions {
  /** The folder that holds `src/`, and where notebooks go; cells run in it. */
  folder: string;
  /** What `notebookSize()` says. */
  size: "quick" | "full";
  /** Seconds that a notebook may take. */
  limit: number;
}

/** The sources in a folder whose names begin with a text, in order. @throws {CannotError} when there are none. */
export async function readNotebooks(folder: string, only = ""): Promise<Notebook[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(`${folder}/src`)) {
      if (isFile && /^[^.].*\.ts$/.test(name) && name.startsWith(only)) names.push(name);
    }
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CannotError(`list "${folder}/src"`, why, "Run the task in the project", { cause });
  }
  if (names.length === 0) {
    throw new CannotError(
      "run notebooks",
      `no source in "${folder}/src" has a name that begins with "${only}"`,
      "Leave --only out to run all",
    );
  }
  return await Promise.all(
    names.sort().map(async (file) => {
      const path = `${folder}/src/${file}`;
      const text = await readText(path);
      return { name: file.replace(/\.ts$/, ""), path, text, cells: parseSource(text, path) };
    }),
  );
}

/** Type-checks each notebook as one module. @throws {CannotError} with what the compiler says. */
export async function checkTypes(notebooks: readonly Notebook[]): Promise<void> {
  // One folder up, where the cells will run: there their relative imports hold.
  const copies = notebooks.map(({ path }) => path.replace(/src\/([^/]+)\.ts$/, ".check_$1.ts"));
  try {
    await Promise.all(
      notebooks.map(({ text, cells }, i) =>
        Deno.writeTextFile(copies[i]!, withSolutions(text, cells))
      ),
    );
    const { success, stderr } = await new Deno.Command("deno", { // by name, as --allow-run=deno grants it
      args: ["check", "--quiet", ...copies],
      env: { NO_COLOR: "1" },
    }).output();
    if (success) return;
    const said = new TextDecoder().decode(stderr).trim().replaceAll("/.check_", "/src/");
    throw new CannotError("type-check the notebooks", `\n${said}\n`, "Mend the cells");
  } finally {
    await Promise.all(copies.map((copy) => Deno.remove(copy).catch(() => {})));
  }
}

/**
 * Refuses to write over what a person wrote into the notebooks that are to be made again.
 *
 * @throws {CannotError} naming the notebook, the cells and how to keep them.
 */
export async function refuseOwnCells(
  folder: string,
  notebooks: readonly Notebook[],
): Promise<void> {
  for (const { name, cells } of notebooks) {
    const path = `${folder}/${name}.ipynb`;
    if (!await exists(path)) continue;
    const own = ownCells(await readText(path), path, cells);
    if (own.length === 0) continue;
    const { number, line } = own[0]!;
    const others = own.length > 1 ? ` and ${own.length - 1} more` : "";
    throw new CannotError(
      `make "${path}" again`,
      `cell ${number}${others} is not from its source (it begins "${line.slice(0, 60)}")`,
      `Keep your work under another name, mv ${shellWord(path)} ${
        shellWord(`${folder}/${name}_mine.ipynb`)
      }, then run the task again; ` +
        "deno task lab opens copies that are never written over",
    );
  }
}

/**
 * Runs a notebook and writes its `.ipynb`.
 *
 * @throws {CannotError} naming notebook, cell, line and error when a cell fails; the old file is then left as it is.
 */
export async function runNotebook(
  notebook: Notebook,
  { folder, size, limit }: RunOptions,
  python: string,
): Promise<void> {
  const { name, path, cells } = notebook;
  const code = cells.filter(({ kind }) => kind === "code");
  const solutions = solutionsOf(cells).map(({ code, line }) => ({ source: `{\n${code}}`, line }));
  const all = [...code, ...solutions];
  const jupyterPath = await installKernel();
  const outputs: CellOutput[][] = [];
  const hidden = new Map([[`file://${root}`, "."], [root, "."], [jupyterPath, "…"]]);
  try {
    using progress = createProgress({ total: all.length, label: name });
    const request = { kernel: "deno", folder, limit, cells: all.map(({ source }) => source) };
    for await (const event of execute(python, request, { jupyterPath, size })) {
      outputs.push(cleanOutputs(event.outputs, hidden));
      const problem = event.problem ?? unreadable(outputs.at(-1)!) ??
        wrongSolution(outputs.at(-1)!);
      if (event.failed || problem) {
        throw cellError(notebook, all, { ...event, problem }, outputs.at(-1)!);
      }
      progress.update(outputs.length);
    }
  } finally {
    await Deno.remove(jupyterPath, { recursive: true });
  }
  if (outputs.length < all.length) {
    throw new CannotError(
      `run ${path}`,
      `the kernel did not finish cell ${outputs.length + 1}`,
      "What it said stands above",
    );
  }
  await refuseOwnCells(folder, [notebook]); // it may have been written in meanwhile
  await writeFileAtomic(
    `${folder}/${name}.ipynb`,
    renderNotebook(cells, outputs.slice(0, code.length)),
  );
}

interface CellEvent {
  cell: number;
  outputs: CellOutput[];
  failed: boolean;
  /** Why there is no result, when the cell itself did not fail. */
  problem: string | null;
}

const mostCharacters = 5000;

// A loop has a value too, that of its last statement: a cell that ends in one may show all weights of a model.
function unreadable(outputs: readonly CellOutput[]): string | null {
  const value = outputs.find(({ output_type }) => output_type === "execute_result");
  const { "text/plain": text = "", ...rich } = (value?.data ?? {}) as Record<string, string>;
  if (text.length <= mostCharacters || Object.keys(rich).length > 0) return null;
  return `its value, that of its last statement, is a text of ${text.length} characters; end it with ` +
    "something to look at";
}

// An answer that a lesson calls right must be.
function wrongSolution(outputs: readonly CellOutput[]): string | null {
  const texts = outputs.map(({ data }) =>
    (data as Record<string, string> | undefined)?.["text/plain"]
  );
  return texts.find((text) => text?.startsWith("✗ Exercise")) ?? null;
}

function cellError(
  { name, path }: Notebook,
  code: readonly Pick<SourceCell, "line">[],
  { cell, problem }: CellEvent,
  outputs: readonly CellOutput[],
): CannotError {
  const { line } = code[cell]!;
  const error = outputs.find(({ output_type }) => output_type === "error");
  const why = problem ?? `${error?.ename}: ${error?.evalue}`;
  return new CannotError(
    `run notebook ${name}`,
    `code cell ${cell + 1} of ${code.length} (${path}:${line}): ${why.replace(/\.$/, "")}`,
    "Nothing was written",
  );
}

async function* execute(
  python: string,
  request: { kernel: string; folder: string; limit: number; cells: string[] },
  { jupyterPath, size }: { jupyterPath: string; size: string },
): AsyncGenerator<CellEvent> {
  const script = fileURLToPath(new URL("run_notebook.py", import.meta.url));
  const runner = new Deno.Command(python, {
    args: [script],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
    env: {
      JUPYTER_PATH: jupyterPath,
      JUPYTER_RUNTIME_DIR: jupyterPath, // where the connection file goes
      SLUNG_NOTEBOOK: size,
      SLUNG_NOTEBOOK_CACHE: `${jupyterPath}/cache`, // empty: what is shown was computed by this run
      NO_COLOR: "1",
    },
  }).spawn();
  const input = runner.stdin.getWriter();
  await input.write(new TextEncoder().encode(JSON.stringify(request)));
  await input.close();
  let rest = "";
  for await (const text of runner.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line);
  }
  await runner.status;
}

/**
 * Takes over the text cells of sources whose code is the one that was run, and keeps its outputs.
 *
 * @throws {CannotError} before anything is written, naming the notebook and what of its code has changed.
 */
export async function refreshTexts(
  folder: string,
  notebooks: readonly Notebook[],
): Promise<string[]> {
  const files: [path: string, text: string][] = [];
  for (const { name, cells } of notebooks) {
    const path = `${folder}/${name}.ipynb`;
    files.push([path, renderNotebook(cells, keptOutputs(await readText(path), path, cells))]);
  }
  for (const [path, text] of files) await writeFileAtomic(path, text);
  return files.map(([path]) => path);
}

async function runAll(
  options: RunOptions & { only?: string; texts: boolean },
  terminal: Terminal,
): Promise<object> {
  const notebooks = await readNotebooks(options.folder, options.only);
  await refuseOwnCells(options.folder, notebooks);
  await checkTypes(notebooks);
  terminal.note(`Types are right in ${notebooks.map(({ name }) => name).join(", ")}`);
  if (options.texts) {
    const written = await refreshTexts(options.folder, notebooks);
    terminal.print(`Not run, the code is the one that was; texts are new in ${written.join(", ")}`);
    return { notebooks: written, size: null };
  }
  const python = await requirePart(client, terminal.note);
  const failures: string[] = [];
  for (const notebook of notebooks) {
    try {
      await runNotebook(notebook, options, python);
    } catch (error) {
      if (!(error instanceof CannotError)) throw error;
      terminal.note(error.message);
      failures.push(notebook.name);
    }
  }
  if (failures.length > 0) {
    const all = notebooks.length;
    throw new CannotError(
      `refresh ${failures.join(", ")}`,
      `${failures.length} of ${all} notebooks failed`,
      "The cells are named above",
    );
  }
  const written = notebooks.map(({ name }) => `${options.folder}/${name}.ipynb`);
  terminal.print(`Run without a failed cell, and written: ${written.join(", ")}`);
  return { notebooks: written, size: options.size };
}

const command = defineCommand({
  name: "notebooks",
  summary: "Type-checks and runs the notebooks, and refreshes their outputs.",
  examples: ["--only 01", "--texts"],
  options: {
    only: {
      type: "string",
      placeholder: "name",
      help: "Only those whose name begins so, e.g. 01",
    },
    full: { type: "flag", help: "At the full size; quick unless given" },
    texts: {
      type: "flag",
      help: "Run nothing: take texts over and keep outputs, where no code has changed",
    },
    limit: {
      type: "integer",
      min: 1,
      max: 2e6, // in milliseconds, a timer ends at 2^31
      placeholder: "seconds",
      help: "What a notebook may take; 600 unless given, or a day with --full",
    },
    folder: {
      type: "string",
      default: `${root}/notebooks`,
      placeholder: "folder",
      help: "Where src/ and the notebooks are",
    },
  },
  run: ({ only, full, texts, limit = full ? 86400 : 600, folder }, terminal) =>
    runAll(
      { folder, limit, texts, size: full ? "full" : "quick", ...(only && { only }) },
      terminal,
    ),
});

export default command;

if (import.meta.main) await runCommand(command);
