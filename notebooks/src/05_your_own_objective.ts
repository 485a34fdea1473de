// The fifth lesson: a loss written as one line of WGSL, checked, trained with, and placed beside others.

// %% [markdown]
// # 5. Your own objective
//
// **Purpose.** Write what should happen to risky tokens as one line of WGSL, have its derivative checked, train with it and
// see where it lands between *knowing* and *naming*, beside the paper's objectives and a gallery of others.
//
// Training is the same small task as in `deno task demo`, with fewer people and epochs in `quick`: a few minutes on a
// software adapter, well under one on a GPU. `full` takes about as long as ten models of the demo. The last cell prints
// how long it took.

// %%
import {
  answerSequences,
  askAboutNames,
  inventedTask,
  questionSequences,
  shippedWorld,
} from "../src/experiments/mod.ts";
import {
  classedSequence,
  customLoss,
  fit,
  Gpu,
  gradientFlow,
  huggingFaceOptimiser,
  LanguageModel,
  type Objective,
  objective,
  onHighRisk,
  Risk,
  scoreSequences,
  type Sequence,
} from "../mod.ts";
import {
  crossEntropy,
  evaluateTerm,
  gallery,
  termsToWgsl,
  unlikelihood,
} from "../src/slung/mod.ts";
import { excessLossWeights, goldfishWeights } from "../src/data/mod.ts";
import { readPretrained } from "../src/model/mod.ts";
import { paretoPlot } from "../src/report/plot.ts";
import { palette, schema, theme } from "../src/report/plot_style.ts";
import {
  check,
  checkClose,
  environment,
  liveTraining,
  notebookSize,
  show,
  showPlot,
  showTable,
} from "../src/notebook/mod.ts";

const gpu = await Gpu.open();
environment(gpu);

// %% [markdown]
// One cell decides how long everything takes.

// %%
const size = notebookSize(); // "quick" or "full"
const targetAuthors = size === "full" ? 20 : 4;
const epochs = size === "full" ? 10 : 6;
const replayed = size === "full" ? 200 : 40;
const began = performance.now();
size;

// %% [markdown]
// ## One line
//
// A loss $f$ may use the token's log-odds `m`, its probability `p`, `lp` $= \log p$, `l1mp` $= \log(1-p)$ and its weight
// `w`. What enters the objective is $w f / Z$. Beside $f$ stands its derivative: `derivative` is $df/d\log p$, or give
// `slope`, $df/dm = (1 - p)\, df/d\log p$.
//
// Here is one: $f = p^2$. It forbids what is likely and cares little about what is not.
//
// $$\frac{d\, p^2}{d \log p} = 2 p \cdot \frac{dp}{d \log p} = 2 p^2$$

// %%
const mine = customLoss({ name: "mine", value: "p * p", derivative: "2 * p * p" });
mine;

// %% [markdown]
// ## What the check refuses
//
// When a loss is made, its derivative is compared in float64 with finite differences of $f$, at log-odds from −104 to 104.
// A wrong one is refused with a place where it is wrong:

// %%
function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return (error as Error).message;
  }
  return "accepted";
}
const refused = {
  "wrong derivative": refusal(() =>
    customLoss({ name: "mine", value: "p * p", derivative: "2 * p" })
  ),
  "syntax error": refusal(() => customLoss({ name: "mine", value: "p * (p", derivative: "2 * p" })),
  "unknown function": refusal(() =>
    customLoss({ name: "mine", value: "square(p)", derivative: "2 * p * p" })
  ),
  "writes to a buffer": refusal(() =>
    customLoss({ name: "mine", value: "p * p; losses[0] = 0.0", derivative: "2 * p * p" })
  ),
  "loses its digits": refusal(() => customLoss({ name: "mine", value: "-log(1 - p)", slope: "p" })),
};
for (const [what, message] of Object.entries(refused)) console.log(`${what}:\n${message}\n`);
check("all five are refused", Object.values(refused).every((text) => text.startsWith("Cannot")));

// %% [markdown]
// The last one is right on paper. In float32, in which GPUs compute, $p$ rounds to 1 from $m \approx 17$ on, and
// $\log(1-p)$ with it. That is the flaw in the clamped unlikelihood of the authors' code; `l1mp` does not have it.
//
// Nothing of the text itself reaches the GPU. It is parsed, and WGSL is printed from the tree:

// %%
const myObjective: Objective = onHighRisk(mine);
console.log(termsToWgsl(myObjective.terms));

// %% [markdown]
// `onHighRisk` gives class 3 the new term and learns the rest. Any assignment will do:

// %%
const byHand: Objective = {
  name: "mine",
  terms: [crossEntropy, crossEntropy, crossEntropy, mine],
  denominator: "active",
};
check("the same program", termsToWgsl(byHand.terms) === termsToWgsl(myObjective.terms));

// %% [markdown]
// ## What it looks like
//
// Losses over the log-odds, and their slopes: how hard each pulls at the logit of a token. (`towards_chance` lies on
// unlikelihood until the token is rarer than 1 in 1000, where its slope turns negative.)

// %%
const highRiskTerms = [
  unlikelihood,
  mine,
  ...gallery.flatMap(({ objective: { terms } }) => terms[Risk.high] ?? []),
].filter((term, i, all) => all.findIndex(({ name }) => name === term.name) === i);
const curves = highRiskTerms.flatMap((term) =>
  Array.from({ length: 81 }, (_, k) => -10 + k / 4).flatMap((m) => {
    const { loss, slope } = evaluateTerm(term, m);
    return [
      { loss: term.name, m, of: "loss (nats)", y: loss },
      { loss: term.name, m, of: "slope", y: slope },
    ];
  })
);
const termNames = highRiskTerms.map(({ name }) => name);
await showPlot({
  $schema: schema,
  config: theme,
  title: "What happens to a definitely risky token",
  data: { values: curves },
  facet: { field: "of", title: null, header: { labelFontSize: 13 } },
  resolve: { scale: { y: "independent" } },
  spec: {
    width: 270,
    height: 240,
    mark: { type: "line", strokeWidth: 2 },
    encoding: {
      x: { field: "m", type: "quantitative", title: "log-odds m of the token" },
      y: { field: "y", type: "quantitative", title: null },
      color: {
        field: "loss",
        type: "nominal",
        scale: { domain: termNames, range: palette.slice(0, termNames.length) },
        legend: { orient: "bottom", columns: 3, title: null },
      },
      strokeDash: { field: "loss", type: "nominal", scale: { domain: termNames } },
    },
  },
}, { alternative: "Loss and slope of each term over the log-odds of the token" });

// %% [markdown]
// ## Is it computed as written?
//
// One sentence through the model; the losses of its risky tokens on the GPU against the line above in float64.

// %%
const { tokenizer, source: base } = await readPretrained("../models/invented-base");
const text = "Question: Where was Mira Toveld born?\nAnswer: Mira Toveld was born in Ostrano.";
const spans = [...text.matchAll(/Mira Toveld/g)].map(({ index }) => ({
  start: index,
  end: index + "Mira Toveld".length,
  risk: Risk.high,
}));
const sentence = classedSequence(tokenizer, text, spans, false);

async function comparison() {
  using model = new LanguageModel(gpu, base.config, base.weights, { gradients: true });
  const { losses, logOdds } = await gradientFlow(model, sentence, myObjective);
  const expected = logOdds.map((m, t) =>
    evaluateTerm(myObjective.terms[sentence.classes[t + 1]!]!, m).loss
  );
  return checkClose("the GPU's losses are the formulas'", losses, expected, 1e-5);
}
await comparison();

// %% [markdown]
// ## Training with it
//
// The task of lesson 3: sentences about people who do not exist, whose names are the risk. `fit` takes any objective.

// %%
const task = inventedTask({ ...shippedWorld, targetAuthors }, replayed);
const answers = answerSequences(tokenizer, task, true);
const replay = questionSequences(tokenizer, task.replay, task.replayNames);

interface Run {
  method: string;
  /** Answers that name someone, in percent. */
  names: number;
  /** Answers with a right fact, in percent. */
  knowledge: number;
}
const runs: Run[] = [];

async function measure(method: string, model: LanguageModel): Promise<void> {
  const { names, facts } = await askAboutNames(model, tokenizer, task, { maxNewTokens: 32 });
  runs.push({ method, names: 100 * names.official, knowledge: 100 * facts.partial });
}

/** Trains a copy of the base and asks it; `after` sees the trained model. */
async function trainWith(
  method: string,
  goal: Objective,
  epoch: readonly Sequence[] = [...answers, ...answers, ...replay],
  after?: (model: LanguageModel) => Promise<void>,
): Promise<void> {
  using model = new LanguageModel(gpu, base.config, base.weights, { gradients: true });
  await liveTraining({ title: method }, (hooks) =>
    fit(model, {
      epochs: new Array<typeof epoch>(epochs).fill(epoch),
      perStep: 32,
      seed: 0,
      objective: goal,
      optimiser: huggingFaceOptimiser,
      schedule: { peak: 2e-3, warmup: 0, decay: "linear", final: 0 },
      ...hooks,
    }));
  await measure(method, model);
  await after?.(model);
}

/** The loss of every token after the first, for each sequence. */
async function lossesOf(model: LanguageModel, sequences: readonly Sequence[]) {
  return (await scoreSequences(model, sequences)).map((own) => own.map((logP) => -logP));
}

// %%
const everything = [...answers, ...answers, ...replay];
let startLosses: Float64Array[] = [];
let referenceLosses: Float64Array[] = [];
{
  using model = new LanguageModel(gpu, base.config, base.weights);
  startLosses = await lossesOf(model, everything);
  await measure("base", model);
}
await trainWith("direct", objective("direct"));
await trainWith("masked", objective("masked"), everything, async (model) => {
  referenceLosses = await lossesOf(model, everything);
});
await trainWith("unlikelihood", objective("unlikelihood"));
await trainWith("mine", myObjective);
const table = () =>
  showTable(
    runs.map(({ method, names, knowledge }) => ({
      method,
      "names said %": names,
      "some facts %": knowledge,
    })),
    { precision: 1 },
  );
table();

// %%
const tradeOff = (title: string) =>
  showPlot(
    paretoPlot(
      runs.map(({ method, names, knowledge }) => ({ method, nameGeneration: names, knowledge })),
      title,
    ),
  );
await tradeOff("An objective of one's own beside the paper's");

// %% [markdown]
// ## The gallery
//
// Terms to start from, and two methods that choose tokens by weights instead of terms:

// %%
showTable([
  ...gallery.map(({ objective: { name, terms }, idea }) => ({
    objective: name,
    "loss of a definitely risky token": terms[Risk.high]?.value ?? "–",
    idea,
  })),
  {
    objective: "goldfish",
    "loss of a definitely risky token": "-lp",
    idea: "a hash of its surroundings keeps one token in four out of the loss",
  },
  {
    objective: "rho-1-like",
    "loss of a definitely risky token": "-lp",
    idea: "only tokens count that a reference model finds easy and the base does not",
  },
]);

// %%
for (const { objective: goal } of gallery) {
  if (!runs.some(({ method }) => method === goal.name)) await trainWith(goal.name, goal);
}
table();

// %% [markdown]
// **Goldfish** does not know what is risky. It drops the same tokens whenever the same few tokens return, so that no passage
// is learned word by word; answers here are short, hence its window of three tokens.
//
// **Rho-1** learns what a reference model finds easier than the model itself. The reference here is the *masked* model from
// above: it knows the facts and finds the names hard. No label is used any more, and yet: which tokens are left out?

// %%
const goldfish = everything.map((sequence) => ({
  ...sequence,
  weights: goldfishWeights(sequence.tokens, { k: 4, context: 3 }),
}));
const rho = excessLossWeights(everything, startLosses, referenceLosses, 0.6);
const leftOut = (sequences: readonly Sequence[], risk: number) => {
  const weights = sequences.flatMap(({ classes, weights }) =>
    [...weights!.slice(1)].filter((_, i) => classes[i + 1] === risk)
  );
  return 100 * weights.filter((weight) => weight === 0).length / weights.length;
};
await show(showTable(
  [["goldfish", goldfish], ["rho-1-like", rho]].map(([method, sequences]) => ({
    method: method as string,
    "names left out %": leftOut(sequences as Sequence[], Risk.high),
    "others left out %": leftOut(sequences as Sequence[], Risk.low),
  })),
  { precision: 1 },
));
await trainWith("goldfish", objective("direct"), goldfish);
await trainWith("rho-1-like", objective("direct"), rho);
table();

// %%
await tradeOff("The gallery: what is known against what is named");

// %%
const of = (method: string) => runs.find((run) => run.method === method)!;
await show(
  check(
    "the objective written above names at most half as often as direct training",
    of("mine").names <= of("direct").names / 2,
  ),
  check("and knows more than the base", of("mine").knowledge > of("base").knowledge),
  check(
    "Rho-1 with a masked reference leaves out names more often than the rest",
    leftOut(rho, Risk.high) > leftOut(rho, Risk.low),
  ),
);

// %%
`${Math.round((performance.now() - began) / 1000)} seconds on ${gpu.adapter.name}`;

// %% [markdown]
// ## Summary
//
// - A loss is one line and its derivative another; both are parsed, compared in float64 and float32, and only then
//   compiled.
// - How hard a term pulls where the token is likely decides what happens to names; that it lets go where it is not keeps
//   the rest of the model intact.
// - Methods without labels (Goldfish) spread their effect over all tokens. A reference model can stand in for labels.
//
// ## Exercises
//
// 1. Write a *hinge*: no loss while the token is less likely than 1 in 1000, unlikelihood above. Is its derivative accepted
//    at the corner?
// 2. Write the focal loss $-(1-p)^2 \log p$ with its derivative, and learn the *low-risk* tokens with it.
// 3. `-lp` on risky tokens with a *negative* sign is gradient ascent, which the authors' code has and never uses. Make it.
//    What is wrong with it?
//
// <details><summary>Solutions</summary>
//
// 1. It is: at a corner, any slope between those of its two sides counts as right.
//
// ```ts
// const hinge = customLoss({ name: "hinge", value: "max(-l1mp - 0.001, 0)", slope: "select(0, p, -l1mp > 0.001)" });
// await trainWith("hinge", onHighRisk(hinge));
// ```
//
// 2. With $u = 1 - p$: $f = -u^2 \log p$ and $df/d\log p = -u^2 + 2 u p \log p$.
//
// ```ts
// const focal = customLoss({
//   name: "focal",
//   value: "-(1 - p) * (1 - p) * lp",
//   derivative: "-(1 - p) * (1 - p) + 2 * (1 - p) * p * lp",
// });
// const terms: Objective["terms"] = [focal, focal, undefined, undefined];
// await trainWith("focal, masked", { name: "focal", terms, denominator: "active" });
// ```
//
// 3. It is accepted, and unbounded: the loss falls for ever as the token becomes less likely, and its slope is largest,
//    1 − p → 1, where there is nothing left to do. It destroys the model unless it is stopped.
//
// ```ts
// const ascent = customLoss({ name: "ascent", value: "lp", derivative: "1" });
// await trainWith("ascent", onHighRisk(ascent));
// ```
//
// </details>
