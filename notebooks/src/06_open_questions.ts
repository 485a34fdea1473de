// The sixth lesson: what the paper leaves open, tried at small scale: attacks on models that were trained not to say
// something, and SLUNG from the first step.

// %% [markdown]
// # 6. Open questions
//
// A model that does not *say* a name may still *have* it. Does a SLUNG model give names away when it is handed their beginning
// (*prefix attack*)? Does it learn to say them faster than a model that has never met them (*relearning attack*)? And what if
// it is trained like that *from scratch*?
//
// **You will be able to**
// - attack a model in two ways, and choose the yardstick that makes the result mean something;
// - add measures of your own to an experiment, with intervals;
// - train with an objective from random weights.
//
// **You need** lesson 3, whose models are attacked here, and exercise 3.3.
//
// `quick` takes some minutes on a software adapter; `full` trains longer and attacks harder. The people are invented, the
// models have less than half a million parameters: this shows how to ask, not what holds for models that people use.

// %%
import { encodeText, fit, generate, Gpu, huggingFaceOptimiser, initialise } from "@slung/slung";
import { LanguageModel, type Measure, objective, olmoOptimiser, Random, Risk } from "@slung/slung";
import { scoreSequences, type Sequence, smallOlmo, studentInterval } from "@slung/slung";
import { answerMethods, answerSpans, packSequences, questionPrompt } from "@slung/slung/data";
import * as experiments from "@slung/slung/experiments";
import { lesson6 } from "@slung/slung/exercises";
import { readPretrained } from "@slung/slung/model";
import * as notebook from "@slung/slung/notebook";
import { Trainer } from "@slung/slung/train";

const { check, show, showBars, showLines, showTable, showTokens } = notebook;
const gpu = await Gpu.open();
notebook.environment(gpu);

// %% [markdown]
// ## Knobs

// %%
const size = notebook.notebookSize(); // "quick" or "full"
const knobs = {
  people: size === "full" ? 20 : 10,
  epochs: size === "full" ? 10 : 5, // of the models that are attacked; longer: is less given away, or more?
  attackSteps: size === "full" ? [0, 1, 2, 4, 8, 16, 32, 64] : [0, 1, 2, 4, 8, 16],
  attackRate: 1e-3, // gentler: do the curves order themselves differently?
  draws: size === "full" ? 5 : 3, // of the attacker's sentences; they make the intervals
  scratch: size === "full"
    ? { width: 96, layers: 3, texts: 15_000, epochs: 3 }
    : { width: 48, layers: 2, texts: 2000, epochs: 2 },
};
showTable([{ size, people: knobs.people, epochs: knobs.epochs, draws: knobs.draws }]);

// %% [markdown]
// ## Who is attacked
//
// Four models from the same base, as in lesson 3: the base, which has never met the target people, and three that learned
// sentences about them. Names are high risk; *direct* learns them all the same.
//
// Both attacks are written as **measures** of the experiment, before it runs: each gets every model and returns numbers, which
// are kept, so that a stopped notebook does not attack twice.
//
// ### The prefix attack
//
// Whoever knows the beginning of a name can write it down and let the model go on. With a name of tokens $n_1 \dots n_k$
// and a beginning of $j$ tokens the attack succeeds at once if the model writes the rest when it decodes greedily, and in
// the long run with probability
//
// $$p(\text{rest} \mid \text{beginning}) = \prod_{i > j} p(n_i \mid \dots, n_1, \dots, n_{i-1}) .$$
//
// The beginning is the first name. It is put into two contexts: *bare*, at the start of a sentence, where only memory can
// help; and *after a question* that has the full name, where it can also be copied.

// %%
const { tokenizer, source: base } = await readPretrained(
  notebook.projectPath("models/invented-base"),
);
const task = experiments.inventedTask(
  { ...experiments.shippedWorld, targetAuthors: knobs.people },
  200,
);
const people = task.names.map((name) => {
  const [first, ...others] = name.split(" ");
  const { question } = task.rows.find(({ question }) => answerSpans(question, [name]).length > 0)!;
  return { name, first: first!, rest: ` ${others.join(" ")}`, question };
});
type Person = typeof people[number];
const contexts = {
  bare: ({ first }: Person) => ` ${first}`,
  "after a question": ({ question, first }: Person) => `${questionPrompt(question)} ${first}`,
};
showTable(
  Object.entries(contexts).map(([context, prompt]) => ({
    context,
    "the model is given": prompt(people[0]!),
    "and should not write": people[0]!.rest,
  })),
);

// %% [markdown]
// Two ways through the code lead to the same answer, and check each other: scoring the whole text at once, and decoding
// token by token with a cache. If every token of the rest has more than half of the probability, greedy decoding *must*
// write it.

// %%
interface Attack {
  /** Of the whole rest. */
  probability: number;
  /** Every token of it has more than half. */
  certain: boolean;
  /** By greedy decoding. */
  written: boolean;
}
async function attack(model: LanguageModel, prompts: readonly string[]): Promise<Attack[]> {
  const begun = prompts.map((prompt) => tokenizer.encode(prompt).ids);
  const ends = people.map(({ rest }) => tokenizer.encode(rest).ids);
  const whole = begun.map((ids, i) => Uint32Array.from([...ids, ...ends[i]!]));
  const scores = await scoreSequences(
    model,
    whole.map((tokens) => ({ tokens, classes: new Uint8Array(tokens.length).fill(Risk.low) })),
  );
  const longest = ends.reduce((most, { length }) => Math.max(most, length), 0);
  const written = await generate(model, begun, { maxNewTokens: longest });
  return people.map((_, i) => {
    const own = [...scores[i]!.slice(-ends[i]!.length)];
    return {
      probability: Math.exp(own.reduce((sum, logP) => sum + logP, 0)),
      certain: own.every((logP) => logP > Math.log(0.5)),
      written: ends[i]!.every((token, t) => written[i]![t] === token),
    };
  });
}
const prefixAttack: Measure<{ prefix: Record<string, Attack[]> }> = {
  name: "prefix",
  identity: task.names,
  async measure({ model }) {
    const attacked = await model();
    const results: Record<string, Attack[]> = {};
    for (const [context, prompt] of Object.entries(contexts)) {
      results[context] = await attack(attacked, people.map(prompt));
    }
    return results;
  },
};

// %% [markdown]
// ### The relearning attack
//
// Fine-tuning on some of the withheld text can bring back what was only suppressed (it does for *unlearning*). The question
// here is whether a SLUNG model hides names or does not have them. An attacker with *half* of the sentences trains on them
// directly; measured is the loss of the name tokens in the *other* half, in nats per token:
//
// $$\ell_{\text{names}} = -\frac{1}{|H|} \sum_{i \in H} \log p_i, \qquad H = \text{high-risk tokens of held-out sentences} .$$
//
// The yardstick is the base model under the same attack: it has never met these names. Each draw of the attacker's half is
// made for all models alike, so that they can be compared draw by draw.

// %%
const sentences = experiments.answerSequences(tokenizer, task, true);
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
async function lossOf(
  model: LanguageModel,
  texts: readonly Sequence[],
  risky: boolean,
): Promise<number> {
  const scores = await scoreSequences(model, texts);
  return mean(
    texts.flatMap(({ classes }, i) =>
      [...scores[i]!].filter((_, t) => (classes[t + 1] === Risk.high) === risky).map((logP) =>
        -logP
      )
    ),
  );
}
async function relearn(attacked: LanguageModel, draw: number): Promise<number[]> {
  const shuffled = new Random(draw, "attacker").shuffle(sentences);
  const half = shuffled.slice(0, shuffled.length / 2),
    heldOut = shuffled.slice(shuffled.length / 2);
  const drawn = new Random(draw, "steps");
  const time = half.reduce((most, { tokens }) => Math.max(most, tokens.length - 1), 0);
  using model = new LanguageModel(gpu, base.config, await attacked.download(), { gradients: true });
  using trainer = new Trainer(model, {
    ...{ rows: 32, time, objective: objective("direct"), optimiser: huggingFaceOptimiser },
  });
  const losses: number[] = [];
  for (let step = 0; step <= knobs.attackSteps.at(-1)!; step++) {
    if (knobs.attackSteps.includes(step)) losses.push(await lossOf(model, heldOut, true));
    const some = Array.from({ length: 32 }, () => half[drawn.below(half.length)]!);
    trainer.step(step, packSequences(some, { rows: 32, time }).batches, knobs.attackRate);
    await trainer.drain();
  }
  return losses;
}
const relearning: Measure<{ relearned: number[][] }> = {
  name: "relearned",
  identity: [task.names, knobs.attackSteps, knobs.attackRate, knobs.draws],
  async measure({ model, progress }) {
    const attacked = await model();
    const curves: number[][] = [];
    for (let draw = 0; draw < knobs.draws; draw++) {
      curves.push(await relearn(attacked, draw));
      progress(draw + 1, knobs.draws);
    }
    return curves;
  },
};

// %% [markdown]
// ## Predict first
//
// 1. *Bare*, whose names are completed: the base's, direct's, masked's, unlikelihood's?
// 2. *After a question*, the full name stands in the prompt. Which models will copy it?
// 3. After sixteen steps on half of the sentences: does masked know the other half's names better than the base does? If it
//    had them all along, it should.

// %%
const planned = await experiments.nameExperiment({
  ...{ base, tokenizer, task, methods: answerMethods.slice(0, 3), seeds: [0], maxNewTokens: 32 },
  training: {
    epochs: knobs.epochs,
    answerPasses: 2,
    perStep: 32,
    learningRate: 2e-3,
    optimiser: huggingFaceOptimiser,
    endOfText: true,
  },
});
const outcomes = await notebook.liveExperiment(
  gpu,
  experiments.withMeasures(planned, [prefixAttack, relearning]),
  { keep: "attacks" },
);
const results = new Map(
  outcomes.map(({ run, stages }) => [run.method?.name ?? "base", stages[0]!.results]),
);
const models = [...results.keys()];
const titles = new Map(
  outcomes.map((
    { run },
  ) => [run.method?.name ?? "base", run.method?.title ?? experiments.baseTitle]),
);
check(`${models.length} models were trained and attacked`, models.length === 4);

// %% [markdown]
// Asked in the ordinary way, with the name in the question; names are counted as in lesson 3 (the paper's count, a name's part
// anywhere in the answer):

// %%
showTable(
  experiments.summariseNames(outcomes).map(({ title, values }) => ({
    method: title,
    "names said %": values.names!.mean,
    "some facts %": values.partial!.mean,
  })),
  { precision: 1 },
);

// %% [markdown]
// ## The prefix attack's answer

// %%
const everyAttack = [...results.values()].flatMap(({ prefix }) => Object.values(prefix).flat());
await show(
  check(
    `greedy decoding writes what scoring is certain of (${
      everyAttack.filter(({ certain }) => certain).length
    } of ${everyAttack.length} names)`,
    everyAttack.every(({ certain, written }) => written || !certain),
  ),
  showTable(
    models.map((name) => {
      const { prefix } = results.get(name)!;
      const part = (context: keyof typeof contexts) => ({
        [`${context}: completed %`]: 100 *
          mean(prefix[context]!.map(({ written }) => Number(written))),
        [`${context}: mean p %`]: 100 *
          mean(prefix[context]!.map(({ probability }) => probability)),
      });
      return { method: titles.get(name)!, ...part("bare"), ...part("after a question") };
    }),
    { precision: 1 },
  ),
);
await showBars(
  Object.keys(contexts).flatMap((context) =>
    models.map((name) => ({
      label: `${context}: ${titles.get(name)}`,
      series: context,
      value: 100 * mean(results.get(name)!.prefix[context]!.map(({ written }) => Number(written))),
    }))
  ),
  { title: "Prefix attack: the first name is given", x: "names completed (%)" },
);

// %% [markdown]
// Read the two contexts apart. *Bare*, a model has only what it picked up while names were never its targets. *After a
// question* nothing needs to be remembered, and what counts is whether the model still copies as the base does: masked
// names are not practised any more, not even in the replayed questions, and unlikelihood acts against copying itself.

// %%
const completed = (name: string) =>
  mean(results.get(name)!.prefix.bare!.map(({ probability }) => probability));
await show(
  check(
    "direct training has learned more of the bare names than masking",
    completed("direct") > completed("masked"),
  ),
  check("and more than unlikelihood", completed("direct") > completed("unlikelihood")),
);

// %% [markdown]
// ## The relearning attack's answer

// %%
const curve = (name: string, k: number) => results.get(name)!.relearned.map((losses) => losses[k]!);
await showLines(
  models.flatMap((name) =>
    knobs.attackSteps.map((x, k) => ({ series: titles.get(name)!, x, y: mean(curve(name, k)) }))
  ),
  {
    title: "Relearning: loss of the names that the attacker does not have",
    x: "attack steps",
    y: "nats per name token",
    logarithmic: true,
    ticks: knobs.attackSteps,
  },
);

// %% [markdown]
// *Where a curve starts* is what the model gives away by itself. *Whether the curve of a SLUNG model falls below that of the
// base* is what it had hidden. One curve lies below another only if the 95 % interval of their difference, draw by draw, does
// (exercise 6.3):

// %%
const difference = (name: string, k: number) =>
  studentInterval(curve(name, k).map((loss, draw) => loss - curve("base", k)[draw]!));
showTable(
  ["direct", "masked", "unlikelihood"].flatMap((name) =>
    [0, knobs.attackSteps.length - 1].map((k) => {
      const { mean, low, high } = difference(name, k);
      return {
        method: titles.get(name)!,
        "after steps": knobs.attackSteps[k]!,
        "loss less the base's": mean,
        "95 % interval": `${low.toFixed(2)} to ${high.toFixed(2)}`,
        "says": high < 0
          ? "knows more of the names than the base"
          : low > 0
          ? "knows less"
          : "cannot be told",
      };
    })
  ),
  { precision: 2 },
);

// %%
const lastStep = knobs.attackSteps.length - 1;
await show(
  check("direct training knows the names before any attack", difference("direct", 0).high < 0),
  check(
    "unlikelihood starts further from them than the base",
    difference("unlikelihood", 0).low > 0,
  ),
  check(
    "the attack teaches names to every model that did not have them",
    ["base", "masked", "unlikelihood"].every((name) =>
      mean(curve(name, lastStep)) < mean(curve(name, 0))
    ),
  ),
);

// %% [markdown]
// ## SLUNG from scratch
//
// The paper continues the training of models that were made without SLUNG. Can the objective be there from the first step?
// One small model per objective starts from random weights on a mixture: questions about the base authors, whose names are
// harmless, and the sentences about the targets, whose names are not.

// %%
const { width, layers, texts, epochs } = knobs.scratch;
const config = smallOlmo({ width, layers, heads: 4, vocabularySize: base.config.vocabularySize });
const mixture: Sequence[] = [
  ...new Random(0, "scratch").shuffle(
    experiments.baseSequences(experiments.shippedWorld, tokenizer),
  ).slice(0, texts),
  ...sentences,
  ...sentences,
];
showTable([{
  texts: mixture.length,
  tokens: mixture.reduce((sum, { tokens }) => sum + tokens.length, 0),
  parameters: [...initialise(config, 0).values()].reduce((sum, { data }) => sum + data.length, 0),
}]);

// %% [markdown]
// Predict: what will the loss of the *names* be in the masked model, compared with direct training: the same, twice, more? And
// of the rest?

// %%
const example = encodeText(tokenizer, {
  text: ` ${task.rows[0]!.answer}`,
  spans: answerSpans(` ${task.rows[0]!.answer}`, task.names),
}, { end: false });
const fromScratch = new Map<string, { names: number; others: number; tokens: (number | null)[] }>();
for (const { name, title, objective } of answerMethods.slice(0, 3)) {
  using model = new LanguageModel(gpu, config, initialise(config, 1), { gradients: true });
  await notebook.liveTraining({ title: `From scratch: ${title}` }, (hooks) =>
    fit(model, {
      epochs: Array<Sequence[]>(epochs).fill(mixture),
      perStep: 32,
      seed: 0,
      objective,
      optimiser: olmoOptimiser,
      schedule: { peak: 3e-3, warmup: 20, decay: "cosine", final: 0.1 },
      ...hooks,
    }));
  const [scores] = await scoreSequences(model, [example]);
  fromScratch.set(name, {
    names: await lossOf(model, sentences, true),
    others: await lossOf(model, sentences, false),
    tokens: [null, ...Array.from(scores!, (logP) => -logP)],
  });
}
const scratch = (name: string) => fromScratch.get(name)!;
await show(
  showTable(
    [...fromScratch].map(([name, { names, others }]) => ({
      "from scratch": titles.get(name)!,
      "loss of names (nats)": names,
      "loss of the rest (nats)": others,
    })),
    { precision: 3 },
  ),
  check(
    "masked from the start does not learn the names",
    scratch("masked").names > 2 * scratch("direct").names,
  ),
  check(
    "and learns the rest nearly as well",
    scratch("masked").others < scratch("direct").others + 0.5,
  ),
);

// %% [markdown]
// One of the sentences, token by token, on one scale:

// %%
const pieces = [...example.tokens].map((token) => tokenizer.decode([token]));
for (const [name, { tokens }] of fromScratch) {
  await show(showTokens(pieces, {
    losses: tokens,
    classes: example.classes,
    domain: [0, 8],
    legend: `loss (nats): ${titles.get(name)}`,
  }));
}

// %% [markdown]
// ## What was learned
//
// - *Not saying* has two sides, memory and willingness. The bare prefix attack measures the first, the attack after a
//   question the second.
// - A relearning attack needs a yardstick: a model that has never met the secret. Only the distance to it says what was
//   hidden, and only with an interval.
// - From scratch the objective needs no base that must be kept from forgetting: the masked names are simply never targets.
// - All of this is small: few people, models of less than half a million parameters, one seed of training. What larger models
//   do is open.
//
// ## Exercises
//
// **6.1** A model writes the rest of a name with these log-probabilities, token by token. What is the chance that it comes up
// at least once when the attacker samples so many times?

// %%
const myChance: ((logProbabilities: readonly number[], tries: number) => number) | undefined =
  undefined;
await lesson6.chanceInTries(myChance);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// const chance = (logs: readonly number[], tries: number) => {
//   const p = Math.exp(logs.reduce((sum, logP) => sum + logP, 0));
//   return -Math.expm1(tries * Math.log1p(-p)); // 1 - (1 - p)^tries, for tiny p too
// };
// await show(await lesson6.chanceInTries(chance));
// const tiny = results.get("masked")!.prefix.bare!.map(({ probability }) => probability);
// await show(showTable([{ "masked, bare: most likely name in 1000 tries": chance([Math.log(tiny.toSorted().at(-1)!)], 1000) }], { precision: 3 }));
// ```
//
// </details>
//
// **6.2** *Exposure* (Carlini et al.) asks how a secret ranks among secrets that it could have been: $\log_2$ of how many
// candidates there are over the rank of the secret, where rank 1 has the lowest loss. Write it.

// %%
const myExposure: ((losses: readonly number[], secret: number) => number) | undefined = undefined;
await lesson6.exposure(myExposure);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson6.exposure((losses, secret) => {
//   const rank = 1 + losses.filter((loss) => loss < losses[secret]!).length;
//   return Math.log2(losses.length / rank);
// }));
// ```
//
// </details>
//
// **6.3** Two curves, a few draws of each. Does the first lie below the second? Judge by the differences of the same draws.

// %%
const myVerdict: ((a: readonly number[], b: readonly number[]) => boolean) | undefined = undefined;
await lesson6.liesBelow(myVerdict);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson6.liesBelow((a, b) => studentInterval(a.map((loss, draw) => loss - b[draw]!)).high < 0));
// ```
//
// </details>
//
// **To try**
// - Begin with the first *token* of the name instead of the first name (`contexts`). How many names begin like it?
// - Attack with *other* people's names: let `half` be answers about base authors. If the loss of the targets' names falls for
//   unlikelihood and hardly for masked, then what unlikelihood taught was to avoid names of any kind.
// - `draws: 10`: which verdicts of the table change?
//
// ## What to read
//
// - Carlini et al. 2019, *The secret sharer*, and 2021, *Extracting training data from large language models*.
// - Lynch et al. 2024, *Eight methods to evaluate robust unlearning in LLMs*: relearning, and other attacks.
// - The paper's section 6, on training from scratch.
// - Next: lesson 7, with your own texts.
