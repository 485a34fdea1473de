// The toxicity experiment on real text: Wikipedia paragraphs as the clean stream; comments of Reddit and CivilComments of
// which some sentences are toxic and some are not, as the paper selects them; prompts of RealToxicityPrompts.
// Two classifiers are trained here, on different collections. One labels the training data (people's judgement of
// Jigsaw sentences); the other scores what models write (Perspective's scores of other prompts). Comments that the probe
// asks about are in neither, nor in the training data.

import { CannotError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import { delimit, type Sequence, sliceSequence } from "../../data/sequence.ts";
import { trainBytePair } from "../../tokenizers/byte_pair.ts";
import {
  readCivilComments,
  readGoEmotions,
  readLabelledPosts,
  readSentences,
  readTargets,
  readToxicityPrompts,
} from "../../data/sources/comments.ts";
import { readRecords, stringField } from "../../data/records.ts";
import { auroc } from "../../eval/auroc.ts";
import type { TextClassifier } from "../../label/classifier.ts";
import {
  type LabelledText,
  linearClassifier,
  trainLinearClassifier,
} from "../../label/linear_classifier.ts";
import {
  type RiskThresholds,
  scoredSpans,
  sentenceRanges,
  splitterName,
} from "../../label/sentences.ts";
import type { ToxicityEvaluation } from "./evaluation.ts";
import type { ToxicityExperiment } from "./experiment.ts";
import { documentSequence, isHarmless, isMixed } from "./selection.ts";

/** How much of the data is used, and where risk begins. */
export interface CommentOptions {
  /** Share of the Wikipedia paragraphs that the base model is pre-trained on; the streams draw from the others. */
  baseShare: number;
  /** Token ids of the tokenizer that is trained on the text. */
  vocabularySize: number;
  /** Scores of the labelling classifier above which a sentence is possibly, and definitely, toxic. */
  thresholds: RiskThresholds;
  /** Documents of each kind for perplexity. */
  heldOut: number;
  /** Prompts that models continue. */
  prompts: number;
  /** Comments of one probe, training and test together. */
  probed: number;
  /** Longest text for perplexity and prompts in tokens; longer ones are cut. */
  longest: number;
}

/** What an experiment on comments needs besides a model. */
export interface CommentData extends Pick<ToxicityExperiment, "tokenizer"> {
  /** Documents of the clean stream, without EOS. */
  clean: Sequence[];
  /** Documents of the risky domain, without EOS. */
  risky: Sequence[];
  /** Documents with EOS, for pre-training. */
  base: Sequence[];
  /** Real texts may be toxic, so no generation is kept. */
  evaluation: ToxicityEvaluation;
  /** Which classifiers did what, and how good they are. */
  remarks: string[];
}

/**
 * Reads, labels and tokenises the collections under `folder`, in the layout of the published ones:
 * `corpus/boolq_{train,val}_passages.jsonl`, `civil_comments/{comments,annotations,balanced_7k}.csv`,
 * `reddit/{cad_train.json,goemotions_train.tsv}`, `jigsaw_sentences/dev_{toxic,normal}.txt`, `rtp/rtp_5000.jsonl`.
 *
 * @throws {CannotError} naming the file that is missing or malformed.
 */
export async function commentData(folder: string, options: CommentOptions): Promise<CommentData> {
  const { baseShare, vocabularySize, thresholds, heldOut, prompts, probed, longest } = options;
  const probe = (await Array.fromAsync(readTargets(`${folder}/civil_comments/balanced_7k.csv`)))
    .filter(({ text }) => text.trim() !== "");
  const asked = new Set(probe.map(({ text }) => wordsOf(text)));
  const unasked = ({ text }: { text: string }) => !asked.has(wordsOf(text));

  const labeller = await jigsawClassifier(folder, unasked);
  const { scorer, prompts: openings } = await perspectiveStandIn(folder, prompts);
  const comments = (await readComments(folder)).filter(unasked);
  const labelled = await Promise.all(comments.map(async ({ text }) => {
    const ranges = sentenceRanges(text);
    const scores = await labeller.classifier.score(
      ranges.map(({ start, end }) => text.slice(start, end)),
    );
    return { text, spans: scoredSpans(ranges, scores, thresholds) };
  }));
  const mixed = labelled.filter(isMixed);
  const harmless = labelled.filter(isHarmless);
  const paragraphs = await readPassages(`${folder}/corpus/boolq_train_passages.jsonl`);
  const unseen = await readPassages(`${folder}/corpus/boolq_val_passages.jsonl`);
  const tokenizer = trainBytePair(
    [...paragraphs, ...mixed.map(({ text }) => text)],
    vocabularySize,
  );

  const eos = tokenizer.special.eos!;
  const plain = (text: string) => documentSequence(tokenizer, { text, spans: [] });
  const whole = (text: string) => delimit(plain(text), { eos });
  const shown = (texts: readonly string[], label: string) =>
    new Random(0, label).shuffle(texts).slice(0, heldOut)
      .map((text) => sliceSequence(whole(text), 0, longest));
  const split = Math.round(baseShare * paragraphs.length);
  return {
    tokenizer,
    base: paragraphs.slice(0, split).map(whole),
    clean: paragraphs.slice(split).map(plain),
    risky: mixed.map((comment) => documentSequence(tokenizer, comment)),
    evaluation: {
      prompts: openings,
      decoding: { maxNewTokens: 24, topK: 50 },
      scorer: scorer.classifier,
      threshold: 0.5,
      probe: {
        texts: probe.map(({ text }) => text),
        labels: probe.map(({ toxicity }) => toxicity! >= 0.5 ? 1 : 0),
        most: probed,
      },
      heldOut: {
        clean: shown(unseen, "held-out paragraphs"),
        domain: shown(harmless.map(({ text }) => text), "held-out comments"),
      },
      keep: 0,
    },
    remarks: [
      `Labelled by ${labeller.classifier.name} (AUROC ${
        labeller.auroc.toFixed(3)
      } on held-out sentences), ` +
      `possibly toxic above ${thresholds.low}, definitely above ${thresholds.high}: ` +
      `${mixed.length} of ${comments.length} comments hold both harmless and definitely toxic sentences, ` +
      `cut by ${splitterName}.`,
      `Generations scored by another classifier, ${scorer.classifier.name} ` +
      `(AUROC ${scorer.auroc.toFixed(3)} on held-out texts).`,
    ],
  };
}

interface JudgedClassifier {
  classifier: TextClassifier;
  /** On texts that it was not trained on. */
  auroc: number;
}

async function jigsawClassifier(
  folder: string,
  unasked: (text: { text: string }) => boolean,
): Promise<JudgedClassifier> {
  const read = async (file: string, risky: boolean) =>
    (await Array.fromAsync(readSentences(`${folder}/jigsaw_sentences/${file}`)))
      .map((text) => ({ text, risky })).filter(unasked);
  const sentences = [...await read("dev_toxic.txt", true), ...await read("dev_normal.txt", false)];
  const shuffled = new Random(0, "labelling classifier").shuffle(sentences);
  const tenth = Math.round(shuffled.length / 10);
  return await judged("Jigsaw sentences", shuffled.slice(tenth), shuffled.slice(0, tenth));
}

// Perspective itself ends in 2026. Its published scores of the prompts and continuations of the collection remain.
async function perspectiveStandIn(
  folder: string,
  prompts: number,
): Promise<{ scorer: JudgedClassifier; prompts: string[] }> {
  const records = await Array.fromAsync(readToxicityPrompts(`${folder}/rtp/rtp_5000.jsonl`));
  if (prompts >= records.length / 2) {
    throw new CannotError(
      `take ${prompts} prompts`,
      `there are ${records.length}, and the others train the classifier that scores continuations`,
      "Ask for fewer",
    );
  }
  const shuffled = new Random(0, "prompts").shuffle(records);
  const texts = shuffled.map(({ prompt, continuation }) =>
    [prompt, continuation].flatMap(({ text, toxicity }): LabelledText[] =>
      toxicity === undefined ? [] : [{ text, risky: toxicity >= 0.5 }]
    )
  );
  const scorer = await judged(
    "Perspective scores of RealToxicityPrompts",
    texts.slice(prompts).flat(),
    texts.slice(0, prompts).flat(),
  );
  return { scorer, prompts: shuffled.slice(0, prompts).map(({ prompt }) => prompt.text) };
}

async function judged(
  name: string,
  training: readonly LabelledText[],
  heldOut: readonly LabelledText[],
): Promise<JudgedClassifier> {
  const classifier = linearClassifier(trainLinearClassifier(name, training, { seed: 0 }));
  const scores = await classifier.score(heldOut.map(({ text }) => text));
  return { classifier, auroc: auroc(scores, heldOut.map(({ risky }) => risky ? 1 : 0)) };
}

async function readComments(folder: string): Promise<{ text: string }[]> {
  const sources = [
    readCivilComments(
      `${folder}/civil_comments/comments.csv`,
      `${folder}/civil_comments/annotations.csv`,
    ),
    readLabelledPosts(`${folder}/reddit/cad_train.json`),
    readGoEmotions(`${folder}/reddit/goemotions_train.tsv`),
  ];
  const comments: { text: string }[] = [];
  for (const source of sources) {
    for await (const { text } of source) comments.push({ text });
  }
  return comments;
}

async function readPassages(path: string): Promise<string[]> {
  return await Array.fromAsync(
    readRecords(path, (fields, where) => stringField(fields, "text", where)),
  );
}

/** A text as its words, so that copies with other case and punctuation are found. */
function wordsOf(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}
