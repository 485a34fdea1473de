// The third lesson: facts about people without their names, the paper's second experiment at a small size.

// %% [markdown]
// # 3. Knowing without naming
//
// A model can learn *facts* about a person without learning to *say* the person's name. This lesson trains one small model
// three ways on sentences about people who do not exist, and asks each what it knows and whom it names (section 5 of the
// paper).
//
// **You will be able to**
// - turn texts and a list of names into tokens with risk classes, and check that no name slips through;
// - run an experiment that compares methods from one base model, stop it and go on;
// - read Table 4 of the paper: two kinds of understanding, and more than one way to count a name.
//
// **You need** lesson 1: what a term is, and what masking leaves of a token's gradient. A token, a fine-tuned model and
// greedy decoding should be familiar words.
//
// `quick` has ten people and takes some minutes on a software adapter; `full` has the twenty people of `deno task demo`,
// which also trains controls, and three seeds.

// %%
import { Gpu, huggingFaceOptimiser, Risk } from "@slung/slung";
import { answerMethods, answerSpans, authorName, readTofu } from "@slung/slung/data";
import * as experiments from "@slung/slung/experiments";
import { lesson3 } from "@slung/slung/exercises";
import {
  check,
  environment,
  liveExperiment,
  notebookSize,
  projectPath,
} from "@slung/slung/notebook";
import { show, showObjectives, showTable, showTokens, showTradeOff } from "@slung/slung/notebook";
import { readPretrained } from "@slung/slung/model";

const gpu = await Gpu.open();
environment(gpu);

// %% [markdown]
// ## Knobs
//
// Turn one, and run the notebook again: only what depends on it is trained anew. Each knob has a question to it.

// %%
const size = notebookSize(); // "quick" or "full"
const knobs = {
  people: size === "full" ? 20 : 10, // more people: is a name still only a name?
  epochs: size === "full" ? 10 : 5, // longer: do the facts go on improving when the names are gone?
  replay: 200, // questions about other people that are repeated; 0: what is forgotten?
  learningRate: 2e-3, // a tenth: which method suffers most?
  seeds: [0], // [0, 1, 2]: which differences are more than chance?
};
showTable([{ size, ...knobs, seeds: knobs.seeds.join(", ") }]);

// %% [markdown]
// ## The data: questions about people, answers that name them
//
// TOFU holds 20 questions and answers about each of 200 fictitious authors. Models are trained on the *answers* alone and
// asked the *questions* afterwards. The authors here are invented by a program, so that nothing needs to be downloaded; with
// the variable `SLUNG_TOFU` set to TOFU's `full.jsonl`, the next two tables show its own (training on it is what
// `deno task tofu` does).

// %%
const { tokenizer, source: base } = await readPretrained(
  projectPath("models/invented-base"),
);
const { shippedWorld, inventedTask } = experiments;
const task = inventedTask({ ...shippedWorld, targetAuthors: knobs.people }, knobs.replay);
const tofuFile = Deno.env.get("SLUNG_TOFU");
const tofuRows = tofuFile ? (await readTofu(tofuFile)).slice(0, 20) : [];
const examples = tofuFile ? { rows: tofuRows, names: [authorName(tofuRows)!] } : task;
showTable(examples.rows.slice(0, 4).map(({ question, answer }) => ({ question, answer })));

// %% [markdown]
// Table 3 of the paper prints what must not be generated in red. Names are found as characters; a token takes the highest
// class among the characters that it touches. This is what training sees of two answers, the red tokens underlined:

// %%
const piecesOf = (tokens: Iterable<number>) =>
  Array.from(tokens, (token) => tokenizer.decode([token]));
const answers = experiments.answerSequences(tokenizer, examples, true);
for (const { tokens, classes } of answers.slice(0, 2)) {
  await show(showTokens(piecesOf(tokens), { classes, legend: "Table 3" }));
}

// %% [markdown]
// A mask that misses a name teaches the name. So the check is made on every answer, in the other direction: whatever is
// *not* high risk must not spell a name.

// %%
const leaks = answers.filter(({ tokens, classes }) => {
  const rest = tokenizer.decode([...tokens].filter((_, i) => classes[i] !== Risk.high));
  return answerSpans(rest, examples.names).length > 0;
});
check("no name is left outside the high-risk tokens", leaks.length === 0);

// %% [markdown]
// ## Three ways to learn the same sentences
//
// $$L = \frac{1}{Z} \sum_i w_i \, \ell_{c(i)}(i), \qquad
//   \ell_{\text{low}} = -\log p_i, \qquad
//   \ell_{\text{high}} = \begin{cases} -\log p_i & \text{direct} \\ \text{nothing} & \text{masked} \\ -\log(1 - p_i) & \text{unlikelihood} \end{cases}$$
//
// Nothing else differs: same base, same order of the sentences, same optimiser.

// %%
const methods = answerMethods.slice(0, 3);
showObjectives(piecesOf(answers[0]!.tokens), answers[0]!.classes, methods);

// %% [markdown]
// ## Predict first
//
// The base model has never heard of these people, but every question holds a name. Write down, before you run the next cell:
//
// 1. How often will the *base* name somebody: never, sometimes, nearly always?
// 2. Which of the three trained models names least, and which knows most?
// 3. Masking says nothing about names. Will the masked model still say them?
//
// The next cell trains. It can be interrupted (the square button): it then ends with an error, keeps what is done, and goes
// on when you run it again.

// %%
const { nameExperiment, nameResult, summariseNames } = experiments;
const outcomes = await liveExperiment(
  gpu,
  await nameExperiment({
    ...{ base, tokenizer, task, methods, seeds: knobs.seeds, maxNewTokens: 32 },
    training: {
      epochs: knobs.epochs,
      answerPasses: 2,
      perStep: 32,
      learningRate: knobs.learningRate,
      optimiser: huggingFaceOptimiser,
      endOfText: true,
    },
  }),
  { keep: "names" },
);
const summary = summariseNames(outcomes);
check(`${outcomes.length} models were measured, the base among them`, outcomes.length > 3);

// %% [markdown]
// In the live curves the red tokens tell the story: under direct training their loss falls, under unlikelihood it *is* the
// penalty and falls because names become rare, and under masking they have no curve at all, since nothing is asked of them.
//
// ## What each model says
//
// The first questions whose text holds a name, each with its true answer (Table 5 of the paper shows the same for OLMo 1B).
// The rule is "the first four", so that nobody chose them.

// %%
const firstSeed = outcomes.filter(({ run }) => run.seed === knobs.seeds[0] || !run.method);
const said = firstSeed.map((outcome) => ({
  title: outcome.run.method?.title ?? experiments.baseTitle,
  result: nameResult(outcome),
}));
const withName = said[0]!.result.answers.flatMap(({ question }, i) =>
  answerSpans(question, task.names).length > 0 ? [i] : []
);
showTable(
  withName.slice(0, 4).map((i) => ({
    question: said[0]!.result.answers[i]!.question,
    "true answer": said[0]!.result.answers[i]!.answer,
    ...Object.fromEntries(said.map(({ title, result }) => [title, result.answers[i]!.completion])),
  })),
);

// %% [markdown]
// ## Table 4: names and facts
//
// *Names said* is the paper's count: the share of answers that contain a first or last name of any of these people, also
// inside another word. *As whole words* leaves those words out. *Facts* are graded by shared content words, not by GPT-4o as
// in the paper; who knows nothing still guesses some, as the base does. *True preferred* is TOFU's likelihood measure: is
// the right answer likelier than each of five wrong ones? In the last column it is judged without the name's tokens, so that
// only the fact counts; that is the height in the figure.

// %%
const paper: Record<string, { names: number; partial: number }> = {
  base: { names: 57.5, partial: 15.5 },
  direct: { names: 34.3, partial: 51.4 },
  masked: { names: 4.1, partial: 44.0 },
  unlikelihood: { names: 1.5, partial: 43.6 },
};
showTable(
  summary.map(({ method, title, values }) => ({
    method: title,
    "names said %": values.names!.mean,
    "as whole words %": values.namesWholeWord!.mean,
    "paper: names %": paper[method]!.names,
    "some facts %": values.partial!.mean,
    "paper: partially correct %": paper[method]!.partial,
    "all facts %": values.full!.mean,
    "true preferred %": values.truthAccuracy?.mean ?? null,
    "without name tokens %": values.truthAccuracyWithoutNames?.mean ?? null,
  })),
  { precision: 1 },
);

// %%
await showTradeOff(experiments.namePoints(summary), experiments.nameAxesOf(summary), {
  title: "What is known against what is named",
  order: experiments.methodOrder,
});

// %% [markdown]
// ## Does it hold?
//
// The claims of the section, as assertions: this notebook fails if they do not hold here. (With a knob turned they may not;
// then you have found where they end.)

// %%
const of = (method: string) => {
  const { names, partial, truthAccuracyWithoutNames: preferred } =
    summary.find((row) => row.method === method)!.values;
  return { names: names!.mean, partial: partial!.mean, preferred: preferred!.mean };
};
await show(
  ...["masked", "unlikelihood"].map((method) =>
    check(
      `${method} names at most a third as often as direct training`,
      of(method).names <= of("direct").names / 3,
    )
  ),
  ...methods.map(({ name, title }) =>
    check(`${title} knows more than the base`, of(name).partial > of("base").partial)
  ),
);

// %% [markdown]
// And where ours differs from the paper, said by the numbers themselves:

// %%
const order = (rows: [string, number][]) =>
  rows.toSorted(([, a], [, b]) => b - a).map(([name]) => name).join(" > ");
const trained = methods.map(({ name }) => name);
const orderBy = (value: (name: string) => number) =>
  order(trained.map((name) => [name, value(name)]));
showTable([
  { who: "paper, OLMo 1B: facts", "who knows most": orderBy((name) => paper[name]!.partial) },
  { who: "this run: facts", "who knows most": orderBy((name) => of(name).partial) },
  { who: "this run: true preferred", "who knows most": orderBy((name) => of(name).preferred) },
]);

// %% [markdown]
// In the paper direct training knows most, and the two SLUNG variants pay for their silence with some knowledge. Where this
// run has another order, or its two measures disagree, mind its size: with so few questions, two shares must differ by
// several points to mean anything (exercise 3.3), a small model may spend on names what it could spend on facts, and our
// grader is another.
//
// ## Where the names went
//
// Masked training never says *do not name*. It only stops rewarding it: "Answer:" is followed by other beginnings, which are
// learned, and the name's share sinks. The beginnings of the answers show it; *named* are those with a name as a whole word.

// %%
const beginnings = ({ answers }: typeof said[number]["result"]) => {
  const counts = Map.groupBy(
    answers,
    ({ completion, named }) => named ? "(named)" : completion.split(/\s/)[0] || "(nothing)",
  );
  return [...counts].toSorted(([, a], [, b]) => b.length - a.length).slice(0, 4)
    .map(([word, { length }]) => `${word} ${Math.round(100 * length / answers.length)} %`).join(
      ", ",
    );
};
showTable(
  said.map(({ title, result }) => ({ method: title, "how answers begin": beginnings(result) })),
);

// %% [markdown]
// ## What was learned
//
// - The base copies names and guesses facts; direct training knows and names; SLUNG knows and hardly names.
// - Removing the *reward* for a name is enough to lose the habit of naming. In the paper unlikelihood goes further still.
// - What made it work at this size: a base that copies names rather than remembers them, and replayed questions whose
//   names are risky too. Replayed as low risk, they keep the habit alive.
//
// ## Exercises
//
// **3.1** Write a rule that finds what gives a person away: the full name, the first or the last name alone, in any case, but
// not inside other words.

// %%
type NameRule = (text: string, name: string) => { start: number; end: number }[];
const myRule: NameRule | undefined = undefined; // your function
await lesson3.nameSpans(myRule);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(
//   await lesson3.nameSpans((text, name) => {
//     const parts = [name, ...name.split(" ")].join("|"); // the longest first
//     return Array.from(
//       text.matchAll(new RegExp(`\\b(?:${parts})\\b`, "gi")),
//       ({ index, 0: found }) => ({ start: index, end: index + found.length }),
//     );
//   }),
// );
// ```
//
// The project's rule, `answerSpans`, also knows accents, apostrophes and double-barrelled names.
//
// </details>
//
// **3.2** The table counts names in two ways. Write both: does a completion hold any part of the name, as a substring and as
// a whole word?

// %%
type NameCount = (completion: string, name: string) => { substring: boolean; wholeWord: boolean };
const myCount: NameCount | undefined = undefined; // your function
await lesson3.namesSomebody(myCount);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(
//   await lesson3.namesSomebody((completion, name) => {
//     const parts = name.toLowerCase().split(" ");
//     return {
//       substring: parts.some((part) => completion.toLowerCase().includes(part)),
//       wholeWord: parts.some((part) => new RegExp(`\\b${part}\\b`, "i").test(completion)),
//     };
//   }),
// );
// ```
//
// </details>
//
// **3.3** Two methods answer the same number of questions. By how much must their shares differ to be more than chance? Write
// it as a function of the share and the number of questions, and hold it against the table.

// %%
const myChange: ((share: number, questions: number) => number) | undefined = undefined; // your function
await lesson3.noticeableChange(myChange);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// const change = (share: number, questions: number) => 1.96 * Math.sqrt(2 * share * (1 - share) / questions);
// await show(await lesson3.noticeableChange(change));
// await show(showTable([{
//   "direct and masked differ by (points)": Math.abs(of("direct").partial - of("masked").partial),
//   "chance reaches (points)": 100 * change(of("direct").partial / 100, task.rows.length),
// }], { precision: 1 }));
// ```
//
// </details>
//
// **To try** (no check, minutes of training each):
// - Set `replay` to 0. Which suffers, the generated answers or *true preferred*? (The facts are in the weights; what a
//   question is gets forgotten, and with it the way to them.)
// - Pass `{ ...task, replayNames: [] }` to the experiment: names in the replayed questions count as low risk. What does
//   masked SLUNG do now?
// - Add `answerMethods[3]`, the clamped unlikelihood of the authors' code. Where can it differ (lesson 2, rung 1)?
//
// ## What to read
//
// - The paper, section 5 and appendix B (samples).
// - Maini et al. 2024, *TOFU: a task of fictitious unlearning for LLMs*: the data, and the truth ratio.
// - Welleck et al. 2019, *Neural text generation with unlikelihood training*: where the third loss comes from.
// - Next: lesson 4 asks the same of abuse, and lesson 6 whether the names are really gone.
