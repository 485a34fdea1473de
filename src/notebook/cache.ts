// Where notebooks keep what is costly: trained models, measures, and the state of trainings that were interrupted. Under
// the project's `.cache`, so that a working copy finds what the lesson made; deleting the folder loses nothing but time.

import { fileURLToPath } from "node:url";
import { makeFolder } from "../base/files.ts";

const root = new URL("../../", import.meta.url);

/** The path of a file or folder of this project, wherever the notebook lies, e.g. `models/invented-base`. */
export function projectPath(path: string): string {
  return fileURLToPath(new URL(path, root));
}

/**
 * A folder of the notebooks' cache, made if need be: `.cache/notebooks/NAME` of the project, or below the folder that the
 * variable SLUNG_NOTEBOOK_CACHE names, as `deno task notebooks` sets it to begin anew.
 */
export async function lessonFolder(name: string): Promise<string> {
  const cache = Deno.env.get("SLUNG_NOTEBOOK_CACHE") ??
    (root.protocol === "file:" ? projectPath(".cache/notebooks") : ".cache/notebooks");
  const folder = `${cache}/${name}`;
  await makeFolder(folder);
  return folder;
}
