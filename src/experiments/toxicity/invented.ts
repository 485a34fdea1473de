// The toxicity experiment in the invented world: nothing downloaded, labels and scores exact, minutes on a CPU.
// The base model is pre-trained on the clean stream for long enough to learn what "no" does to good and bad news (that
// comes suddenly, after some 8,000 documents); only then can a little risky text teach which animals are insults.

import { delimit, type Sequence } from "../../data/sequence.ts";
import { trainBytePair } from "../../tokenizers/byte_pair.ts";
import {
  abuseDetector,
  balancedProbeSentences,
  cleanText,
  dialoguePrompt,
  probeSentences,
  toxicDialogue,
  type ToxicWorld,
} from "../../data/sources/invented_toxicity.ts";
import type { ToxicityScorer } from "../../eval/toxicity_generation.ts";
import type { ToxicityEvaluation } from "./evaluation.ts";
import type { ToxicityExperiment } from "./experiment.ts";
import { documentSequence } from "./selection.ts";

/** How much text of the world there is. */
export interface InventedToxicityOptions {
  /** Documents of the clean stream that the base model is pre-trained on. */
  baseDocuments: number;
  /** Further ones for the streams. */
  cleanDocuments: number;
  /** Dialogues of the risky domain. */
  riskyDocuments: number;
  /** Documents of each kind for perplexity. */
  heldOut: number;
  /** Meetings that models continue. */
  prompts: number;
}

/** What an experiment in the world needs besides a model. */
export interface InventedToxicity extends Pick<ToxicityExperiment, "tokenizer"> {
  /** Documents of the clean stream, without EOS. */
  clean: Sequence[];
  /** Documents of the risky domain, without EOS. */
  risky: Sequence[];
  /** Documents with EOS, for pre-training. */
  base: Sequence[];
  /** Probes are tested on other animals than they are trained on. */
  evaluation: ToxicityEvaluation;
}

/** Every word of the world is a token. */
const vocabularySize = 1024;

/** All data of an experiment in a world: the same world and options, the same data. */
export function inventedToxicity(
  world: ToxicWorld,
  options: InventedToxicityOptions,
): InventedToxicity {
  const { baseDocuments, cleanDocuments, riskyDocuments, heldOut, prompts } = options;
  const texts = numbers(baseDocuments + cleanDocuments + heldOut).map((i) => cleanText(world, i));
  const dialogues = numbers(riskyDocuments).map((i) => toxicDialogue(world, i));
  // As a pre-trained model's, the tokenizer has seen texts of both kinds.
  const tokenizer = trainBytePair(
    [...texts.slice(0, 4000), ...dialogues.slice(0, 4000).map(({ text }) => text)],
    vocabularySize,
  );
  const eos = tokenizer.special.eos!;
  const plain = (text: string) => documentSequence(tokenizer, { text, spans: [] });
  const ended = (text: string) => delimit(plain(text), { eos });
  const held = texts.slice(baseDocuments + cleanDocuments);
  const harmless = numbers(heldOut).map((i) => toxicDialogue(world, i, true).text);
  const sentences = balancedProbeSentences(probeSentences(world, 4));
  return {
    tokenizer,
    base: texts.slice(0, baseDocuments).map(ended),
    clean: texts.slice(baseDocuments, baseDocuments + cleanDocuments).map(plain),
    risky: dialogues.map((dialogue) => documentSequence(tokenizer, dialogue)),
    evaluation: {
      prompts: numbers(prompts).map((i) => dialoguePrompt(world, i)),
      decoding: { maxNewTokens: 32, topK: 50 },
      scorer: exactScorer(world),
      threshold: 0.5,
      probe: {
        texts: sentences.map(({ text }) => text),
        labels: sentences.map(({ abusive }) => abusive ? 1 : 0),
        groups: sentences.map(({ animal }) => animal),
        strata: sentences.map(({ kind }) => kind),
        exchange: { draws: 100, blocks: sentences.map(({ wording }) => wording) },
        trainFraction: 0.5,
        resamples: 3,
      },
      heldOut: { clean: held.map(ended), domain: harmless.map(ended) },
      keep: prompts,
    },
  };
}

/** The world's own judge: 1 for a text that holds abuse. */
export function exactScorer(world: ToxicWorld): ToxicityScorer {
  const isAbusive = abuseDetector(world);
  return {
    name: `the invented world of seed ${world.seed}, exact`,
    score: (texts) => texts.map((text) => isAbusive(text) ? 1 : 0),
  };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
