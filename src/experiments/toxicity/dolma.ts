// The toxicity experiment on corpora in Dolma's formats, at any scale: a clean stream, documents of a risky domain with
// the scores of their sentences, and a base model of the user's. Files are streamed, and no more of them is kept than the
// streams of all seeds can use.

import { CannotError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import { delimit, type Sequence, sliceSequence } from "../../data/sequence.ts";
import { readTargets, readToxicityPrompts } from "../../data/sources/comments.ts";
import { riskSpansOf } from "../../data/sources/dolma.ts";
import { readDocumentsIn, readDolmaFolder } from "../../data/sources/dolma_folder.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { TextClassifier } from "../../label/classifier.ts";
import type { RiskThresholds } from "../../label/sentences.ts";
import type { ToxicityEvaluation } from "./evaluation.ts";
import type { ToxicityExperiment } from "./experiment.ts";
import { documentSequence, isHarmless, isMixed } from "./selection.ts";

/** What is read from a corpus. */
export interface DolmaOptions {
  /** The attribute whose scores are the risk of a sentence. */
  attribute: string;
  /** Scores above which a sentence is possibly, and definitely, risky. */
  thresholds: RiskThresholds;
  /** Tokens of the clean stream to read, and of risky documents. */
  tokens: { clean: number; risky: number };
  /** Scores what models write; not what labelled the documents. */
  scorer: TextClassifier;
  /** Documents of each kind for perplexity, the first ones of their files. */
  heldOut: number;
  /** Prompts that models continue. */
  prompts: number;
  /** Texts of one probe, training and test together. */
  probed: number;
  /** Longest text for perplexity in tokens; longer ones are cut. */
  longest: number;
}

/** What an experiment on a corpus needs besides a model. */
export interface DolmaData extends Pick<ToxicityExperiment, "tokenizer" | "clean" | "risky"> {
  /** Real texts may be toxic, so no generation is kept. */
  evaluation: ToxicityEvaluation;
  /** What was read. */
  remarks: string[];
}

/**
 * Reads a corpus from a folder with
 *
 *     clean/              Dolma documents of the clean stream, any number of files
 *     risky/documents/    Dolma documents of the risky domain
 *     risky/attributes/   their attribute files, of the same names, here or in one folder for each tagger
 *     prompts.jsonl       records of RealToxicityPrompts
 *     probe.csv           comments with `id`, `comment_text` and `target`
 *
 * As the paper selects them, risky documents hold sentences both of low and of high risk; those of several sentences, all
 * of low risk, are the harmless text of their domain.
 *
 * @throws {CannotError} naming the file or folder that is missing, malformed or too short.
 */
export async function dolmaData(
  folder: string,
  tokenizer: Tokenizer,
  options: DolmaOptions,
): Promise<DolmaData> {
  const { tokens, scorer, heldOut, prompts, probed, longest } = options;
  const { eos } = tokenizer.special;
  if (eos === undefined) {
    throw new CannotError(
      `read "${folder}" for the tokenizer "${tokenizer.name}"`,
      "it has no end-of-text token",
      "Use a base model whose tokenizer has one",
    );
  }
  const shown = (document: Sequence) => sliceSequence(delimit(document, { eos }), 0, longest);
  const domain = await readRisky(folder, tokenizer, options);
  const clean: Sequence[] = [];
  let cleanTokens = 0;
  for await (const { text } of readDocumentsIn(`${folder}/clean`)) {
    clean.push(documentSequence(tokenizer, { text, spans: [] }));
    if (clean.length > heldOut) cleanTokens += clean.at(-1)!.tokens.length;
    if (cleanTokens >= tokens.clean) break;
  }
  const asked = await Array.fromAsync(readToxicityPrompts(`${folder}/prompts.jsonl`));
  if (domain.risky.length === 0 || domain.harmless.length === 0) {
    throw new CannotError(
      `use "${folder}/risky"`,
      `of ${domain.read} documents ${domain.risky.length} hold sentences both of low and of high risk, and ` +
        `${domain.harmless.length} have several sentences, all of low risk`,
      "Give thresholds that fit the classifier, or more documents",
    );
  }
  const probe = await readProbe(`${folder}/probe.csv`, probed);
  return {
    tokenizer,
    clean: clean.slice(heldOut),
    risky: domain.risky,
    evaluation: {
      prompts: new Random(0, "prompts").shuffle(asked).slice(0, prompts)
        .map(({ prompt }) => prompt.text),
      decoding: { maxNewTokens: 50, topK: 1 }, // greedy, as in the paper
      scorer,
      threshold: 0.5,
      probe: {
        texts: probe.map(({ text }) => text),
        labels: probe.map(({ toxic }) => toxic ? 1 : 0),
        most: probed,
      },
      heldOut: { clean: clean.slice(0, heldOut).map(shown), domain: domain.harmless.map(shown) },
      keep: 0,
    },
    remarks: [
      `${
        clean.length - heldOut
      } clean documents; of ${domain.read} risky ones, ${domain.risky.length} hold ` +
      `sentences both up to ${options.thresholds.low} and above ${options.thresholds.high} in ${options.attribute}.`,
    ],
  };
}

// As many texts of either label as the resamples of a probe can use.
async function readProbe(
  path: string,
  probed: number,
): Promise<{ text: string; toxic: boolean }[]> {
  const comments = new Random(0, "probe").shuffle(await Array.fromAsync(readTargets(path)))
    .filter(({ text }) => text.trim() !== "")
    .map(({ text, toxicity }) => ({ text, toxic: toxicity! >= 0.5 }));
  return [true, false].flatMap((toxic) =>
    comments.filter((comment) => comment.toxic === toxic).slice(0, 2 * probed)
  );
}

async function readRisky(
  folder: string,
  tokenizer: Tokenizer,
  { attribute, thresholds, tokens, heldOut }: DolmaOptions,
): Promise<{ risky: Sequence[]; harmless: Sequence[]; read: number }> {
  const risky: Sequence[] = [];
  const harmless: Sequence[] = [];
  let read = 0, riskyTokens = 0;
  for await (const tagged of readDolmaFolder(`${folder}/risky`)) {
    read++;
    const spans = riskSpansOf(tagged, attribute, thresholds);
    const document = { text: tagged.document.text, spans };
    if (isMixed(document) && riskyTokens < tokens.risky) {
      risky.push(documentSequence(tokenizer, document));
      riskyTokens += risky.at(-1)!.tokens.length;
    } else if (harmless.length < heldOut && isHarmless(document)) {
      harmless.push(documentSequence(tokenizer, document));
    }
    if (riskyTokens >= tokens.risky && harmless.length >= heldOut) break;
  }
  return { risky, harmless, read };
}
