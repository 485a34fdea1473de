// Which code made a result: what an experiment keeps is named by it as well as by settings and data. A checkout, whose
// files change under it, is known by their digest; an installed package by its version.

import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import { CannotError } from "../base/errors.ts";
import { fingerprintOf } from "../train/fingerprint.ts";

/** The code of an experiment, in two parts. */
export interface CodeVersion {
  /** What decides a trained model, given its sequences. */
  training: string;
  /** What decides a measure, given the model. */
  measuring: string;
}

const ownRoot = new URL("../../", import.meta.url);
// What only measures, and what only shows. Everything else decides a trained model, rooms that come later included.
const measuringRooms = ["src/eval", "src/experiments", "src/label"];
const showingRooms = ["src/notebook", "src/report"];
// What of the measuring rooms decides a trained model as well: the stages, and the scores by which Rho-1 selects.
const trainingFiles = /^src\/(eval\/score|experiments\/(runner|[^/]+\/experiment))\.ts$/;

let known: Promise<CodeVersion> | undefined;

/**
 * The version of the code that is running, so that a scorer or a kernel that changed never shows an old number.
 *
 * @throws {CannotError} when this is a checkout whose source may not be read.
 */
export function codeVersion(): Promise<CodeVersion> {
  return known ??= versionBelow(ownRoot);
}

/** The version of the code below a folder that holds `kernels/` and `src/`. */
export async function versionBelow(root: URL): Promise<CodeVersion> {
  if (root.protocol !== "file:") return { training: project.version, measuring: project.version };
  try {
    const files = [...await sourcesBelow(root, "kernels"), ...await sourcesBelow(root, "src")]
      .sort();
    const isIn = (rooms: readonly string[]) => (file: string) =>
      rooms.some((room) => file.startsWith(`${room}/`));
    const measures = isIn(measuringRooms), shows = isIn(showingRooms);
    const training = await digestOf(
      root,
      files.filter((file) => !shows(file) && (!measures(file) || trainingFiles.test(file))),
    );
    const measuring = await fingerprintOf([training, await digestOf(root, files.filter(measures))]);
    return { training, measuring };
  } catch (cause) {
    throw new CannotError(
      "tell which code an experiment runs",
      (cause as Error).message,
      `Allow reading ${fileURLToPath(root)}, the folder of this package`,
      { cause },
    );
  }
}

async function digestOf(root: URL, files: readonly string[]): Promise<string> {
  const texts = await Promise.all(files.map((file) => Deno.readTextFile(new URL(file, root))));
  return await fingerprintOf(files.map((file, i) => [file, texts[i]]));
}

/** The paths of all sources in a folder and below, from the root. */
async function sourcesBelow(root: URL, folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(`${folder}/`, root))) {
    const path = `${folder}/${encodeURIComponent(name)}`;
    if (isDirectory) files.push(...await sourcesBelow(root, path));
    else if (/\.(ts|wgsl)$/.test(name)) files.push(path);
  }
  return files;
}
