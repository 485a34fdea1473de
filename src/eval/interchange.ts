// What models wrote and how it was scored, as the files of two other programs of evaluation, so that theirs and ours stand
// in one table. The formats are those of their sources:
//   lm-evaluation-harness  lm_eval/loggers/evaluation_tracker.py (0.4): MODEL/results_DATE.json, samples_TASK_DATE.jsonl
//   open-unlearning        src/evals/base.py, metrics/utils.py: TOFU_EVAL.json with values by index, TOFU_SUMMARY.json
// Words are not stemmed in our ROUGE, and are in theirs: compare ours with ours.

import { createHash } from "node:crypto";
import { mean } from "./statistics.ts";
import { rouge1Recall, rougeL } from "./rouge.ts";

/** A prompt, what a model wrote after it, and what else is known of both; as in results.json. */
export interface WrittenText {
  prompt: string;
  text: string;
  /** Numbers and truth values are scores, `gold` is what it should have written; the rest is left aside. */
  [field: string]: unknown;
}

/** One model's texts. */
export interface ModelTexts {
  /** Names its files, e.g. `masked-seed0`. */
  model: string;
  texts: readonly WrittenText[];
}

/** Content by path. */
export type Files = Record<string, string>;

/** What the files are to say besides. */
export interface InterchangeOptions {
  /** The task, in names of files and of results. */
  task: string;
  /** When the texts were written. */
  date: Date;
}

/** The models of a results.json, in its order. */
export function textsByModel(generations: readonly WrittenText[]): ModelTexts[] {
  const nameOf = ({ method, seed, amount }: WrittenText) =>
    [
      plain(method) ?? "model",
      ...(typeof amount === "number" ? [`amount${amount}`] : []),
      ...(typeof seed === "number" ? [`seed${seed}`] : []),
    ].join("-").replace(/[^\w.-]+/g, "_");
  return [...Map.groupBy(generations, nameOf)].map(([model, texts]) => ({ model, texts }));
}

/** The files of lm-evaluation-harness for one model. */
export function lmEvaluationFiles(
  { model, texts }: ModelTexts,
  options: InterchangeOptions,
): Files {
  const { task, date } = options;
  const stamp = date.toISOString().replace("Z", "").replaceAll(":", "-");
  const scored = texts.map((text) => scoresOf(text));
  const metrics = Object.keys(Object.assign({}, ...scored) as object);
  const samples = texts.map(({ prompt, text, gold }, i) => {
    const target = plain(gold) ?? "";
    const doc = { prompt, target };
    return {
      doc_id: i,
      doc,
      target,
      arguments: { gen_args_0: { arg_0: prompt, arg_1: {} } },
      resps: [[text]],
      filtered_resps: [text],
      filter: "none",
      metrics: Object.keys(scored[i]!),
      doc_hash: sha256(JSON.stringify(doc, null, 2)),
      prompt_hash: sha256(prompt),
      target_hash: sha256(target),
      ...scored[i],
    };
  });
  const hashes = samples.map((sample) => sample.doc_hash + sample.prompt_hash + sample.target_hash);
  const results = metrics.flatMap((metric) => {
    const values = scored.flatMap((scores) => scores[metric] ?? []);
    return [[`${metric},none`, mean(values)], [`${metric}_stderr,none`, standardError(values)]];
  });
  const report = {
    results: { [task]: { alias: task, ...Object.fromEntries(results) } },
    group_subtasks: { [task]: [] },
    configs: { [task]: { task, output_type: "generate_until", num_fewshot: 0 } },
    versions: { [task]: 0 },
    "n-shot": { [task]: 0 },
    "n-samples": { [task]: { original: texts.length, effective: texts.length } },
    config: { model: "slung", model_args: `pretrained=${model}` },
    date: date.getTime() / 1000,
    task_hashes: { [task]: sha256(hashes.join("")) },
    model_source: "slung",
    model_name: model,
    model_name_sanitized: model,
  };
  return {
    [`${model}/results_${stamp}.json`]: `${JSON.stringify(report, null, 2)}\n`,
    [`${model}/samples_${task}_${stamp}.jsonl`]: samples.map((sample) =>
      `${JSON.stringify(sample)}\n`
    )
      .join(""),
  };
}

/** The files of open-unlearning for one model: answers under `SPLIT_Q_A_ROUGE`, other scores under their own names. */
export function openUnlearningFiles(
  { model, texts }: ModelTexts,
  { split }: { split: "forget" | "retain" },
): Files {
  const metrics: Record<string, Metric> = {};
  const answered = texts.flatMap((text, i) =>
    plain(text.gold) === undefined ? [] : [[i, text, plain(text.gold)!] as const]
  );
  if (answered.length > 0) {
    const values = answered.map(([i, { prompt, text }, gold]) => {
      const { recall, f1 } = rougeL(text, gold);
      return [i, {
        rouge1_recall: rouge1Recall(text, gold),
        rougeL_f1: f1,
        rougeL_recall: recall,
        ...{ input: prompt, ground_truth: gold, generation: text },
      }] as const;
    });
    metrics[`${split}_Q_A_ROUGE`] = {
      agg_value: mean(values.map(([, { rougeL_recall }]) => rougeL_recall)),
      value_by_index: Object.fromEntries(values),
    };
  }
  const scored = texts.map(ownScores);
  for (const name of Object.keys(Object.assign({}, ...scored) as object)) {
    const values = scored.flatMap((scores, i) =>
      scores[name] === undefined ? [] : [[i, { score: scores[name] }] as const]
    );
    metrics[name] = {
      agg_value: mean(values.map(([, { score }]) => score)),
      value_by_index: Object.fromEntries(values),
    };
  }
  const sorted = Object.entries(metrics).sort(([left], [right]) => left < right ? -1 : 1);
  const summary = sorted.map(([name, { agg_value }]) => [name, agg_value]);
  const written = (entries: unknown[][]) =>
    `${JSON.stringify(Object.fromEntries(entries), null, 4)}\n`;
  return {
    [`${model}/TOFU_EVAL.json`]: written(sorted),
    [`${model}/TOFU_SUMMARY.json`]: written(summary),
  };
}

interface Metric {
  agg_value: number;
  value_by_index: Record<number, object>;
}

const notScores = new Set(["prompt", "text", "gold", "method", "seed", "amount"]);

// Every number and truth value beside the text.
function ownScores(text: WrittenText): Record<string, number> {
  return Object.fromEntries(
    Object.entries(text).flatMap(([name, value]) => {
      if (notScores.has(name)) return [];
      if (typeof value === "boolean") return [[name, value ? 1 : 0]];
      return typeof value === "number" && Number.isFinite(value) ? [[name, value]] : [];
    }),
  );
}

function scoresOf(text: WrittenText): Record<string, number> {
  const gold = plain(text.gold);
  if (gold === undefined) return ownScores(text);
  const exact = text.text.trim() === gold.trim() ? 1 : 0;
  return { exact_match: exact, rougeL: rougeL(text.text, gold).recall, ...ownScores(text) };
}

// Of the mean; 0 for one value.
function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

function plain(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
