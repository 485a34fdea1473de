// Named entities through transformers.js: a token-classification model marks the people (or what else it knows) in a text.
// Its answers name word pieces, not places. So all pieces are asked for, harmless ones too, and laid along the text one
// behind the other; looked up alone, the "An" of "Ana" would be found in "And". What a model cannot read at once is asked
// for in further parts, or the end of a long text would count as harmless.

import { CannotError } from "../base/errors.ts";
import { importPackage } from "../base/packages.ts";
import { Risk, type RiskSpan } from "../slung/risk.ts";
import type { Labeller } from "./labeller.ts";
import { mergeSpans } from "./phrases.ts";

/** What is needed of a transformers.js pipeline: the pieces of a text in order, with the kind of each; `O` is none. */
export type EntityPipeline = (
  text: string,
  options: { ignore_labels: string[] },
) => Promise<EntityPiece[]>;

/** A piece of a word, as the model's tokenizer writes it, and the entity that it belongs to. */
export interface EntityPiece {
  /** `O`, or a kind behind `B-`, `I-`, `E-` or `S-`. */
  entity: string;
  /** May begin with `##`, `Ġ` or `▁`, and be any other text where the tokenizer doesn't know a word. */
  word: string;
}

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
    if (cause instanceof CannotError) throw cause;
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
      for (const text of texts) labelled.push(await entitySpans(text, find, kinds));
      return labelled;
    },
  };
}

async function entitySpans(
  text: string,
  find: EntityPipeline,
  kinds: readonly string[],
): Promise<RiskSpan[]> {
  const spans: RiskSpan[] = [];
  for (let from = 0; text.slice(from).trim() !== "";) {
    const part = text.slice(from);
    const { risky, end } = layAlong(part, await find(part, { ignore_labels: [] }), kinds);
    spans.push(...risky.map(({ start, end }) => ({
      start: from + start,
      end: from + end,
      risk: Risk.high,
    })));
    // On from the beginning of the word in which the model's reading ended.
    const next = part.slice(0, end).search(/\S*$/);
    from += end === part.length || next === 0 ? end : next;
  }
  return mergeSpans(spans.sort((a, b) => a.start - b.start));
}

interface Stretch {
  start: number;
  end: number;
}

/** The risky stretches, and where the pieces end: at the end of the text, unless the model has left some of it out. */
function layAlong(
  text: string,
  pieces: readonly EntityPiece[],
  kinds: readonly string[],
): { risky: Stretch[]; end: number } {
  const letters = lettersOf(text);
  const risky: Stretch[] = [];
  let at = 0; // among the letters
  let unplaced: boolean[] = []; // whether each of the pieces that were not found is risky
  let before = false; // whether the piece before is
  const take = (to: number, isRisky: boolean, joins: boolean) => {
    if (isRisky && to > at) {
      const start = letters.starts[at]!, end = letters.ends[to - 1]!;
      const last = risky.at(-1);
      if (last && joins && text.slice(last.end, start).trim() === "") last.end = end;
      else risky.push({ start, end });
    }
    at = to;
  };
  for (const { entity, word } of pieces) {
    const continues = word.startsWith("##");
    const piece = lettersOf(word.replace(/^(##|[Ġ▁])/, "")).text;
    if (piece === "") continue;
    const isRisky: boolean = kinds.includes(entity.replace(/^[BIES]-/, "")) || continues && before;
    before = isRisky;
    const found = letters.text.startsWith(piece, at)
      ? at
      : continues
      ? -1
      : atWordStart(text, letters, piece, at);
    if (found < 0) {
      unplaced.push(isRisky);
      continue;
    }
    take(found, unplaced.includes(true), false);
    unplaced = [];
    take(found + piece.length, isRisky, continues || !entity.startsWith("B-"));
  }
  if (unplaced.length > 0) { // as many words
    const from = letters.ends[at - 1] ?? 0;
    const words = text.slice(from).match(new RegExp(`^(?:\\s*\\S+){0,${unplaced.length}}`))![0];
    const to = letters.starts.findIndex((start) => start >= from + words.length);
    take(to < 0 ? letters.text.length : to, unplaced.includes(true), false);
  }
  const end = at === letters.text.length ? text.length : letters.ends[at - 1] ?? text.length;
  return { risky, end };
}

// Words that the tokenizer doesn't know are left out of the pieces, so that the next one may stand behind some of them.
function atWordStart(text: string, letters: Letters, piece: string, from: number): number {
  for (let at = from; (at = letters.text.indexOf(piece, at)) >= 0; at++) {
    const start = letters.starts[at]!;
    if (start === 0 || !/[\p{L}\p{M}\p{N}_]/u.test(text[start - 1]!)) return at;
  }
  return -1;
}

interface Letters {
  text: string;
  starts: number[];
  ends: number[];
}

// What tokenizers agree upon: letters and signs without case, accents and white space, and where each stands.
function lettersOf(text: string): Letters {
  const letters: string[] = [], starts: number[] = [], ends: number[] = [];
  let at = 0;
  for (const character of text) {
    const plain = character.normalize("NFKD").toLowerCase().replace(/[\p{M}\s]/gu, "");
    letters.push(plain);
    for (let i = 0; i < plain.length; i++) {
      starts.push(at);
      ends.push(at + character.length);
    }
    at += character.length;
  }
  return { text: letters.join(""), starts, ends };
}

async function openPipeline(model: string): Promise<EntityPipeline> {
  const { pipeline } = await importPackage<{ pipeline: PipelineFactory }>("transformers");
  return await pipeline("token-classification", model);
}

type PipelineFactory = (task: string, model: string) => Promise<EntityPipeline>;
