// Which code made a result: what an experiment keeps is named by it as well as by settings and data. A checkout, whose
// files change under it, is known by their digest; an installed package by its version.

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

const root = new URL("../../", import.meta.url);
const trainingRooms = [
  "kernels",
  "src/base",
  "src/gpu",
  "src/model",
  "src/nn",
  "src/slung",
  "src/train",
];
const measuringRooms = ["src/data", "src/eval", "src/experiments", "src/label", "src/tokenizers"];

let known: Promise<CodeVersion> | undefined;

/**
 * The version of the code that is running, so that a scorer or a kernel that changed never shows an old number.
 *
 * @throws {CannotError} when this is a checkout whose source may not be read.
 */
export function codeVersion(): Promise<CodeVersion> {
  return known ??= findVersion();
}

async function findVersion(): Promise<CodeVersion> {
  if (root.protocol !== "file:") return { training: project.version, measuring: project.version };
  try {
    const training = await digestOfRooms(trainingRooms);
    const measuring = await fingerprintOf([training, await digestOfRooms(measuringRooms)]);
    return { training, measuring };
  } catch (cause) {
    throw new CannotError(
      "tell which code an experiment runs",
      (cause as Error).message,
      `Allow reading ${decodeURIComponent(root.pathname)}, the folder of this package`,
      { cause },
    );
  }
}

async function digestOfRooms(rooms: readonly string[]): Promise<string> {
  const files = (await Promise.all(rooms.map((room) => sourcesBelow(new URL(`${room}/`, root)))))
    .flat().sort();
  const texts = await Promise.all(files.map((file) => Deno.readTextFile(new URL(file))));
  return await fingerprintOf(files.map((file, i) => [file.slice(root.href.length), texts[i]]));
}

async function sourcesBelow(folder: URL): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const url = new URL(encodeURIComponent(name), folder).href;
    if (isDirectory) files.push(...await sourcesBelow(new URL(`${url}/`)));
    else if (/\.(ts|wgsl)$/.test(name)) files.push(url);
  }
  return files;
}
