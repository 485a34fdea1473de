// The exercises of the lessons: each check takes right answers, tells wrong ones apart with a hint, and says nothing hard
// to who has no answer yet. The wrong answers are the mistakes that one makes.

import { Gpu, objective, presets } from "../mod.ts";
import type { Exercise } from "../src/notebook/exercise.ts";
import {
  lesson1,
  lesson2,
  lesson3,
  lesson4,
  lesson5,
  lesson6,
  lesson7,
  lesson8,
} from "../src/notebook/exercises/mod.ts";
import type { LoraSettings } from "../src/model/lora.ts";
import { countParameters } from "../src/model/parameter_shapes.ts";
import { estimateStep } from "../src/train/estimate.ts";
import type { StepShape } from "../src/train/recorded_step.ts";
import { assert, assertEquals } from "./assert.ts";

/** Tries right and wrong answers; `hint` must stand in what is said of the first wrong one. */
async function told<Answer>(
  exercise: Exercise<Answer>,
  right: readonly NoInfer<Answer>[],
  wrong: readonly NoInfer<Answer>[],
  hint: RegExp,
): Promise<void> {
  const none = String(await exercise(undefined));
  assert(none.startsWith("○"), none);
  for (const [i, answer] of right.entries()) {
    const verdict = String(await exercise(answer));
    assert(verdict.startsWith("✓"), `right answer ${i}: ${verdict}`);
  }
  for (const [i, answer] of wrong.entries()) {
    const verdict = String(await exercise(answer));
    assert(verdict.startsWith("✗"), `wrong answer ${i}: ${verdict}`);
    if (i === 0) assert(hint.test(verdict), verdict);
  }
}

const sum = (values: readonly number[]) => values.reduce((total, x) => total + x, 0);

Deno.test("lesson 1: log-odds that overflow or include the target, shifted positions, miscounted Z", async () => {
  const others = (z: readonly number[], y: number) => z.filter((_, j) => j !== y);
  await told(
    lesson1.logOdds,
    [(z, y) => {
      const rest = others(z, y), most = Math.max(...rest);
      return z[y]! - most - Math.log(sum(rest.map((x) => Math.exp(x - most))));
    }],
    [
      (z, y) => z[y]! - Math.log(sum(z.map(Math.exp))),
      (z, y) => z[y]! - Math.log(sum(others(z, y).map(Math.exp))),
      (z, y) => z[y]!,
      () => {
        throw new Error("no");
      },
    ],
    /leave the target itself out/,
  );
  await told(
    lesson1.silentPositions,
    [(classes) => classes.flatMap((_, t) => classes[t + 1]! > 1 ? [t] : [])],
    [
      (classes) => classes.flatMap((risk, t) => risk > 1 ? [t] : []),
      (classes) => classes.flatMap((_, t) => classes[t + 1] === 3 ? [t] : []),
      () => [],
    ],
    /predicts token t \+ 1/,
  );
  const count = (classes: readonly number[], test: (risk: number) => boolean) =>
    classes.filter(test).length;
  await told(
    lesson1.denominators,
    [(classes) => {
      const active = count(classes.slice(1), (risk) => risk < 2);
      return { active, paper: active + Number(classes[0]! < 2), all: classes.length - 1 };
    }],
    [
      (classes) => ({
        active: count(classes, (risk) => risk < 2),
        paper: count(classes, (risk) => risk < 2),
        all: classes.length,
      }),
      (classes) => {
        const active = count(classes.slice(1), (risk) => risk < 2);
        return { active, paper: active + 1, all: classes.length - 1 };
      },
    ],
    /first token/,
  );
});

Deno.test("lesson 2: loads, bytes, and a logarithm that forgets small numbers", async () => {
  await told(
    lesson2.loadsPerMultiplyAdd,
    [(r, c) => (r + c) / (16 * r * c)],
    [(r, c) => 1 / (4 * r * c), (r, c) => (r + c) / (4 * r * c), () => 2],
    /64|multiply-adds/,
  );
  await told(
    lesson2.logitBytes,
    [({ tokens, vocabulary, chunkRows }) => ({
      unfused: 8 * tokens * vocabulary,
      fused: 4 * Math.min(chunkRows, tokens) * vocabulary,
    })],
    [
      ({ tokens, vocabulary, chunkRows }) => ({
        unfused: 4 * tokens * vocabulary,
        fused: 4 * chunkRows * vocabulary,
      }),
      ({ tokens, vocabulary, chunkRows }) => ({
        unfused: 8 * tokens * vocabulary,
        fused: 4 * chunkRows * vocabulary,
      }),
    ],
    /two arrays/,
  );
  using gpu = await Gpu.open();
  await told(
    lesson2.accurateLog1p(gpu),
    [
      "  if (x < 0.03) { return x * (1.0 - x * (0.5 - x * (0.33333333 - x * (0.25 - 0.2 * x)))); }\n  return log(1.0 + x);",
    ],
    ["  return log(1.0 + x);", "  return x;", "  return x"],
    /forgotten a small x/,
  );
});

Deno.test("lesson 3: names inside words, forgotten first names, counts and chance", async () => {
  const spansOf = (parts: string[], flags: string, text: string) =>
    Array.from(
      text.matchAll(new RegExp(`\\b(?:${parts.join("|")})\\b`, flags)),
      ({ index, 0: found }) => ({ start: index, end: index + found.length }),
    );
  await told(
    lesson3.nameSpans,
    [(text, name) => spansOf([name, ...name.split(" ")], "gi", text)],
    [
      (text, name) => spansOf([name], "gi", text),
      (text, name) => spansOf([name, ...name.split(" ")], "g", text),
      (text, name) =>
        Array.from(
          text.matchAll(new RegExp([name, ...name.split(" ")].join("|"), "gi")),
          ({ index, 0: found }) => ({ start: index, end: index + found.length }),
        ),
    ],
    /last name/,
  );
  const parts = (name: string) => name.toLowerCase().split(" ");
  const whole = (text: string, name: string) =>
    parts(name).some((part) => new RegExp(`\\b${part}\\b`, "i").test(text));
  const inside = (text: string, name: string) =>
    parts(name).some((part) => text.toLowerCase().includes(part));
  await told(
    lesson3.namesSomebody,
    [(text, name) => ({ substring: inside(text, name), wholeWord: whole(text, name) })],
    [
      (text, name) => ({ substring: text.includes(name), wholeWord: text.includes(name) }),
      (text, name) => ({ substring: inside(text, name), wholeWord: inside(text, name) }),
      (text, name) => ({ substring: whole(text, name), wholeWord: whole(text, name) }),
    ],
    /part of the name/,
  );
  await told(
    lesson3.noticeableChange,
    [(p, n) => 1.96 * Math.sqrt(2 * p * (1 - p) / n)],
    [(p, n) => 1.96 * Math.sqrt(p * (1 - p) / n), (p, n) => Math.sqrt(2 * p * (1 - p) / n)],
    /both sides/,
  );
});

Deno.test("lesson 4: ties, intervals of large samples, tokens that are only read", async () => {
  const auroc = (tie: number) => (scores: readonly number[], labels: readonly number[]) => {
    const pairs = scores.flatMap((a, i) =>
      scores.flatMap((b, j) =>
        labels[i] === 1 && labels[j] === 0 ? [a > b ? 1 : a === b ? tie : 0] : []
      )
    );
    return sum(pairs) / pairs.length;
  };
  await told(lesson4.auroc, [auroc(0.5)], [
    auroc(0),
    auroc(1),
    (scores, labels) =>
      sum(scores.map((s, i) => Number((s > 0.5) === (labels[i] === 1)))) / scores.length,
  ], /half a success/);
  const width = (factor: number, ddof: number) => (values: readonly [number, number, number]) => {
    const mean = sum(values) / 3;
    return factor * Math.sqrt(sum(values.map((x) => (x - mean) ** 2)) / (3 - ddof) / 3);
  };
  await told(lesson4.halfWidth, [width(4.303, 1)], [width(1.96, 1), width(4.303, 0)], /4\.303/);
  await told(
    lesson4.learnedTokens,
    [(method, { base, low, possible, high }) =>
      base +
      {
        control: 0,
        low_risk: low,
        toxic: low + possible + high,
        masked: low,
        unlikelihood: low + possible,
      }[method]],
    [
      (method, { base, low, possible, high }) =>
        method === "control" ? base : base + low + possible + high,
      (method, { base, low, possible }) =>
        base + (method === "control" ? 0 : method === "low_risk" ? low : low + possible),
    ],
    /low risk alone/,
  );
});

Deno.test("lesson 5: losses with another value, with a wrong derivative, and without a bound", async () => {
  await told(
    lesson5.hinge,
    [{
      name: "hinge",
      value: "max(-l1mp - 0.0010005, 0)",
      slope: "select(0, p, -l1mp > 0.0010005)",
    }],
    [
      { name: "hinge", value: "-l1mp", slope: "p" },
      { name: "hinge", value: "max(-l1mp - 0.0010005, 0)", slope: "p" },
    ],
    /never below 0/,
  );
  await told(
    lesson5.focal,
    [{
      name: "focal",
      value: "-(1 - p) * (1 - p) * lp",
      derivative: "-(1 - p) * (1 - p) + 2 * (1 - p) * p * lp",
    }],
    [
      { name: "focal", value: "-(1 - p) * lp", derivative: "-(1 - p) + p * lp" },
      { name: "focal", value: "-(1 - p) * (1 - p) * lp", derivative: "-(1 - p) * (1 - p)" },
    ],
    /\(1 - p\)\^2/,
  );
  await told(
    lesson5.boundedAscent,
    [{ name: "bounded", value: "softplus(lp + 3) - 3", slope: "sigmoid(lp + 3) * sigmoid(-m)" }],
    [
      { name: "ascent", value: "lp", derivative: "1" },
      { name: "constant", value: "0", slope: "0" },
      { name: "upside", value: "-lp", derivative: "-1" },
    ],
    /below -3/,
  );
  assert(objective("masked").terms[3] === undefined);
});

Deno.test("lesson 6: sums for products, ranks by one off, means instead of pairs", async () => {
  await told(
    lesson6.chanceInTries,
    [(logs, tries) => -Math.expm1(tries * Math.log1p(-Math.exp(sum(logs))))],
    [
      (logs, tries) => tries * Math.exp(sum(logs)),
      (logs) => Math.exp(sum(logs)),
      (logs, tries) => 1 - (1 - Math.exp(Math.max(...logs))) ** tries,
    ],
    /multiply/,
  );
  const rank = (losses: readonly number[], secret: number) =>
    1 + losses.filter((loss) => loss < losses[secret]!).length;
  await told(
    lesson6.exposure,
    [(losses, secret) => Math.log2(losses.length / rank(losses, secret))],
    [
      (losses, secret) => Math.log2(losses.length / (rank(losses, secret) + 1)),
      (losses, secret) => Math.log(losses.length / rank(losses, secret)),
      (losses, secret) => -losses[secret]!,
    ],
    /rank/,
  );
  const mean = (values: readonly number[]) => sum(values) / values.length;
  await told(
    lesson6.liesBelow,
    [(a, b) => {
      const d = a.map((x, i) => x - b[i]!), m = mean(d);
      return m + 4.303 * Math.sqrt(sum(d.map((x) => (x - m) ** 2)) / 2 / 3) < 0;
    }],
    [(a, b) => mean(a) < mean(b), (a, b) => Math.max(...a) < Math.min(...b), () => false],
    /differences/,
  );
});

Deno.test("lesson 7: rules that find too much, characters counted twice, losses off by one", async () => {
  await told(
    lesson7.codePattern,
    [/\b[A-Z]{2}-\d{4}\b/, /(?<![A-Za-z\d])[A-Z]{2}-\d{4}(?!\d)/g],
    [/[A-Z]{2}-\d{4}/, /\b[A-Z]{2}-\d+\b/, /\d{4}/],
    /another word/,
  );
  const covered = (spans: readonly { start: number; end: number }[]) =>
    new Set(
      spans.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i)),
    );
  await told(
    lesson7.labelQuality,
    [(found, wanted) => {
      const a = covered(found), b = covered(wanted), both = a.intersection(b).size;
      return { precision: both / a.size, recall: both / b.size };
    }],
    [
      (found, wanted) => {
        const same =
          found.filter((f) => wanted.some((w) => w.start === f.start && w.end === f.end)).length;
        return { precision: same / found.length, recall: same / wanted.length };
      },
      (found, wanted) => {
        const a = covered(found), b = covered(wanted), both = a.intersection(b).size;
        return { precision: both / b.size, recall: both / a.size };
      },
    ],
    /each character once/,
  );
  const byClass = (shift: number) => (losses: readonly number[], classes: readonly number[]) => {
    const groups = Map.groupBy(
      losses.map((loss, t) => [classes[t + shift]!, loss] as const),
      ([risk]) => risk,
    );
    return Object.fromEntries(
      [...groups].map(([risk, pairs]) => [risk, sum(pairs.map(([, loss]) => loss)) / pairs.length]),
    );
  };
  await told(lesson7.lossByClass, [byClass(1)], [byClass(0)], /token t \+ 1/);
});

Deno.test("every exercise of the lessons is here, and every lesson has three or more", async () => {
  const here = await Deno.readTextFile(new URL(import.meta.url));
  const folder = new URL("../notebooks/src/", import.meta.url);
  for (
    const { name } of [...Deno.readDirSync(folder)].toSorted((a, b) => a.name < b.name ? -1 : 1)
  ) {
    const source = await Deno.readTextFile(new URL(name, folder));
    const asked = new Set(source.match(/\blesson\d\.\w+/g) ?? []);
    assert(asked.size >= 3, `${name} has ${asked.size} exercises`);
    for (const exercise of asked) {
      assert(
        here.includes(`${exercise}(`) || here.includes(`${exercise},`),
        `${exercise} is not told apart`,
      );
      const folded = source.split("<details>").slice(1).some((part) =>
        part.split("</details>")[0]!.includes(exercise)
      );
      assert(folded, `${exercise} has no solution`);
    }
  }
});

Deno.test("lesson 8: masters and frozen halves, both factors of LoRA, its scale and its order", async () => {
  type Counted = { frozen: number; learned: number; precision: "f32" | "f16" };
  const bytes = ({ frozen, learned, precision }: Counted) => ({
    weights: precision === "f32" ? 4 * (frozen + learned) : 2 * (frozen + learned) + 4 * learned,
    ...{ gradients: 4 * learned, moments: 8 * learned },
  });
  await told(
    lesson8.stepBytes,
    [bytes],
    [
      ({ frozen, learned, precision }) => ({ // f16 without masters
        ...bytes({ frozen, learned, precision }),
        weights: (precision === "f32" ? 4 : 2) * (frozen + learned),
      }),
      (counted) => ({ ...bytes(counted), gradients: 4 * (counted.frozen + counted.learned) }),
      (counted) => ({ ...bytes(counted), moments: 4 * counted.learned }),
    ],
    /f32 master/,
  );
  { // the right answer is what is recorded
    using gpu = await Gpu.open();
    const lora: LoraSettings = { rank: 64, alpha: 64, targets: ["q_proj"] };
    const shape: StepShape = { config: presets.tiny, precision: "f16", rows: 1, time: 64, lora };
    const { parts, learned } = estimateStep(gpu, shape);
    const { weights, gradients } = bytes({
      ...{ frozen: countParameters(presets.tiny), learned, precision: "f16" },
    });
    assertEquals([parts.weights, parts.gradients], [weights, gradients]);
  }

  await told(
    lesson8.loraParameters,
    [(matrices, rank) => sum(matrices.map(([out, input]) => rank * (out + input)))],
    [
      (matrices, rank) => sum(matrices.map(([out]) => rank * out)),
      (matrices, rank) => sum(matrices.map(([out, input]) => out * input * rank)),
      (matrices, rank) => sum(matrices.map(([, input]) => 2 * rank * input)),
    ],
    /B is \[output, rank\]/,
  );

  type Matrix = readonly (readonly number[])[];
  const merge =
    (scaleOf: (alpha: number, a: Matrix) => number) =>
    (weights: Matrix, { a, b, alpha }: { a: Matrix; b: Matrix; alpha: number }) =>
      weights.map((row, i) =>
        row.map((value, j) =>
          value + scaleOf(alpha, a) * sum(a.map((each, k) => b[i]![k]! * each[j]!))
        )
      );
  await told(
    lesson8.mergedWeights,
    [merge((alpha, a) => alpha / a.length)],
    [
      merge((alpha) => alpha),
      merge(() => 1),
      (weights, { b }) => b.map((row, i) => row.map((value, j) => value + weights[i]![j]!)),
    ],
    /rank r is the number of rows of A/,
  );
});
