// Exercises of lesson 7: a rule for codes, how good labels are, and losses by class.

import { type Exercise, exercise, near, shown } from "../exercise.ts";

const codes: [string, string[]][] = [
  ["Ticket MR-4821 was closed.", ["MR-4821"]],
  ["See MR-77 and QT-1200, please.", ["QT-1200"]],
  ["The XMR-48210 engine is no code.", []],
  ["(AB-0001)", ["AB-0001"]],
];

/** 7.1: an expression for staff codes: two capital letters, a hyphen, four digits, and no more of either. */
export const codePattern: Exercise<RegExp> = exercise(
  "7.1",
  (answer) => {
    const global = new RegExp(answer.source, [...new Set(`${answer.flags}g`)].join(""));
    for (const [text, wanted] of codes) {
      const found = Array.from(text.matchAll(global), ([match]) => match);
      if (shown(found) === shown(wanted)) continue;
      return `In "${text}" it finds ${shown(found)} instead of ${
        shown(wanted)
      }. Letters or digits on either side make it ` +
        "another word: \\b, or a look-around.";
    }
    return undefined;
  },
  "A rule that finds too much costs knowledge, one that finds too little gives data away: try both on your texts.",
);

interface Span {
  start: number;
  end: number;
}

/** 7.2: precision and recall of labels, by characters. */
export const labelQuality: Exercise<
  (found: readonly Span[], wanted: readonly Span[]) => { precision: number; recall: number }
> = exercise(
  "7.2",
  (answer) => {
    const cases: [Span[], Span[], number, number][] = [
      [[{ start: 0, end: 4 }], [{ start: 0, end: 4 }], 1, 1],
      [[{ start: 0, end: 4 }], [{ start: 0, end: 11 }], 1, 4 / 11],
      [[{ start: 0, end: 10 }, { start: 5, end: 10 }], [{ start: 5, end: 10 }], 0.5, 1],
    ];
    for (const [found, wanted, precision, recall] of cases) {
      const given = answer(found, wanted);
      if (near(given.precision, precision) && near(given.recall, recall)) continue;
      return `For ${shown(found)} against ${shown(wanted)} they are ${
        shown({ precision, recall })
      }, not ${shown(given)}. ` +
        "Count each character once, whichever spans cover it: precision is the part of what was found that is right, " +
        "recall the part of what is right that was found.";
    }
    return undefined;
  },
  "Here recall is the number to watch: what it misses is trained on.",
);

/** 7.3: the mean loss of the targets of each class. */
export const lossByClass: Exercise<
  (losses: readonly number[], classes: readonly number[]) => Record<number, number>
> = exercise(
  "7.3",
  (answer) => {
    const cases: [number[], number[], Record<number, number>][] = [
      [[1, 2, 9], [1, 1, 1, 3], { 1: 1.5, 3: 9 }],
      [[5, 1, 3], [3, 3, 1, 1], { 1: 2, 3: 5 }],
    ];
    for (const [losses, classes, wanted] of cases) {
      const found = answer(losses, classes);
      const right = Object.entries(wanted).every(([risk, loss]) =>
        near(found[Number(risk)]!, loss)
      );
      if (right) continue;
      return `Losses ${shown(losses)} and classes ${shown(classes)} give ${shown(wanted)}, not ${
        shown(found)
      }. There is one ` +
        "class more than losses: loss t belongs to token t + 1.";
    }
    return undefined;
  },
  "The two curves of the live display are these numbers, step by step.",
);
