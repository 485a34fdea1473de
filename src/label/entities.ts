// Named entities through transformers.js: a token-classification model marks the people (or what else it knows) in a text.
// Its answers name word pieces, not places, so the pieces are looked up in the text, one after the other.

import { CannotError } from "../base/errors.ts";
import { Risk, type RiskSpan } from "../slung/risk.ts";
import type { Labeller } from "./labeller.ts";

/** What is needed of a transformers.js pipeline: for each text, the pieces that belong to an entity. */
export type EntityPipeline = (text: string) => Promise<{ entity: string; word: string }[]>;

/** How a model is opened. */
export interface EntityOptions {
  /** The kinds of entities that are risky, without `B-` and `I-`; people (`PER`, `PERSON`) unless given. */
  kinds?: readonly string[];
  /** Makes the pipeline; that of `@huggingface/transformers` unless given. */
  open?: (model: string) => Promise<EntityPipeline>;
}

/**
 * Opens a token-classification model by its name on the hub or its folder.
 *
 * @throws {CannotError} when transformers.js or the model cannot be loaded.
 */
export async function entityLabeller(
  model: string,
  { kinds = ["PER", "PERSON"], open = openPipeline }: EntityOptions = {},
): Promise<Labeller> {
  const find = await open(model).catch((cause) => {
    throw new CannotError(
      `load the model of entities "${model}"`,
      cause.message,
      "Give a token-classification model with ONNX weights, by its name on the hub or its folder",
      { cause },
    );
  });
  return {
    name: `entities ${kinds.join(", ")} of ${model}`,
    async label(texts) {
      const labelled: RiskSpan[][] = [];
      for (const text of texts) labelled.push(entitySpans(text, await find(text), kinds));
      return labelled;
    },
  };
}

function entitySpans(
  text: string,
  pieces: readonly { entity: string; word: string }[],
  kinds: readonly string[],
): RiskSpan[] {
  const spans: RiskSpan[] = [];
  const lower = text.toLowerCase();
  let at = 0;
  for (const { entity, word } of pieces) {
    const continues = word.startsWith("##");
    const piece = word.replace(/^(##|[Ġ▁])/, "").toLowerCase();
    const start = piece === "" ? -1 : lower.indexOf(piece, at);
    if (start < 0) continue;
    at = start + piece.length;
    if (!kinds.includes(entity.replace(/^[BIES]-/, ""))) continue;
    const last = spans.at(-1);
    const between = last && text.slice(last.end, start);
    const joins = continues || !entity.startsWith("B-");
    if (last && joins && between!.trim() === "") last.end = at;
    else spans.push({ start, end: at, risk: Risk.high });
  }
  return spans;
}

async function openPipeline(model: string): Promise<EntityPipeline> {
  const specifier = "@huggingface/transformers"; // not seen statically: loaded only when used
  const { pipeline }: { pipeline: PipelineFactory } = await import(specifier);
  return await pipeline("token-classification", model);
}

type PipelineFactory = (task: string, model: string) => Promise<EntityPipeline>;
