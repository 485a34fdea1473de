// What identifies a run: digests of everything that decides its course. SHA-256 comes from the platform
// (`crypto.subtle`, in browsers as in Deno); what consists of many arrays is digested array by array.

import type { Sequence, SequenceSource } from "../data/sequence.ts";
import type { Weights } from "../model/config.ts";
import type { LanguageModel } from "../model/language_model.ts";
import type { OptimiserState } from "./optimiser_state.ts";

/** A short fingerprint of whatever decides the course of a run. */
export async function fingerprintOf(settings: unknown): Promise<string> {
  return (await digest(new TextEncoder().encode(JSON.stringify(settings)))).slice(0, 16);
}

/**
 * In what two runs differ, as a reader says it: `schedule.peak was 0.0003 and is 0.001`; digests are only named.
 *
 * @param before The settings of the one, as JSON.
 * @param now Those of the other.
 * @param most Differences that are named; the others are counted.
 */
export function describeDifferences(before: object, now: object, most = 5): string {
  const plain = (settings: object) => JSON.parse(JSON.stringify(settings)) as Json;
  const found = differences(plain(before), plain(now), "");
  const named = found.slice(0, most);
  const others = found.length - named.length;
  return [...named, ...(others > 0 ? [`and ${others} more`] : [])].join("; ");
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

// Known by their digests alone.
const digested: Readonly<Record<string, string>> = {
  initial: "the weights that it starts from",
  epochs: "the texts",
  optimiserState: "AdamW's moments that it starts from",
};

const titles: Readonly<Record<string, string>> = {
  perStep: "texts per step",
  "shape.rows": "rows of a micro-batch",
  "shape.time": "positions of a row",
  "schedule.peak": "learning rate",
  "schedule.warmup": "warm-up",
  "schedule.decay": "decay",
  "optimiser.weightDecay": "weight decay",
  "optimiser.maxGradientNorm": "maximum gradient norm",
};

function differences(before: Json | undefined, now: Json | undefined, path: string): string[] {
  if (JSON.stringify(before) === JSON.stringify(now)) return [];
  if (path === "epochs" && Array.isArray(before) && Array.isArray(now)) {
    const [a, b] = [before.length, now.length];
    if (a !== b) return [`epochs were ${a} and are ${b}`];
  }
  if (path in digested) return [`${digested[path]} are others`];
  if (path === "objective" && name(before) !== name(now)) {
    return [`objective was ${name(before)} and is ${name(now)}`];
  }
  if (isObject(before) && isObject(now)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
    return names.flatMap((each) =>
      differences(before[each], now[each], path === "" ? each : `${path}.${each}`)
    );
  }
  const show = (value: Json | undefined) => value === undefined ? "absent" : JSON.stringify(value);
  return [`${titles[path] ?? path} was ${show(before)} and is ${show(now)}`];
}

function isObject(value: Json | undefined): value is { [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function name(value: Json | undefined): unknown {
  return isObject(value) ? value.name : undefined;
}

/** A digest of weights, by name and value. */
export async function digestWeights(weights: Weights): Promise<string> {
  const parts = [...weights].map(async ([name, { data }]) => [name, await digest(data)]);
  return await fingerprintOf(await Promise.all(parts));
}

/** Digests of the weights of a model, which tell the same architecture with other initial weights apart. */
export async function digestModel({ gpu, parameters }: LanguageModel): Promise<string[]> {
  const arenas = await gpu.readAll(parameters.groups.map(({ weight }) => weight));
  return await Promise.all(arenas.map((bytes) => digest(new Uint8Array(bytes))));
}

/** A digest of an optimiser's state. */
export async function digestOptimiserState(
  { updates, first, second, lossScaling }: OptimiserState,
): Promise<string> {
  const moments = [await digestWeights(first), await digestWeights(second)];
  const scaling = lossScaling && await digest(lossScaling);
  return await fingerprintOf([updates, ...moments, scaling ?? null]);
}

/** A digest of sequences, in order; that of a source with an identity does not make them. */
export async function digestSequences(sequences: SequenceSource): Promise<string> {
  if (sequences.identity !== undefined) return await fingerprintOf(sequences.identity);
  const digests: string[] = [];
  let block: Sequence[] = [], tokens = 0;
  for (let i = 0; i < sequences.length; i++) {
    const sequence = sequences.at(i)!;
    block.push(sequence);
    tokens += sequence.tokens.length;
    if (tokens < blockTokens) continue;
    digests.push(await digest(bytesOf(block)));
    block = [];
    tokens = 0;
  }
  digests.push(await digest(bytesOf(block)));
  return digests.length === 1 ? digests[0]! : await fingerprintOf(digests);
}

const blockTokens = 1 << 20; // digested together, so that memory does not grow with the sequences

/** The digest of each epoch; each different epoch is read once. */
export async function digestEpochs(epochs: readonly SequenceSource[]): Promise<string[]> {
  const digests = new Map<SequenceSource, Promise<string>>();
  for (const epoch of epochs) {
    if (!digests.has(epoch)) digests.set(epoch, digestSequences(epoch));
  }
  return await Promise.all(epochs.map((epoch) => digests.get(epoch)!));
}

// Lengths and what there is stand before the content, so that no two lists have the same bytes.
function bytesOf(sequences: readonly Sequence[]): Uint8Array<ArrayBuffer> {
  const arrays = sequences.flatMap(({ tokens, classes, weights, repeated = 0 }) => [
    Uint32Array.of(tokens.length, weights ? 1 : 0, repeated),
    ...[tokens, classes, ...(weights ? [weights] : [])],
  ]);
  const bytes = new Uint8Array(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
    offset += byteLength;
  }
  return bytes;
}

async function digest(data: ArrayBufferView<ArrayBufferLike>): Promise<string> {
  const bytes = new Uint8Array(
    await crypto.subtle.digest("SHA-256", data as ArrayBufferView<ArrayBuffer>),
  );
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
