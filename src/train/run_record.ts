// What a training run tells about itself, in its folder: run.json, and what was risky in its texts as a list of phrases,
// with which whoever reads its samples can colour them.

import { createHash } from "node:crypto";
import { CannotError } from "../base/errors.ts";
import { exists, readJson, readText, writeFileAtomic } from "../base/files.ts";
import type { ProcessRecord } from "../base/process.ts";
import type { RiskyText } from "../data/spans.ts";
import { type Objective, riskNames } from "../slung/objective.ts";
import { Risk } from "../slung/risk.ts";
import type { Sample } from "./samples.ts";

/** The name of the record in the folder of a run. */
export const runFile = "run.json";
/** The name of the list of risky phrases, one a line. */
export const phrasesFile = "risky.txt";

/** What `run.json` holds of a training run. */
export interface TrainingRecord extends ProcessRecord {
  /** Tells it from the record of an experiment. */
  kind: "training";
  /** `training` where it was stopped or killed: its log says how far it came. */
  state: "training" | "finished";
  /** The loss of each risk class by name; null masks the class. */
  objective: { name: string; denominator: string; terms: Record<string, string | null> };
  /** One line about the model, and the folder it came from; null for fresh weights. */
  model: { description: string; from: string | null };
  /** What it is trained on. */
  data: TextsRecord & {
    /** Sequences of an epoch. */
    windows: number;
    /** Predicted tokens by risk class. */
    targets: Record<string, number>;
  };
  /** What it is only measured on. */
  heldOut: TextsRecord | null;
  /** Tokens watched every so many steps, by risk class; null where nothing was watched. */
  watched: {
    every: number;
    sample: Record<string, number>;
    heldOut: Record<string, number> | null;
  } | null;
  /** Every setting, defaults included, as JSON. */
  settings: Record<string, unknown>;
  /** What it ran on. */
  adapter: { name: string; software: boolean };
  /** Optimiser steps in all. */
  steps: number;
  /** Wall-clock seconds of the process that finished it. */
  seconds: number | null;
  /** Why it has diverged, where it has. */
  diverged: string | null;
  /** What the model writes where the texts go on with something risky, before and after training. */
  samples: Sample[];
}

/** Which texts. */
export interface TextsRecord {
  /** The file or folder. */
  path: string;
  /** SHA-256 of the texts with their spans and weights, however the file is written. */
  digest: string;
  /** How many. */
  texts: number;
  /** How many hold something risky. */
  risky: number;
}

/** Tells about texts. */
export function describeTexts(path: string, texts: readonly RiskyText[]): TextsRecord {
  const hash = createHash("sha256");
  for (const { text, spans, weight = 1, rule = "overlap" } of texts) {
    const ranges = spans.map(({ start, end, risk }) => [start, end, risk]);
    hash.update(JSON.stringify([text, ranges, weight, rule]) + "\n");
  }
  const risky = texts.filter(({ spans }) => spans.some(({ risk }) => risk >= Risk.possible)).length;
  return { path, digest: hash.digest("hex"), texts: texts.length, risky };
}

/** Tells about an objective: each class's loss as its name and formula. */
export function describeObjective(
  { name, denominator, terms }: Objective,
): TrainingRecord["objective"] {
  const formulas = terms.map((term, risk) => [
    riskNames[risk]!,
    term ? `${term.name}: ${term.value}` : null,
  ]);
  return { name, denominator, terms: Object.fromEntries(formulas) };
}

/** Writes `run.json`. */
export async function writeRunRecord(folder: string, record: TrainingRecord): Promise<void> {
  await writeFileAtomic(`${folder}/${runFile}`, JSON.stringify(record, null, 2) + "\n");
}

/** Reads the record of a training run; `undefined` where the folder has none. */
export async function readRunRecord(folder: string): Promise<TrainingRecord | undefined> {
  const path = `${folder}/${runFile}`;
  if (!await exists(path)) return undefined;
  const record = await readJson(path) as Partial<TrainingRecord> | null;
  if (record?.kind !== "training") return undefined;
  const needed = ["objective", "model", "data", "settings", "samples", "versions"] as const;
  for (const field of needed) {
    if (typeof record[field] === "object" && record[field] !== null) continue;
    const why = `field "${field}" is missing`;
    throw new CannotError(`read "${path}"`, why, "Run the training again to write the file anew");
  }
  return record as TrainingRecord;
}

const mostPhrases = 1000;
const longestPhrase = 60; // of a name; longer ones are sentences, which no other text repeats

/** What is risky in texts as phrases, the most frequent first: at most 1,000, of at most 60 characters. */
export function riskyPhrases(texts: readonly RiskyText[]): string[] {
  const counts = new Map<string, number>();
  for (const { text, spans } of texts) {
    for (const { start, end, risk } of spans) {
      if (risk < Risk.possible || end - start > longestPhrase) continue;
      const phrase = text.slice(start, end).trim().replace(/\s+/g, " ");
      if (phrase !== "") counts.set(phrase, (counts.get(phrase) ?? 0) + 1);
    }
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, mostPhrases).map(([phrase]) => phrase);
}

/** Writes the list of risky phrases. */
export async function writePhrases(folder: string, phrases: readonly string[]): Promise<void> {
  await writeFileAtomic(`${folder}/${phrasesFile}`, phrases.map((line) => `${line}\n`).join(""));
}

/** The risky phrases of a run, or of an experiment; `undefined` where the folder has no list. */
export async function readPhrases(folder: string): Promise<string[] | undefined> {
  const path = `${folder}/${phrasesFile}`;
  if (!await exists(path)) return undefined;
  return (await readText(path)).split("\n").filter((line) => line.trim() !== "");
}
