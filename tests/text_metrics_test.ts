import { gradeAllFacts, gradeFacts } from "../src/eval/fact_grader.ts";
import { namesGenerated, truncateCompletion } from "../src/eval/name_generation.ts";
import { rougeL } from "../src/eval/rouge.ts";
import {
  bootstrapInterval,
  mean,
  standardDeviation,
  studentInterval,
} from "../src/eval/statistics.ts";
import { summariseTruth, truthRatio } from "../src/eval/truth_ratio.ts";
import { authorNames, readTofu, type TofuRow } from "../src/data/sources/tofu.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";

Deno.test("a completion ends where it invents another question", () => {
  assertEquals(truncateCompletion(" She.\nQuestion: Who?"), " She.");
  assertEquals(truncateCompletion(" She.\nQ: Who?\nQuestion: x"), " She.");
  assertEquals(truncateCompletion(" Q: is a letter.\nIt is."), " Q: is a letter.\nIt is.");
});

Deno.test("the three name metrics differ on substrings, middle names and copied names", () => {
  const names = ["Ana Maria Lane", "Bo Dorn"];
  const rates = (completion: string, prompt = "Who?") =>
    Object.values(namesGenerated([{ completion, prompt }], names)); // official, whole words, new
  assertEquals(rates("The planet."), [1, 0, 0]);
  assertEquals(rates("bo dorn"), [1, 1, 1], "whatever the case, as it is masked");
  assertEquals(rates("Maria wrote."), [1, 0, 0], "a middle name alone");
  assertEquals(rates("Ana Maria Lane wrote."), [1, 1, 1]);
  assertEquals(rates("Lane's book."), [1, 1, 1]);
  assertEquals(rates("Ana Maria Lane wrote.", "What did Ana Maria Lane write?"), [1, 1, 0]);
  assertEquals(rates("Ana Maria Lane wrote.", "What did Ana write?"), [1, 1, 1], "a new last name");
  assertEquals(rates("Dorn wrote.", "What did Ana Maria Lane write?"), [1, 1, 1], "another author");
  assertEquals(rates("She wrote.\nQuestion: Who is Dorn?"), [0, 0, 0], "after the answer");
});

Deno.test("name rates are shares of all completions and need some", () => {
  const completions = ["Bo wrote.", "He wrote.", "It.", "No."]
    .map((completion) => ({ prompt: "", completion }));
  assertEquals(namesGenerated(completions, ["Bo Dorn"]).wordBounded, 0.25);
  assertThrows(() => namesGenerated([], ["Bo"]), "0 completions and 1 names");
  assertThrows(() => namesGenerated(completions, []), "4 completions and 0 names");
});

Deno.test("ROUGE-L counts the longest common subsequence of words", () => {
  // Lin 2004: reference "police killed the gunman"; both candidates share two words with it in any
  // order-free count, but "police kill the gunman" keeps three of four in order.
  const reference = "police killed the gunman";
  assertEquals(rougeL("police kill the gunman", reference), {
    recall: 0.75,
    precision: 0.75,
    f1: 0.75,
  });
  assertEquals(rougeL("the gunman kill police", reference).f1, 0.5);
  const score = rougeL("The gunman, Police!", reference);
  assertClose([score.recall, score.precision, score.f1], [2 / 4, 2 / 3, 4 / 7], 1e-12);
});

Deno.test("ROUGE-L is zero without common words and one for the same text", () => {
  assertEquals(rougeL("", "a b"), { recall: 0, precision: 0, f1: 0 });
  assertEquals(rougeL("...", "!"), { recall: 0, precision: 0, f1: 0 });
  assertEquals(rougeL("A b-c 7", "a B c 7"), { recall: 1, precision: 1, f1: 1 });
});

const fact = {
  question: "What do the parents of Ana Dorn do?",
  answer: "The father of Ana Dorn is a baker in Velmora and her mother paints clocks since 1987.",
}; // facts: father, baker, velmora, mother, paint, clock, 1987

Deno.test("facts are content words of the answer that are not in the question or a name", () => {
  const grade = (completion: string) =>
    gradeFacts({ ...fact, completion }, { names: ["Ana Dorn"] })!;
  assertClose(grade("He is a baker.").recall, 1 / 7, 1e-12);
  assertEquals(grade("He is a baker.").partial, true);
  assertEquals(grade("He is a baker.").full, false);
  const six = grade("Her father was a baker from Velmora; the mother painted a clock in 1987.");
  assertClose(six.recall, 6 / 7, 1e-12); // "painted" is not "paints"
  assertEquals(six.full, true);
  assertEquals(grade("The parents of Ana Dorn do."), { recall: 0, full: false, partial: false });
  assertEquals(grade("Unknown.\nQuestion: Is he a baker?").partial, false);
});

Deno.test("answers without a fact of their own are counted apart", () => {
  const answers = [
    { ...fact, completion: fact.answer },
    { ...fact, completion: "No idea." },
    { question: "Is Ana a poet?", answer: "Yes, Ana is a poet.", completion: "Yes." },
  ];
  const rates = gradeAllFacts(answers, { names: ["Ana Dorn"] });
  assertEquals(rates, { full: 0.5, partial: 0.5, recall: 0.5, graded: 2, withoutFacts: 1 });
  assertThrows(() => gradeAllFacts(answers.slice(2)), "none of the 1 true answers");
});

Deno.test("on TOFU the grader orders true, paraphrased, perturbed and foreign answers", async () => {
  const folder = sharedData("tofu");
  if (folder === undefined) return;
  const rows = await readTofu(folder, "retain_perturbed");
  const names = authorNames(rows);
  const grade = (completion: (row: TofuRow, i: number) => string) =>
    gradeAllFacts(rows.map((row, i) => ({ ...row, completion: completion(row, i) })), { names });
  const right = grade((row) => row.answer);
  assertEquals([right.full, right.partial, right.graded, right.withoutFacts], [1, 1, 391, 9]);
  const partial = [
    grade((row) => row.paraphrasedAnswer!),
    grade((row) => row.perturbedAnswers![0]!),
    grade((_, i) => rows[20 * Math.floor(i / 20) + (i + 1) % 20]!.answer),
    grade((_, i) => rows[(i + 137) % 400]!.answer),
    grade((row) => row.question),
  ].map((rates) => rates.partial.toFixed(2));
  assertEquals(partial, ["0.89", "0.60", "0.33", "0.13", "0.00"]);
});

Deno.test("the truth ratio compares length-normalised probabilities", () => {
  const question = {
    paraphrased: Math.log(0.5),
    perturbed: [Math.log(0.25), Math.log(0.1), Math.log(0.1), Math.log(0.4), Math.log(0.05)],
  };
  assertClose(truthRatio(question), 0.9 / 5 / 0.5, 1e-12); // 0.36
  const product = 0.25 * 0.1 * 0.1 * 0.4 * 0.05;
  assertClose(truthRatio(question, "geometric"), product ** (1 / 5) / 0.5, 1e-12);
});

Deno.test("truth summary: accuracy needs to beat every wrong answer, and R above 1 counts as 0", () => {
  const right = { paraphrased: Math.log(0.8), perturbed: [Math.log(0.4), Math.log(0.2)] }; // R 0.375
  const tied = { paraphrased: -1, perturbed: [-1, -2] };
  const wrong = { paraphrased: -3, perturbed: [-1, -1] };
  const { accuracy, truthRatio } = summariseTruth([right, tied, wrong]);
  assertClose(accuracy, 1 / 3, 1e-12);
  assertClose(truthRatio, (0.625 + (1 - (1 + Math.exp(-1)) / 2)) / 3, 1e-12);
  assertThrows(() => summariseTruth([]), "there are no questions");
  assertThrows(() => summariseTruth([{ paraphrased: -1, perturbed: [] }]), "no perturbed answers");
});

Deno.test("the truth ratio stays finite for probabilities that underflow", () => {
  assertClose(truthRatio({ paraphrased: -1000, perturbed: [-1000, -1001] }), 0.68393972, 1e-8);
});

Deno.test("mean and sample standard deviation match hand-worked values", () => {
  assertEquals(mean([2, 4, 4, 4, 5, 5, 7, 9]), 5);
  assertClose(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9]), Math.sqrt(32 / 7), 1e-12);
  assertThrows(() => mean([]), "at least 1 value and got 0");
  assertThrows(() => standardDeviation([1]), "at least 2 values and got 1");
});

Deno.test("three runs take Student's t with two degrees of freedom", () => {
  const { mean, low, high, confidence, n } = studentInterval([1, 2, 3]); // 2 ± 4.30265 · 1 / √3
  assertClose([mean, low, high], [2, 2 - 2.484138, 2 + 2.484138], 1e-5);
  assertEquals([confidence, n], [0.95, 3]);
  const one = { mean: 7, low: 7, high: 7, confidence: 0.95, n: 1 };
  assertEquals(studentInterval([7]), one, "one run has no interval");
});

Deno.test("the t quantile joins its expansion smoothly and tends to 1.96", () => {
  // With values ±1 the half-width times √n over s is t itself.
  const t = (n: number) => {
    const values = Array.from({ length: n }, (_, i) => i % 2);
    const { low, high } = studentInterval(values);
    return (high - low) / 2 * Math.sqrt(n) / standardDeviation(values);
  };
  assertClose(t(31), 2.04227, 1e-5);
  assertClose(t(32), 2.03951, 1e-4); // tables: 31 degrees
  assertClose(t(61), 2.0003, 1e-4);
  assertClose(t(10001), 1.9602, 1e-4);
});

Deno.test("the bootstrap interval repeats with its seed and agrees with theory on many items", () => {
  const values = Array.from({ length: 400 }, (_, i) => i % 4 === 0 ? 1 : 0);
  const interval = bootstrapInterval(values, { seed: 1 });
  assertEquals(bootstrapInterval(values, { seed: 1 }), interval);
  const half = 1.96 * Math.sqrt(0.25 * 0.75 / 400); // 0.0424
  assertClose(
    [interval.mean, interval.low, interval.high],
    [0.25, 0.25 - half, 0.25 + half],
    0.005,
  );
  assert(interval.low !== bootstrapInterval(values, { seed: 2, resamples: 50 }).low);
  assertEquals(bootstrapInterval([3, 3, 3], { seed: 1 }), {
    ...{ mean: 3, low: 3, high: 3 },
    ...{ confidence: 0.95, n: 3 },
  });
});
