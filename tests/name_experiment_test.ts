// The name experiment end to end on a model far too small to learn anything: what is tested is the machinery.

import {
  answerSequences,
  askAboutNames,
  type AskedQuestion,
  type GeneralQuestion,
  type NameTaskResult,
  questionSequences,
} from "../src/experiments/names/task.ts";
import { baseSequences, inventedTask, worldTokenizer } from "../src/experiments/names/invented.ts";
import {
  Gpu,
  huggingFaceOptimiser,
  initialise,
  LanguageModel,
  Risk,
  runExperiment,
} from "../mod.ts";
import { answerControls, answerMethods } from "../src/data/method.ts";
import { questionPrompt, rotateNames } from "../src/data/sources/tofu.ts";
import { lowRiskSequence } from "../src/data/sequence.ts";
import { encodePrompt } from "../src/data/spans.ts";
import { scoreSequences } from "../src/eval/score.ts";
import { mean } from "../src/eval/statistics.ts";
import {
  compareNames,
  knowledge,
  type QuestionMeasure,
  questionValues,
} from "../src/experiments/names/comparison.ts";
import { digestWeights } from "../src/train/fingerprint.ts";
import {
  type NameExperiment,
  nameExperiment,
  type NameOutcome,
  nameResult,
} from "../src/experiments/names/experiment.ts";
import { readGeneralQuestions } from "../src/experiments/names/general.ts";
import { renderGeneral, summariseGeneral } from "../src/experiments/names/general_report.ts";
import { renderNameAnswers, summariseNames } from "../src/experiments/names/report.ts";
import type { RunnerOptions } from "../src/experiments/runner.ts";
import { loadOptimiserState } from "../src/train/optimiser_state.ts";
import { pretrain } from "../src/train/pretraining.ts";
import { smallOlmo } from "../src/experiments/small_olmo.ts";
import { assert, assertClose, assertEquals, assertRejects, assertThrows } from "./assert.ts";

const world = { seed: 3, baseAuthors: 4, targetAuthors: 2 };
const tokenizer = worldTokenizer(world, 400);
const config = smallOlmo({ width: 16, layers: 1, heads: 2, vocabularySize: 448 });
const experiment: NameExperiment = {
  base: { config, weights: initialise(config, 1) },
  tokenizer,
  task: inventedTask(world, 5),
  training: {
    epochs: 1,
    answerPasses: 1,
    perStep: 8,
    learningRate: 1e-3,
    optimiser: huggingFaceOptimiser,
    endOfText: true,
  },
  methods: answerMethods.filter(({ name }) => name === "direct" || name === "masked"),
  seeds: [0, 1],
  maxNewTokens: 4,
};

async function runNames(
  gpu: Gpu,
  changes: Partial<NameExperiment>,
  folder: string,
  options: RunnerOptions<{ asked: NameTaskResult }> = {},
): Promise<NameOutcome[]> {
  return await runExperiment(
    gpu,
    await nameExperiment({ ...experiment, ...changes }),
    folder,
    options,
  );
}

Deno.test("names are high risk in answers and in replayed questions, and nothing else is", () => {
  const { rows, names, replay, replayNames } = experiment.task;
  const answers = answerSequences(tokenizer, experiment.task, false);
  const replayed = questionSequences(tokenizer, replay, replayNames);
  const risky = ({ tokens, classes }: { tokens: Uint32Array; classes: Uint8Array }) =>
    tokenizer.decode(tokens.filter((_, i) => classes[i] === Risk.high));
  answers.forEach((sequence, i) => {
    const author = names[Math.floor(i / 20)]!;
    for (const part of author.split(" ")) assert(risky(sequence).includes(part), rows[i]!.answer);
    assert(risky(sequence).replace(author, "").trim() === "", risky(sequence));
  });
  assertEquals(replayed.length, 5);
  for (const sequence of replayed) {
    assert(replayNames.some((name) => risky(sequence).includes(name)), risky(sequence));
  }
});

Deno.test("an experiment gives one run for the base and one per method and seed, and reuses finished ones", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const reused: boolean[] = [];
  const onOutcome = (_: NameOutcome, again: boolean) => reused.push(again);
  const first = await runNames(gpu, {}, folder, { onOutcome });
  assertEquals(
    first.map(({ run: { method, seed } }) => `${method?.name ?? "base"} ${seed}`),
    ["base 0", "direct 0", "masked 0", "direct 1", "masked 1"],
  );
  assertEquals(reused, [false, false, false, false, false]);
  const second = await runNames(gpu, {}, folder, { onOutcome });
  assertEquals(reused.slice(5), [true, true, true, true, true]);
  assertEquals(JSON.stringify(second), JSON.stringify(first));

  const more = await runNames(gpu, { seeds: [0, 1, 2] }, folder, { onOutcome });
  assertEquals(reused.slice(10), [true, true, true, true, true, false, false]);
  const summary = summariseNames(more);
  assertEquals(summary.map(({ method, values }) => [method, values.names!.n]), [
    ["base", 1],
    ["direct", 3],
    ["masked", 3],
  ]);
  for (const { values: { names, partial, truthAccuracy } } of summary) {
    for (const { mean } of [names!, partial!, truthAccuracy!]) assert(mean >= 0 && mean <= 100);
  }
  for (const outcome of more) {
    const { names, facts, truth, rougeRecall, answers } = nameResult(outcome);
    const share = (value: typeof questionValues[QuestionMeasure]) => {
      const values = answers.map(value).filter((one) => one !== null);
      return values.reduce((sum, one) => sum + one, 0) / values.length / 100;
    };
    for (
      const [measure, whole] of [
        ["names", names.official],
        ["full", facts.full],
        ["partial", facts.partial],
        ["rougeRecall", rougeRecall],
        ["truthAccuracy", truth!.allTokens.accuracy],
        ["truthAccuracyWithoutNames", truth!.withoutNames.accuracy],
        ["truthRatioWithoutNames", truth!.withoutNames.truthRatio],
      ] as const
    ) assertClose(share(questionValues[measure]), whole, 1e-12, measure);
    answers.forEach(({ about }, i) => {
      assertEquals(about, experiment.task.names[Math.floor(i / 20)]);
    });
  }
  for (const { overPeople, values } of summary) {
    for (const [measure, own] of Object.entries(overPeople)) {
      assertClose(own!.mean, values[measure as QuestionMeasure]!.mean, 1e-9, measure);
    }
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("an experiment that is stopped keeps what is done and ends with the same result", async () => {
  using gpu = await Gpu.open();
  const [whole, broken] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const expected = await runNames(gpu, {}, whole);
  const controller = new AbortController();
  const partial = await runNames(gpu, {}, broken, {
    signal: controller.signal,
    onTraining: ({ method }) => method!.name === "masked" && controller.abort(),
  });
  assert(partial.length < expected.length);
  const resumed = await runNames(gpu, {}, broken);
  assertEquals(JSON.stringify(resumed), JSON.stringify(expected));
  for (const folder of [whole, broken]) await Deno.remove(folder, { recursive: true });
});

Deno.test("a control learns what masked training does of the same answers about somebody else", async () => {
  using gpu = await Gpu.open();
  const { task } = experiment;
  const rotated = { ...task, rows: rotateNames(task.rows, task.names) };
  const read = (rows: typeof task.rows, risky: boolean) =>
    answerSequences(tokenizer, { ...task, rows }, false).map(({ tokens, classes }) =>
      tokenizer.decode(tokens.filter((_, i) => (classes[i] === Risk.high) === risky))
    );
  assertEquals(read(rotated.rows, false), read(task.rows, false), "the same but for names");
  read(rotated.rows, true).forEach((named, i) => {
    assertEquals(named.trim(), task.names[1 - Math.floor(i / 20)], "each about the other one");
  });
  const weights = async (changes: Partial<NameExperiment>): Promise<Map<string, string>> => {
    const found = new Map<string, string>();
    const folder = await Deno.makeTempDir();
    await runNames(gpu, { seeds: [0], ...changes }, folder, {
      keepModels: false,
      onModel: async ({ method }, _, model) => {
        found.set(method!.name, await digestWeights(await model.download()));
      },
    });
    await Deno.remove(folder, { recursive: true });
    return found;
  };
  const masked = answerMethods.filter(({ name }) => name === "masked");
  const controls = await weights({ methods: [...masked, ...answerControls] });
  const wrong = await weights({ task: rotated, methods: masked });
  assertEquals([...controls.keys()], ["masked", "wrong_facts", "format_only"]);
  assertEquals(controls.get("wrong_facts"), wrong.get("masked"));
  assertEquals(new Set(controls.values()).size, 3, "and all three differ");
});

Deno.test("methods are compared question by question, those about one person together", () => {
  const asked = (about: string, i: number, knows: boolean) =>
    ({
      ...{ question: `${about} ${i}`, answer: "", about, completion: "" },
      ...{ named: false, namedAsInPaper: !knows, factRecall: i === 3 ? null : knows ? 1 : 0 },
      rougeRecall: 0,
      truth: { allTokens: { accuracy: 0 }, withoutNames: { accuracy: knows ? 1 : 0 } },
    }) as unknown as AskedQuestion;
  const outcome = (name: string, seed: number, share: number): NameOutcome => {
    const answers = Array.from(
      { length: 60 },
      (_, i) => asked(`author ${Math.floor(i / 4)}`, i % 4, i % 10 < 10 * share),
    );
    const result = {
      ...{ names: {}, facts: {}, rougeRecall: 0, answers },
      truth: { allTokens: {}, withoutNames: {} },
    };
    const method = [...answerMethods, ...answerControls].find((own) => own.name === name);
    return {
      run: { name, method, seed },
      stages: [{ name: "trained", training: {}, results: { asked: result } }],
    } as unknown as NameOutcome;
  };
  const outcomes = [
    outcome("base", 0, 0.1),
    ...[0, 1, 2].flatMap((seed) => [
      outcome("direct", seed, 0.7),
      outcome("masked", seed, 0.9),
      outcome("unlikelihood", seed, 0.7),
      outcome("wrong_facts", seed, 0.2),
      outcome("format_only", seed, 0.1),
    ]),
  ];
  const compared = compareNames(outcomes);
  const of = (first: string, second: string, on: string) =>
    compared.find((own) => own.first === first && own.second === second && own.on === on);
  const wrong = of("masked", "wrong_facts", knowledge)!;
  assertClose([wrong.difference.mean, wrong.difference.n], [70, 3], 1e-9);
  assertEquals(wrong.separates, true);
  assertEquals(of("direct", "base", "names")!.difference.mean, -60);
  assertEquals(of("format_only", "base", "full")!.separates, false);
  assertEquals(of("unlikelihood", "direct", knowledge)!.p, 1);
  assert(of("unlikelihood", "masked", "names") && !of("direct", "masked", "names"));
  assert(!of("wrong_facts", "direct", "names"), "controls are compared with the base alone");
  assertEquals(
    compared.length,
    new Set(compared.map((own) => own.first + own.second + own.on)).size,
  );
  const other = outcome("masked", 3, 0.5);
  nameResult(other).answers[5]!.question = "another";
  assertThrows(() => compareNames([...outcomes, other]), "they were asked different questions");
});

Deno.test("training on answers in which nobody is named is refused", async () => {
  const task = { ...experiment.task, names: ["Nobody Atall"] };
  await assertRejects(
    () => nameExperiment({ ...experiment, task }),
    "Cannot mark names in the answers",
  );
});

Deno.test("behind BOS, where a tokenizer has one, tokens keep their classes", () => {
  const withBos = { ...tokenizer, special: { ...tokenizer.special, bos: 5 } };
  const plain = answerSequences(tokenizer, experiment.task, true);
  const begun = answerSequences(withBos, experiment.task, true);
  begun.forEach(({ tokens, classes }, i) => {
    assertEquals([...tokens], [5, ...plain[i]!.tokens]);
    assertEquals([...classes], [Risk.low, ...plain[i]!.classes]);
  });
  assert(plain.some(({ classes }) => classes.includes(Risk.high)));
});

Deno.test("pre-training writes a model folder, and a second call reads it back", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const options = {
    config,
    tokenizer,
    sequences: baseSequences(world, tokenizer),
    epochs: 1,
    perStep: 16,
    learningRate: 1e-3,
    seed: 1,
  };
  const made = await pretrain(gpu, folder, options);
  const read = await pretrain(gpu, folder, options);
  assertEquals(read!.describe, made!.describe);
  assertEquals(await loadOptimiserState(folder, config), undefined);
  using model = new LanguageModel(gpu, read!.config, read!.weights);
  const result = await askAboutNames(model, tokenizer, experiment.task, { maxNewTokens: 4 });
  assertEquals(result.answers.length, experiment.task.rows.length);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("pre-training keeps AdamW's state beside the model where it is asked to", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const sequences = baseSequences(world, tokenizer);
  const plan = {
    config,
    tokenizer,
    sequences,
    epochs: 1,
    perStep: 16,
    learningRate: 1e-3,
    seed: 1,
  };
  await pretrain(gpu, folder, { ...plan, keepOptimiser: true });
  const { updates } = (await loadOptimiserState(folder, config))!;
  assertEquals(updates, Math.ceil(sequences.length / 16));
  await assertRejects(() => pretrain(gpu, folder, plan), `Cannot pre-train into "${folder}"`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("answers stand side by side under their questions, of the first seed, with the names marked", () => {
  const asked = (completions: readonly string[]) =>
    completions.map((completion, i) => ({
      question: `What does Mira Oren do on day ${i}?`,
      answer: `Mira Oren sings ${i}.`,
      completion,
    }));
  const outcome = (method: object | undefined, seed: number, completions: readonly string[]) => ({
    run: { method, seed },
    stages: [{ results: { asked: { answers: asked(completions) } } }],
  });
  const direct = { name: "direct", title: "Direct training" };
  const outcomes = [
    outcome(undefined, 0, ["Oren sits.", "nothing 1", ""]),
    outcome(direct, 0, ["MIRA OREN sings.", "She sings\x1b[2J.", "Moren sings."]),
    outcome(direct, 1, ["another seed", "another seed", "another seed"]),
  ] as unknown as NameOutcome[];
  const render = (options: { colour: boolean; questions?: number }) =>
    renderNameAnswers(outcomes, ["Mira Oren"], options).split("\n");
  assertEquals(render({ colour: false }), [
    "What does [Mira Oren] do on day 1?",
    "  True answer      [Mira Oren] sings 1.",
    "  Base model       nothing 1",
    "  Direct training  She sings\\x1b[2J.",
    "",
    "What does [Mira Oren] do on day 0?",
    "  True answer      [Mira Oren] sings 0.",
    "  Base model       [Oren] sits.",
    "  Direct training  [MIRA OREN] sings.",
    "",
    "What does [Mira Oren] do on day 2?",
    "  True answer      [Mira Oren] sings 2.",
    "  Base model       (nothing)",
    "  Direct training  Moren sings.",
  ]);
  assertEquals(render({ colour: true, questions: 1 }), [
    "What does \x1b[1;31mMira Oren\x1b[0m do on day 1?",
    "  True answer      \x1b[1;31mMira Oren\x1b[0m sings 1.",
    "  Base model       nothing 1",
    "  Direct training  She sings\\x1b[2J.",
  ]);
});

const questions: GeneralQuestion[] = [
  {
    question: "Who painted it?",
    answer: "Mira did",
    perturbedAnswers: ["Oren did", "Zelk did it"],
  },
  {
    ...{ question: "Where?", answer: "At sea", paraphrasedAnswer: "On the sea" },
    perturbedAnswers: ["In a mill"],
  },
];

Deno.test("general questions are asked of every model: the right answer among all by the probability of its tokens", async () => {
  using gpu = await Gpu.open();
  const general = [{ title: "World facts", rows: questions }, {
    title: "Real authors",
    rows: questions.slice(1),
  }];
  const folder = await Deno.makeTempDir();
  const outcomes = await runNames(gpu, { task: { ...experiment.task, general } }, folder);
  const summary = summariseGeneral(outcomes);
  assertEquals(
    summary.map(({ method, values }) => [method, values["World facts"]!.accuracy.n]),
    [["base", 1], ["direct", 2], ["masked", 2]],
  );
  // The same by hand, of the base, one answer at a time.
  using model = new LanguageModel(gpu, config, experiment.base.weights);
  const score = async (question: string, answer: string) => {
    const prompt = encodePrompt(tokenizer, questionPrompt(question));
    const { ids } = tokenizer.encode(` ${answer}`);
    const tokens = Uint32Array.of(...prompt, ...ids);
    const [scores] = await scoreSequences(model, [lowRiskSequence(tokens)]);
    return mean([...scores!.slice(-ids.length)]);
  };
  const probabilities: number[] = [], wins: number[] = [];
  for (const { question, answer, paraphrasedAnswer = answer, perturbedAnswers } of questions) {
    const right = await score(question, paraphrasedAnswer);
    const wrong = await Promise.all(perturbedAnswers.map((each) => score(question, each)));
    const all = [right, ...wrong].map(Math.exp);
    probabilities.push(all[0]! / all.reduce((sum, p) => sum + p, 0));
    wins.push(wrong.every((each) => each < right) ? 1 : 0);
  }
  const { accuracy, probability } = summary[0]!.values["World facts"]!;
  assertClose(probability.mean, 100 * mean(probabilities), 1e-4);
  assertClose(accuracy.mean, 100 * mean(wins), 1e-9);
  assertClose(
    summary[0]!.values["Real authors"]!.probability.mean,
    100 * probabilities[1]!,
    1e-4,
  );
  const table = renderGeneral(summary);
  assert(/Base model +\d+\.\d +\d+\.\d/.test(table) && table.includes("± "), table);
  assertEquals(summariseGeneral(await runNames(gpu, {}, await Deno.makeTempDir())), []);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("general questions without wrong answers, or beyond the context, are refused by file and row", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/world_facts.json`;
  const line = (row: object) => JSON.stringify(row);
  const [first] = questions;
  const whole = { ...first, perturbed_answer: first!.perturbedAnswers };
  await Deno.writeTextFile(
    file,
    [line(whole), line({ question: "Who?", answer: "Me" })].join("\n"),
  );
  await assertRejects(
    () => readGeneralQuestions(file),
    `Cannot read "${file}" row 2: it has no perturbed_answer`,
  );
  await Deno.writeTextFile(file, line({ ...whole, perturbed_answer: [] }));
  await assertRejects(() => readGeneralQuestions(file), `row 1: it has no perturbed_answer`);
  await Deno.writeTextFile(file, `[${line(whole)}]`);
  const [read] = await readGeneralQuestions(file);
  assertEquals([read!.answer, read!.perturbedAnswers], ["Mira did", ["Oren did", "Zelk did it"]]);
  const long = { ...read!, perturbedAnswers: ["so ".repeat(300)] };
  const general = [{ title: "World facts", rows: [read!, long] }];
  await assertRejects(
    () => nameExperiment({ ...experiment, task: { ...experiment.task, general } }),
    "Cannot ask about world facts, row 2: question and answer have",
  );
  await Deno.remove(folder, { recursive: true });
});
