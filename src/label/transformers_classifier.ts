// Any text-classification model of the Hugging Face hub through transformers.js, for example a
// toxic-BERT in ONNX. Models with independent labels give a sigmoid each, the others a softmax; in
// both cases the score is the value of one label. Accurate, but some hundred times slower than
// fastText, so it suits generations and small corpora rather than Dolma.

import { CannotError } from "../base/errors.ts";
import { importPackage } from "../base/packages.ts";
import type { TextClassifier } from "./classifier.ts";

/** What is needed of a transformers.js pipeline: for each text, every label with its score. */
export type ClassificationPipeline = (
  texts: string[],
  options: { top_k: null },
) => Promise<{ label: string; score: number }[][]>;

/** How a model is opened. */
export interface TransformersOptions {
  /** The label whose score counts; needed unless one label is called toxic, whatever its case. */
  label?: string | undefined;
  /** Texts that go through the model at once; 16 unless given. */
  batch?: number;
  /** Makes the pipeline; that of `@huggingface/transformers` unless given. */
  open?: (model: string) => Promise<ClassificationPipeline>;
}

/**
 * Opens a text-classification model by its name on the hub or its folder.
 *
 * @throws {CannotError} when transformers.js or the model cannot be loaded, and on the first texts
 * when the model does not have the label.
 */
export async function transformersClassifier(
  model: string,
  options: TransformersOptions = {},
): Promise<TextClassifier> {
  const { label, batch = 16, open = openPipeline } = options;
  const classify = await open(model).catch((cause) => {
    if (cause instanceof CannotError) throw cause;
    throw new CannotError(
      `load the classifier "${model}"`,
      cause.message,
      "Give a text-classification model with ONNX weights, by its name on the hub or its folder",
      { cause },
    );
  });
  return {
    name: `transformers.js ${model} ${label ?? "toxic"}`,
    async score(texts) {
      const scores = new Float64Array(texts.length);
      for (let from = 0; from < texts.length; from += batch) {
        const results = await classify(texts.slice(from, from + batch), { top_k: null });
        results.forEach((result, i) => scores[from + i] = scoreOf(result, label, model));
      }
      return scores;
    },
  };
}

function scoreOf(
  result: readonly { label: string; score: number }[],
  label: string | undefined,
  model: string,
): number {
  const found = result.find((entry) =>
    label === undefined ? entry.label.toLowerCase() === "toxic" : entry.label === label
  );
  if (found) return found.score;
  throw new CannotError(
    `score texts with "${model}"`,
    `it has no label "${label ?? "toxic"}", but ${result.map((entry) => entry.label).join(", ")}`,
    "Name one of its labels",
  );
}

async function openPipeline(model: string): Promise<ClassificationPipeline> {
  const { pipeline } = await importPackage<{ pipeline: PipelineFactory }>("transformers");
  return await pipeline("text-classification", model);
}

type PipelineFactory = (task: string, model: string) => Promise<ClassificationPipeline>;
