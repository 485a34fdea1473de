// What a model writes where its training texts go on with something risky: the beginning of a text up to its first risky
// span, continued by the likeliest tokens.

import { smallest } from "../base/extremes.ts";
import type { RiskyText } from "../data/spans.ts";
import { encodePrompt } from "../data/spans.ts";
import { generate } from "../model/generate.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { Risk } from "../slung/risk.ts";
import { decodeContinuation, type Tokenizer } from "../tokenizers/tokenizer.ts";
import { spread } from "./watch.ts";

/** A beginning, and how it goes on. */
export interface Sample {
  /** The beginning of a text. */
  prompt: string;
  /** How the text itself goes on. */
  truth: string;
  /** How the model went on before it was trained; null for fresh weights. */
  before: string | null;
  /** How it goes on afterwards; null while it is trained. */
  after: string | null;
}

const longestPrompt = 48; // tokens, so that prompts are cheap and of one kind
const longestTruth = 200; // characters

/** Beginnings of at most `most` texts, evenly spread over those in which something risky follows a beginning. */
export function chooseSamples(texts: readonly RiskyText[], most: number): Sample[] {
  const cut = texts.flatMap(({ text, spans }) => {
    const starts = spans.filter(({ risk }) => risk >= Risk.possible).map(({ start }) => start);
    const at = smallest(starts);
    const prompt = text.slice(0, at).trimEnd(); // the space belongs to the first token that follows
    if (!Number.isFinite(at) || prompt === "") return [];
    const truth = text.slice(prompt.length, prompt.length + longestTruth);
    return [{ prompt, truth, before: null, after: null }];
  });
  return spread([...new Map(cut.map((sample) => [sample.prompt, sample])).values()], most);
}

/** Continues prompts greedily by at most `maxNewTokens` tokens; of a long prompt only its end is read. */
export async function continueSamples(
  model: LanguageModel,
  tokenizer: Tokenizer,
  samples: readonly Pick<Sample, "prompt">[],
  maxNewTokens = 24,
): Promise<string[]> {
  if (samples.length === 0) return [];
  const { contextLength } = model.config;
  const room = Math.min(longestPrompt, contextLength - 1);
  const prompts = samples.map(({ prompt }) => encodePrompt(tokenizer, prompt).slice(-room));
  const { eos } = tokenizer.special;
  const continued = await generate(model, prompts, {
    maxNewTokens: Math.min(maxNewTokens, contextLength - room),
    ...(eos !== undefined && { eos }),
  });
  return continued.map((tokens, i) => decodeContinuation(tokenizer, prompts[i]!, tokens));
}
