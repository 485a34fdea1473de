// %% [markdown]
// # 3. Knowing without naming: the TOFU experiment
//
// **Purpose.** Train one small model three ways on sentences about people who do not exist, and see that a model can
// learn facts about a person without learning to say the person's name (section 5 of the paper).
//
// `quick` takes a few minutes on a software adapter and well under one on a GPU; `full` repeats the run of
// `deno task demo`. With the variable `SLUNG_TOFU` set to TOFU's `full.jsonl` the sentences shown in the first part come
// from the real data; training on it takes half an hour and is what `deno task tofu` does.

// %%
import {
  answerSequences,
  askAboutNames,
  inventedTask,
  type NameTaskResult,
  shippedWorld,
} from "../src/experiments/mod.ts";
import { answerSpans, questionPrompt, readTofu } from "../src/data/mod.ts";
import {
  Gpu,
  huggingFaceOptimiser,
  LanguageModel,
  type NameRun,
  objective,
  Risk,
  summariseNameRuns,
  trainOnNames,
} from "../mod.ts";
import { readPretrained } from "../src/model/mod.ts";
import { riskNames } from "../src/slung/mod.ts";
import { paretoPlot } from "../src/report/plot.ts";
import {
  check,
  environment,
  liveTraining,
  notebookSize,
  show,
  showPlot,
  showTable,
  showTokens,
} from "../src/notebook/mod.ts";

const gpu = await Gpu.open();
environment(gpu);

// %% [markdown]
// One cell decides how long everything takes.

// %%
const size = notebookSize(); // "quick" or "full"
const settings = {
  epochs: size === "full" ? 10 : 5,
  answerPasses: 2,
  perStep: 32,
  learningRate: 2e-3,
  optimiser: huggingFaceOptimiser,
  endOfText: true,
};
const questionsAsked = size === "full" ? 400 : 200;
const began = performance.now();
size;

// %% [markdown]
// ## The data: questions about people, answers that name them
//
// TOFU holds 20 questions and answers about each of 200 fictitious authors. Models are trained on the *answers* alone and
// asked the *questions* afterwards (Table 3 of the paper). What must not be generated are the names: every token of a
// full, first or last name is high risk.

// %%
const { tokenizer, source: base, description } = await readPretrained("../models/invented-base");
const task = inventedTask(shippedWorld, 200);
const tofuFile = Deno.env.get("SLUNG_TOFU");
const examples = tofuFile ? (await readTofu(tofuFile)).slice(0, 20) : task.rows.slice(0, 20);
showTable(examples.slice(0, 4).map(({ question, answer }) => ({ question, answer })));

// %% [markdown]
// ## From names to token classes
//
// Names are found as characters, tokens take the class of the characters they overlap. Everything else is low risk. This
// is what the training sees:

// %%
const [sequence] = answerSequences(
  tokenizer,
  { ...task, rows: task.rows.slice(0, 1) },
  settings.endOfText,
);
const pieces = [...sequence!.tokens].map((token) => tokenizer.decode([token]));
showTokens(pieces, { classes: [...sequence!.classes] });

// %% [markdown]
// A mask that misses a name teaches the name. So the check is made on every answer, in the other direction: whatever is
// *not* high risk must not spell a name.

// %%
const leaks = answerSequences(tokenizer, task, settings.endOfText).filter(({ tokens, classes }) => {
  const rest = tokenizer.decode([...tokens].filter((_, i) => classes[i] !== Risk.high));
  return answerSpans(rest, task.names).length > 0;
});
check(`no name is left outside the ${riskNames[Risk.high]}-risk tokens`, leaks.length === 0);

// %% [markdown]
// ## The base model
//
// A base model that has never heard of these people still names them: it copies the name out of the question. The
// paper's OLMo 1B does so in more than half of its answers.

// %%
description;

// %%
const asked = { ...task, rows: task.rows.slice(0, questionsAsked) };
const ask = (model: LanguageModel): Promise<NameTaskResult> =>
  askAboutNames(model, tokenizer, asked, { maxNewTokens: 32 });
const runs: NameRun[] = [];

{
  using model = new LanguageModel(gpu, base.config, base.weights);
  runs.push({ method: "base", seed: null, result: await ask(model) });
}
showTable(
  runs[0]!.result.answers.slice(0, 3).map(({ question, completion, answer }) => ({
    prompt: questionPrompt(question),
    "base model": completion,
    truth: answer,
  })),
);

// %% [markdown]
// ## Three ways to learn the same sentences
//
// $$L = \frac{1}{Z} \sum_i w_i \, \ell_{c(i)}(i), \qquad
//   \ell_{\text{low}} = -\log p_i, \qquad
//   \ell_{\text{high}} = \begin{cases} -\log p_i & \text{direct} \\ \text{nothing} & \text{masked} \\ -\log(1 - p_i) & \text{unlikelihood} \end{cases}$$
//
// Each objective is a term for each class of token:

// %%
const methods = ["direct", "masked", "unlikelihood"] as const;
showTable(methods.map((name) => {
  const { terms } = objective(name);
  return {
    objective: name,
    "low risk": terms[Risk.low]?.name ?? "–",
    "high risk": terms[Risk.high]?.name ?? "–",
  };
}));

// %% [markdown]
// Nothing else differs: same base, same order of the sentences, same optimiser. Beside the answers some of the base's own
// questions are replayed, because a small model forgets how to answer otherwise; the names in them are just as risky.

// %%
for (const method of methods) {
  using model = new LanguageModel(gpu, base.config, base.weights, { gradients: true });
  await liveTraining(
    { title: `Training: ${method}` },
    (hooks) => trainOnNames(model, tokenizer, task, method, settings, { seed: 0, ...hooks }),
  );
  runs.push({ method, seed: 0, result: await ask(model) });
}

// %% [markdown]
// ## What each model says
//
// The same question, four models (Table 5 of the paper shows the same for OLMo 1B).

// %%
const at = task.rows.slice(0, questionsAsked).findIndex(({ question }) =>
  answerSpans(question, task.names).length > 0
);
showTable([at, at + 7, at + 23].map((row) => ({
  question: runs[0]!.result.answers[row]!.question,
  ...Object.fromEntries(
    runs.map(({ method, result }) => [method, result.answers[row]!.completion]),
  ),
})));

// %% [markdown]
// ## Table 4: names and facts
//
// *Name generation* is the share of answers that contain a first or last name of any of these people, as the paper counts
// them: also inside another word. *Some facts* and *all facts* are graded by shared content words, not by GPT-4o as in the paper, and *true preferred* is TOFU's likelihood measure: the
// right answer against five wrong ones. The paper's own values (OLMo 1B, another grader) stand beside ours: compare the
// order, not the numbers.

// %%
const paper = {
  base: { names: 57.5, partial: 15.5 },
  direct: { names: 34.3, partial: 51.4 },
  masked: { names: 4.1, partial: 44.0 },
  unlikelihood: { names: 1.5, partial: 43.6 },
} as const;
const summary = summariseNameRuns(runs);
showTable(
  summary.map(({ method, names, partial, full, truthAccuracy }) => ({
    method,
    "names said %": names,
    "paper %": paper[method as keyof typeof paper].names,
    "some facts %": partial,
    "paper, partially correct %": paper[method as keyof typeof paper].partial,
    "all facts %": full,
    "true preferred %": truthAccuracy,
  })),
  { precision: 1 },
);

// %%
await showPlot(
  paretoPlot(
    summary.map(({ method, names, partial }) => ({
      method,
      nameGeneration: names,
      knowledge: partial,
    })),
    "What is known against what is named",
  ),
);

// %% [markdown]
// ## Does it hold?
//
// The claims of the section, as assertions: this notebook fails if they do not hold here.

// %%
const of = (method: NameRun["method"]) => summary.find((row) => row.method === method)!;
await show(
  check(
    "masked SLUNG names at most a third as often as direct training",
    of("masked").names <= of("direct").names / 3,
  ),
  check(
    "unlikelihood SLUNG names at most a third as often as direct training",
    of("unlikelihood").names <= of("direct").names / 3,
  ),
  ...methods.map((method) =>
    check(`${method} knows more than the base`, of(method).partial > of("base").partial)
  ),
);

// %% [markdown]
// ## Where the names went
//
// Masked training never says *do not name*. It only stops rewarding it: the probability of a name after "Answer:" sinks
// because other ways to begin are learned. The first words of the answers that name nobody show it.

// %%
const firstWords = (result: NameTaskResult) => {
  const counts = new Map<string, number>();
  for (const { completion, named } of result.answers) {
    const word = named ? "(somebody named)" : completion.split(/\s/)[0] || "(nothing)";
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, 4)
    .map(([word, count]) => `${word} ${count}`).join(", ");
};
showTable(runs.map(({ method, result }) => ({ method, "how answers begin": firstWords(result) })));

// %%
`${Math.round((performance.now() - began) / 1000)} seconds on ${gpu.adapter.name}`;

// %% [markdown]
// ## Summary
//
// - The base copies names and knows nothing; direct training knows and names; SLUNG knows and does not name.
// - Masking alone is enough to lose the habit of naming. In the paper unlikelihood goes further; here little is left.
// - What made it work at this size: a base that copies names rather than remembers them, and replayed questions whose
//   names are risky too. Replayed as low risk, they keep the habit alive.
//
// ## Exercises
//
// 1. Set the replay to 0 (`inventedTask(shippedWorld, 0)`). Which of the two kinds of knowledge suffers, the generated
//    answers or *true preferred*? Why?
// 2. Replay the questions with `replayNames: []`, so that their names count as low risk. What does masked SLUNG do now?
// 3. Train with `unlikelihood_clamped`, the form in the authors' code. Where can it differ, and does it here?
//
// <details><summary>Solutions</summary>
//
// 1. The generated answers: the model forgets what a question is, since the answers alone do not show it. The likelihood of
//    the true answer hardly changes: the facts are in the weights, only the way to them is lost.
// 2. It names people again, in most of its answers. Whatever cross-entropy on names is left, wherever it is, teaches to
//    name.
// 3. Its gradient vanishes once p rounds to 1, so a name the base is sure of is never unlearned. Whether any name here is
//    that certain shows in the high-risk loss of the live display: it would stay high and flat.
//
// </details>
