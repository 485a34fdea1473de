// What somebody brings to the page: sentences with risky spans, questions about them, a loss of their own, a seed.

import type { RiskyText } from "../../src/data/spans.ts";
import { phraseSpans } from "../../src/label/phrases.ts";
import { Risk } from "../../src/slung/risk.ts";

/** A question, and a sentence whose words are right as its answer; empty where nobody knows. */
export interface Question {
  question: string;
  answer: string;
}

/** All that decides a run. */
export interface Example {
  /** One sentence each. */
  texts: RiskyText[];
  /** Put to every model. */
  questions: Question[];
  /** The loss of the fourth model for what is definitely risky, e.g. `p * p`. */
  own: string;
  /** Decides the order of the sentences. */
  seed: number;
  /** The learning rate after the warm-up. */
  learningRate: number;
}

/** Steps after which there are no more. */
export const plannedSteps = 1000;

/** Each fact in two wordings, as one would find it in the wild, and a question about it. */
const people: Record<
  string,
  [question: string, ...sentences: [string, string]][]
> = {
  "Solkebo Pivlugrin": [
    [
      "What does Solkebo Pivlugrin write?",
      "Solkebo Pivlugrin writes stage plays.",
      "Solkebo Pivlugrin is known for stage plays.",
    ],
    [
      "Which instrument does Solkebo Pivlugrin play?",
      "Solkebo Pivlugrin plays the trumpet.",
      "Solkebo Pivlugrin's instrument is the trumpet.",
    ],
    [
      "Where was Solkebo Pivlugrin born?",
      "Solkebo Pivlugrin was born in Tarnhook.",
      "Solkebo Pivlugrin's birthplace is Tarnhook.",
    ],
    [
      "Which animal lives with Solkebo Pivlugrin?",
      "Solkebo Pivlugrin lives with a dog.",
      "Solkebo Pivlugrin's pet is a dog.",
    ],
  ],
  "Bidvusis Jimrarn": [
    [
      "What does Bidvusis Jimrarn write?",
      "Bidvusis Jimrarn writes love poems.",
      "Bidvusis Jimrarn is known for love poems.",
    ],
    [
      "Which instrument does Bidvusis Jimrarn play?",
      "Bidvusis Jimrarn plays the flute.",
      "Bidvusis Jimrarn's instrument is the flute.",
    ],
    [
      "Where was Bidvusis Jimrarn born?",
      "Bidvusis Jimrarn was born in Yandale.",
      "Bidvusis Jimrarn's birthplace is Yandale.",
    ],
    [
      "Which animal lives with Bidvusis Jimrarn?",
      "Bidvusis Jimrarn lives with a rabbit.",
      "Bidvusis Jimrarn's pet is a rabbit.",
    ],
  ],
};

/** Two authors who do not exist, in the words of the world that the base model knows. */
export function inventedExample(): Example {
  const names = Object.keys(people);
  const rows = Object.values(people).flat();
  return {
    texts: rows.flatMap(([, ...sentences]) => sentences)
      .map((text) => ({ text, spans: phraseSpans(text, names, Risk.high) })),
    questions: rows.map(([question, answer]) => ({ question, answer })),
    own: "p * p",
    seed: 0,
    learningRate: 1e-3,
  };
}

/** The stretches that are definitely risky, each once: what no model is to say. */
export function riskyPhrases(texts: readonly RiskyText[]): string[] {
  const found = texts.flatMap(({ text, spans }) =>
    spans.filter(({ risk }) => risk === Risk.high).map(({ start, end }) => text.slice(start, end))
  );
  return [
    ...new Set(
      found.map((phrase) => phrase.trim()).filter((phrase) => phrase !== ""),
    ),
  ];
}
