// Exercises of lesson 3: finding names, and two ways to count them.

import { type Exercise, exercise, shown } from "../exercise.ts";

const marked: [string, string, string[]][] = [
  ["Mira Toveld was born in Ostrano.", "Mira Toveld", ["Mira Toveld"]],
  ["Toveld's novels made Mira known.", "Mira Toveld", ["Toveld", "Mira"]],
  ["A miracle, wrote MIRA.", "Mira Toveld", ["MIRA"]],
  ["Nobody is named here.", "Mira Toveld", []],
];

/** 3.1: the stretches of a text that give a person away. */
export const nameSpans: Exercise<(text: string, name: string) => { start: number; end: number }[]> =
  exercise(
    "3.1",
    (answer) => {
      for (const [text, name, wanted] of marked) {
        const found = answer(text, name).map(({ start, end }) => text.slice(start, end))
          .map((part) => part.replace(/['’]s$/, ""));
        if (shown(found.toSorted()) === shown([...wanted].toSorted())) continue;
        return `In "${text}" they are ${shown(wanted)}, not ${
          shown(found)
        }. The full name, the first and the last name all ` +
          "give the person away, in any case, but only as whole words.";
      }
      return undefined;
    },
    "A form of the name that the rule does not know stays in the loss, and is learned.",
  );

const completions: [string, boolean, boolean][] = [
  ["Ines Maro was born in Ostrano.", true, true],
  ["A marooned sailor is the hero.", true, false],
  ["INES wrote it.", true, true],
  ["She was born in Ostrano.", false, false],
];

/** 3.2: whether an answer names somebody, as the paper counts (inside other words too) and by whole words. */
export const namesSomebody: Exercise<
  (completion: string, name: string) => { substring: boolean; wholeWord: boolean }
> = exercise(
  "3.2",
  (answer) => {
    for (const [completion, substring, wholeWord] of completions) {
      const found = answer(completion, "Ines Maro");
      if (found.substring === substring && found.wholeWord === wholeWord) continue;
      return `"${completion}" and the name "Ines Maro": ${shown({ substring, wholeWord })}, not ${
        shown(found)
      }. ` +
        "A part of the name is enough; letters may differ in case.";
    }
    return undefined;
  },
  "So the paper's count is an upper bound: it never misses a name, and counts some words that are none.",
);

/** 3.3: the change of a share, of so many questions, that is more than chance: about two standard errors. */
export const noticeableChange: Exercise<(share: number, questions: number) => number> = exercise(
  "3.3",
  (answer) => {
    for (const [share, questions] of [[0.5, 400], [0.1, 400], [0.5, 100]] as const) {
      const wanted = 1.96 * Math.sqrt(2 * share * (1 - share) / questions),
        found = answer(share, questions);
      if (Math.abs(found - wanted) <= 0.003) continue;
      return `For a share of ${share} among ${questions} questions it is ${shown(wanted)}, not ${
        shown(found)
      }. The ` +
        "variance of a share is p (1 - p) / n, a difference has the variance of both sides, and 1.96 standard errors " +
        "hold 95 % of chance.";
    }
    return undefined;
  },
  "Compare the methods of the table by it, and remember that seeds differ more than draws of questions.",
);
