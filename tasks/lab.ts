// Opens the notebooks in a browser: `deno task lab`. JupyterLab if there is one, else Jupyter Notebook. What is opened are
// working copies in notebooks/my/, which nothing here ever writes over; a lesson that changed since is copied again only
// while nobody wrote in the copy.

import { fileURLToPath } from "node:url";
import { CannotError } from "../mod.ts";
import { exists, makeFolder, readText, writeFileAtomic } from "../src/base/files.ts";
import { ownCells, storedCells } from "../src/notebook/ipynb.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { frontend, installKernel, requirePart } from "./jupyter_setup.ts";

const lessons = fileURLToPath(new URL("../notebooks", import.meta.url));

/** What became of the working copies. */
export interface WorkingCopies {
  /** Made or renewed. */
  fresh: string[];
  /** Kept, though the lesson has changed: somebody wrote in them. */
  kept: string[];
}

/** Copies the notebooks of a folder into `my`, except where that would lose what somebody wrote. */
export async function copyLessons(folder: string, my = `${folder}/my`): Promise<WorkingCopies> {
  await makeFolder(my);
  const copies: WorkingCopies = { fresh: [], kept: [] };
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile && /^\d\d_.*\.ipynb$/.test(name)) names.push(name);
  }
  for (const name of names.sort()) {
    const lesson = await readText(`${folder}/${name}`);
    const path = `${my}/${name}`, origin = `${my}/.${name}.origin`;
    if (await exists(path)) {
      const copied = await exists(origin) ? await readText(origin) : undefined;
      if (copied === lesson) continue;
      const known = copied === undefined ? [] : storedCells(copied, origin);
      if (ownCells(await readText(path), path, known).length > 0) {
        copies.kept.push(path);
        continue;
      }
    }
    await writeFileAtomic(path, lesson);
    await writeFileAtomic(origin, lesson);
    copies.fresh.push(path);
  }
  return copies;
}

/** Lets Jupyter show the copies' outputs; they are this project's own. */
async function trust(paths: readonly string[]): Promise<boolean> {
  if (paths.length === 0) return true;
  try {
    const options: Deno.CommandOptions = { args: [...paths], stdout: "null", stderr: "null" };
    return (await new Deno.Command("jupyter-trust", options).output()).success;
  } catch { // it is not there, or may not run
    return false;
  }
}

const command = defineCommand({
  name: "lab",
  summary: "Opens copies of the notebooks in Jupyter, with a kernel that survives an interrupt.",
  examples: ["", "--port 9000 --no-browser"],
  options: {
    port: { type: "integer", default: 8888, min: 1, max: 65535, help: "Where Jupyter listens" },
    noBrowser: { type: "flag", help: "Only print the address" },
  },
  async run({ port, noBrowser }, terminal) {
    const program = await requirePart(frontend, terminal.note);
    if (program !== frontend.probes[0]![0]) {
      terminal.note(
        `Looked for jupyter-lab and found none: opening ${program}. For JupyterLab: ${frontend.python}`,
      );
    }
    const { fresh, kept } = await copyLessons(lessons);
    for (const path of kept) {
      terminal.note(`${path} is yours and stays as it is, though the lesson has changed since.`);
    }
    if (!await trust(fresh)) {
      terminal.note(
        "jupyter-trust is missing: tables show once you trust a notebook (File menu).",
      );
    }
    const folder = await installKernel();
    const args = [`--port=${port}`, `--notebook-dir=${lessons}/my`];
    if (noBrowser) args.push("--no-browser");
    if (Deno.build.os === "linux" && Deno.uid() === 0) args.push("--allow-root");
    // Ctrl-C reaches Jupyter as well, which asks before it ends; this process must live to clean up.
    const ignore = () => {};
    Deno.addSignalListener("SIGINT", ignore);
    const jupyterPath = [folder, Deno.env.get("JUPYTER_PATH")].filter(Boolean).join(":");
    try {
      const { success, code } = await new Deno.Command(program, {
        args,
        env: { JUPYTER_PATH: jupyterPath },
      }).spawn().status;
      if (success) return { copies: `${lessons}/my` };
      throw new CannotError("run Jupyter", `it ended with code ${code}`, "It says why above");
    } finally {
      Deno.removeSignalListener("SIGINT", ignore);
      await Deno.remove(folder, { recursive: true });
    }
  },
});

export default command;

if (import.meta.main) await runCommand(command);
