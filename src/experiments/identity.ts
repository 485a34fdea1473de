// What an experiment keeps is named by a digest of everything that decided it: settings, data, and the code. A checkout,
// whose files change under it, is known by their digest; an installed package by its version.

import { createHash } from "node:crypto";
import project from "../../deno.json" with { type: "json" };
import { CannotError } from "../base/errors.ts";
import type { Sequence } from "../data/sequence.ts";
import type { Weights } from "../model/config.ts";

/** Sixteen hexadecimal digits that stand for a value that JSON can hold. */
export function identityOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}

/** A digest of weights, by name and value. */
export function digestOfWeights(weights: Weights): string {
  const hash = createHash("sha256");
  for (const [name, { data }] of weights) hash.update(name).update(data);
  return hash.digest("hex");
}

/** A digest of sequences, in order. */
export function digestOfSequences(sequences: readonly Sequence[]): string {
  const hash = createHash("sha256");
  for (const { tokens, classes, weights } of sequences) {
    hash.update(Uint32Array.of(tokens.length, weights ? 1 : 0)).update(tokens).update(classes);
    if (weights) hash.update(weights);
  }
  return hash.digest("hex");
}

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
    return { training, measuring: identityOf([training, await digestOfRooms(measuringRooms)]) };
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
  return identityOf(files.map((file, i) => [file.slice(root.href.length), texts[i]]));
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
