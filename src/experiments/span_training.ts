// Training on any texts with risk spans, one JSON object a line:
//   {"text": "…", "spans": [{"start": 3, "end": 9, "risk": "high"}, [20, 27]], "weight": 0.5}
// into a Hugging Face folder with its tokenizer, a log of every step and a picture of the losses. Interrupted at any
// moment, the same call goes on from the last checkpoint and ends with the same bytes.

import { CannotError } from "../base/errors.ts";
import { exists, readJson, readText, writeFileAtomic } from "../base/files.ts";
import { delimited, type Sequence } from "../data/batch.ts";
import { trainBytePair } from "../data/byte_pair.ts";
import { type JsonRow, numberField, readJsonRows, stringField } from "../data/jsonl.ts";
import { checkVocabulary, loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { DecoderConfig, Weights } from "../model/config.ts";
import { presets } from "../model/families.ts";
import { fromHuggingFace } from "../model/formats/huggingface/config.ts";
import { initialise } from "../model/initialise.ts";
import { LanguageModel } from "../model/language_model.ts";
import { countParameters } from "../model/parameter_shapes.ts";
import { loadModel, saveModel } from "../model/weights.ts";
import { loadPlots } from "../report/load_plots.ts";
import {
  type Denominator,
  isActive,
  type Objective,
  objective,
  type ObjectiveName,
  riskNames,
} from "../slung/objective.ts";
import { classifyTokens, Risk, type RiskSpan, validateSpans } from "../slung/risk.ts";
import { choosePrecision } from "../gpu/precision.ts";
import type { Precision } from "../gpu/tensor.ts";
import { fit } from "../train/fit.ts";
import type { LogEntry, TrainingOutcome } from "../train/loop.ts";
import { olmoOptimiser } from "../train/optimiser.ts";
import type { Schedule } from "../train/schedule.ts";

/** A text, what is risky in it, and how much its tokens count. */
export interface RiskyText {
  /** One document. */
  text: string;
  /** Its risky stretches, in UTF-16 units; the rest is low risk. */
  spans: RiskSpan[];
  /** Multiplies the loss of every token; 1 unless given. */
  weight: number;
}

/** What to train on, which model, and how. */
export interface SpanTrainingSettings {
  /** The file of texts. */
  data: string;
  /** The folder for checkpoints, log, picture and the finished model. */
  out: string;
  /** Go on from the model in this folder … */
  model?: string | undefined;
  /** … or start one of a named size … */
  preset?: keyof typeof presets | undefined;
  /** … or one of the sizes in a Hugging Face config.json. */
  config?: string | undefined;
  /** The folder of the tokenizer; that of the model unless given. */
  tokenizer?: string | undefined;
  /** Token ids of a byte-pair tokenizer to be trained on the texts; for new models only. */
  vocabulary?: number | undefined;
  /** Of weights and activations, if the adapter has it; master weights and moments are f32. */
  precision: Precision;
  /** Compute activations again on the way back instead of keeping them. */
  recompute: boolean;
  /** What each risk class is trained to do. */
  objective: ObjectiveName;
  /** What the summed loss of a step is divided by. */
  denominator: Denominator;
  /** Passes over the texts. */
  epochs: number;
  /** Windows per optimiser step. */
  perStep: number;
  /** The peak of the schedule. */
  learningRate: number;
  /** Steps of linear warm-up. */
  warmup: number;
  /** How the learning rate falls, to 0, after the warm-up. */
  decay: Schedule["decay"];
  /** Decoupled, of matrices only. */
  weightDecay: number;
  /** The global gradient norm to clip to; 0 never clips. */
  clip: number;
  /** Of fresh weights and of the order of the texts. */
  seed: number;
  /** Steps between checkpoints. */
  checkpointEvery: number;
  /** Tokens of a window, special tokens included; the model's context unless given. */
  maxLength?: number | undefined;
}

/** What there is to train, known before the first step. */
export interface SpanTrainingPlan {
  /** One line about the model. */
  model: string;
  /** Documents read. */
  texts: number;
  /** Texts that were too long for one window. */
  cut: number;
  /** Sequences per epoch. */
  windows: number;
  /** Further windows that hold no token with a loss term, and are left out: they have no gradient. */
  leftOut: number;
  /** Predicted tokens by risk class. */
  targets: number[];
  /** Optimiser steps of all epochs. */
  steps: number;
}

/** What a run tells while it works. */
export interface SpanTrainingEvents {
  /** Called once, before the first step. */
  onPlan?: (plan: SpanTrainingPlan) => void;
  /** Called with every step reported, and the number of steps in all. */
  onLog?: (entry: LogEntry, steps: number) => void;
  /** Aborting stops after the current step, with a checkpoint. */
  signal?: AbortSignal;
}

/** Names of the files beside the model. */
const logFile = "log.jsonl", pictureFile = "loss.svg";

/**
 * Trains until the last epoch is done or `signal` is aborted; in `out` the finished model appears only when it is.
 *
 * @throws {CannotError} naming file, line and field of bad data, or the setting that does not fit the others.
 */
export async function trainOnSpans(
  gpu: Gpu,
  settings: SpanTrainingSettings,
  { onPlan, onLog, signal }: SpanTrainingEvents = {},
): Promise<TrainingOutcome> {
  const { data, out, epochs, perStep, seed, warmup, decay } = settings;
  const texts = await readRiskyTexts(data);
  const { config, weights, tokenizer, description } = await openStart(settings, texts);
  const method = objective(settings.objective, settings.denominator);
  const { sequences, ...counts } = windowsOf(
    texts,
    tokenizer,
    method,
    windowLength(settings, config),
  );
  if (sequences.length === 0) {
    throw new CannotError(
      `train on "${data}"`,
      `no token of it carries a loss under the objective "${method.name}"`,
      "Check its spans and weights, or choose another objective",
    );
  }
  const steps = epochs * Math.ceil(sequences.length / perStep);
  onPlan?.({
    model: description,
    texts: texts.length,
    windows: sequences.length,
    steps,
    ...counts,
  });

  if (await exists(`${out}/config.json`) && !await exists(`${out}/checkpoints`)) {
    throw new CannotError(
      `train into "${out}"`,
      "it holds a model that another run made",
      "Choose another output folder",
    );
  }
  await Deno.mkdir(out, { recursive: true }).catch((cause) => {
    throw new CannotError(`make "${out}"`, cause.message, "Choose another folder", { cause });
  });
  using log = await openLog(`${out}/${logFile}`);
  const { precision } = choosePrecision(gpu, settings.precision);
  using model = new LanguageModel(gpu, config, weights, { gradients: true, precision });
  const outcome = await fit(model, {
    epochs: Array(epochs).fill(sequences),
    perStep,
    seed,
    recompute: settings.recompute,
    objective: method,
    optimiser: {
      ...olmoOptimiser,
      weightDecay: settings.weightDecay,
      maxNorm: settings.clip,
    },
    schedule: { peak: settings.learningRate, warmup, decay, final: 0 },
    checkpoint: { folder: `${out}/checkpoints`, every: settings.checkpointEvery },
    onLog(entry) {
      log.write(entry);
      onLog?.(entry, steps);
    },
    ...(signal && { signal }),
  });
  if (!outcome.finished) return outcome;
  if (tokenizer.save) await tokenizer.save(out);
  else await copyTokenizer((settings.tokenizer ?? settings.model)!, out);
  await saveModel(out, config, await model.download(), { special: tokenizer.special });
  return outcome;
}

/**
 * Reads texts with risk spans. A span is `[start, end]`, which is high risk, or `{"start", "end", "risk"}` with a risk of
 * `"low"`, `"possible"`, `"high"` (or 1, 2, 3); offsets are UTF-16, half-open. A text without risk has `"spans": []`:
 * a missing field may be a misspelt one, and would train on the risk as if there were none.
 *
 * @throws {CannotError} naming file, line and field.
 */
export async function readRiskyTexts(path: string): Promise<RiskyText[]> {
  const texts: RiskyText[] = [];
  for await (const { row, where } of readJsonRows(path)) texts.push(riskyText(row, where));
  if (texts.length > 0) return texts;
  throw new CannotError(`train on "${path}"`, "it holds no texts", "Give a file with one or more");
}

function riskyText(row: JsonRow["row"], where: string): RiskyText {
  const refuse = (why: string, remedy: string) => new CannotError(`read ${where}`, why, remedy);
  const text = stringField(row, "text", where);
  if (text === "") throw refuse('field "text" is empty', "Remove the line");
  if (!Array.isArray(row.spans)) {
    const why = row.spans === undefined ? "is missing" : "is not a list";
    throw refuse(`field "spans" ${why}`, 'Write "spans": [] for a text without risk');
  }
  const spans = row.spans.map((span: unknown, i) => {
    const found = parseSpan(span);
    if (found) return found;
    const why = `field "spans[${i}]" is ${JSON.stringify(span)}`;
    throw refuse(why, 'Write [start, end] or {"start": …, "end": …, "risk": "possible" or "high"}');
  });
  validateSpans(spans, text.length, where);
  const weight = row.weight === undefined ? 1 : numberField(row, "weight", where);
  if (weight < 0) throw refuse(`field "weight" is ${weight}`, "Give 0 or more; 1 is the default");
  return { text, spans, weight };
}

function parseSpan(span: unknown): RiskSpan | undefined {
  const isPair = Array.isArray(span) && span.length === 2;
  const fields = isPair ? { start: span[0], end: span[1] } : span ?? {};
  const { start, end, risk = "high" } = fields as Record<string, unknown>;
  if (typeof start !== "number" || typeof end !== "number") return undefined;
  if (typeof risk === "number") return { start, end, risk: risk as Risk }; // validateSpans checks its value
  if (risk !== "low" && risk !== "possible" && risk !== "high") return undefined;
  return { start, end, risk: Risk[risk] };
}

/**
 * The tokens of a text with their classes, in windows of at most `maxLength` tokens, between BOS and EOS where the
 * tokenizer has them. A window begins with the last token of the one before, so that every token is predicted once.
 */
export function spanSequences(
  tokenizer: Tokenizer,
  { text, spans, weight }: RiskyText,
  maxLength: number,
): Sequence[] {
  const encoding = tokenizer.encode(text);
  const { tokens, classes } = delimited(
    { tokens: encoding.ids, classes: classifyTokens(encoding, spans) },
    tokenizer.special,
    true,
  );
  const sequences: Sequence[] = [];
  for (let start = 0; start + 1 < tokens.length; start += maxLength - 1) {
    const window = tokens.slice(start, start + maxLength);
    sequences.push({
      tokens: window,
      classes: classes.slice(start, start + maxLength),
      ...(weight !== 1 && { weights: new Float32Array(window.length).fill(weight) }),
    });
  }
  return sequences;
}

function windowsOf(
  texts: readonly RiskyText[],
  tokenizer: Tokenizer,
  { terms }: Objective,
  maxLength: number,
): Pick<SpanTrainingPlan, "cut" | "leftOut" | "targets"> & { sequences: Sequence[] } {
  const byText = texts.map((text) => spanSequences(tokenizer, text, maxLength));
  const all = byText.flat();
  const sequences = all.filter(({ classes, weights }) =>
    classes.some((risk, i) => i > 0 && isActive(terms, risk, weights?.[i] ?? 1))
  );
  const targets = riskNames.map(() => 0);
  for (const { classes } of sequences) {
    for (const risk of classes.subarray(1)) targets[risk]!++;
  }
  const cut = byText.filter((windows) => windows.length > 1).length;
  return { sequences, cut, leftOut: all.length - sequences.length, targets };
}

function windowLength(
  { maxLength }: SpanTrainingSettings,
  { contextLength }: DecoderConfig,
): number {
  if (maxLength === undefined) return contextLength;
  if (maxLength >= 2 && maxLength <= contextLength) return maxLength;
  throw new CannotError(
    `cut texts into windows of ${maxLength} tokens`,
    `a window holds at least 2 tokens, and the model's context ${contextLength}`,
    "Choose a length between the two",
  );
}

interface Start {
  config: DecoderConfig;
  weights: Weights;
  tokenizer: Tokenizer;
  description: string;
}

async function openStart(settings: SpanTrainingSettings, texts: RiskyText[]): Promise<Start> {
  const { model, preset, config: configFile, seed } = settings;
  if ([model, preset, configFile].filter((source) => source !== undefined).length !== 1) {
    throw new CannotError(
      "choose a model",
      "it needs one of a model folder, a preset and a config.json",
      "Give exactly one of --model, --preset and --config",
    );
  }
  const tokenizer = await openTokenizer(settings, texts);
  if (model !== undefined) {
    const { config, weights, describe } = await loadModel(model);
    checkVocabulary(tokenizer, config.vocabularySize);
    return { config, weights, tokenizer, description: describe };
  }
  // A preset takes the size of its tokenizer, padded as OLMo pads its own: 50,280 ids to 50,304 rows.
  const config = configFile !== undefined
    ? fromHuggingFace(await readJson(configFile), configFile)
    : { ...presets[preset!], vocabularySize: Math.ceil(tokenizer.vocabularySize / 128) * 128 };
  checkVocabulary(tokenizer, config.vocabularySize);
  const description = `new ${config.family} of ${countParameters(config).toLocaleString("en")} ` +
    `parameters (${config.layers} layers, width ${config.width}, vocabulary ${config.vocabularySize})`;
  return { config, weights: initialise(config, seed), tokenizer, description };
}

async function openTokenizer(
  { model, tokenizer, vocabulary }: SpanTrainingSettings,
  texts: readonly RiskyText[],
): Promise<Tokenizer> {
  const refuse = (why: string, remedy: string) =>
    new CannotError("choose a tokenizer", why, remedy);
  if (vocabulary !== undefined) {
    if (model !== undefined) {
      throw refuse("a trained model needs the one it was trained with", "Leave out --vocabulary");
    }
    if (tokenizer !== undefined) {
      throw refuse("both a folder and a size to train are given", "Leave out one of them");
    }
    return trainBytePair(texts.map(({ text }) => text), vocabulary);
  }
  const folder = tokenizer ?? model;
  if (folder !== undefined) return await loadTokenizer(folder);
  throw refuse("a new model has none", "Give --tokenizer FOLDER, or --vocabulary to train one");
}

// llama2.c and llama.cpp tokenizers cannot be written, but they are files that can be copied.
async function copyTokenizer(from: string, to: string): Promise<void> {
  for await (const { name } of Deno.readDir(from)) {
    if (!/^(tok(enizer|\d+)\.bin|vocab\.json|gguf_metadata\.json)$/.test(name)) continue;
    await writeFileAtomic(`${to}/${name}`, await Deno.readFile(`${from}/${name}`));
  }
}

/** One line of the log: what a step reported, classes by name. */
export type LogLine = Omit<LogEntry, "lossByClass"> & { lossByClass: Record<string, number> };

/** Opens a log for appending. The first entry drops the lines that its step and later ones left before a kill. */
async function openLog(path: string): Promise<{ write(entry: LogEntry): void } & Disposable> {
  const earlier = await exists(path) ? await readText(path) : "";
  let file: Deno.FsFile | undefined;
  const write = (text: string) => {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += file!.writeSync(bytes.subarray(done));
  };
  return {
    write(entry) {
      if (!file) {
        Deno.writeTextFileSync(`${path}.partial`, linesBefore(earlier, entry.step));
        Deno.renameSync(`${path}.partial`, path);
        file = Deno.openSync(path, { append: true });
      }
      const named = entry.lossByClass.map((loss, risk) => [riskNames[risk]!, loss]);
      write(JSON.stringify({ ...entry, lossByClass: Object.fromEntries(named) }) + "\n");
    },
    [Symbol.dispose]: () => file?.close(),
  };
}

function linesBefore(log: string, step: number): string {
  const lines = log.split("\n").slice(0, -1); // what follows the last line feed was cut off by a kill
  return lines.filter((line) => (JSON.parse(line) as LogLine).step < step)
    .map((line) => `${line}\n`).join("");
}

/**
 * Draws the losses by risk class from the log in a folder, and returns the path of the SVG.
 *
 * @throws {CannotError} when the plotting library cannot be had; the model does not depend on it.
 */
export async function drawLosses(folder: string, title: string): Promise<string> {
  const rows = await Array.fromAsync(readJsonRows(`${folder}/${logFile}`));
  const lines = rows.map(({ row }) => row as unknown as LogLine);
  const series = riskNames.flatMap((name) => {
    const points = lines.flatMap(({ step, lossByClass }) =>
      lossByClass[name] === undefined ? [] : [{ step, loss: lossByClass[name] }]
    );
    return points.length === 0 ? [] : [{ name: `${name} risk`, points }];
  });
  const { lossCurves, renderPlot } = await loadPlots();
  const path = `${folder}/${pictureFile}`;
  await writeFileAtomic(path, await renderPlot(lossCurves(series, title)));
  return path;
}
