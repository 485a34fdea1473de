// The fifth lesson: a loss written as one line, checked, trained with, and placed beside others.

// %% [markdown]
// # 5. Your own objective
//
// What should happen to a risky token? Write it as one line, have its derivative checked, train with it, and see where it
// lands between *knowing* and *naming*, beside the paper's objectives, a gallery of others, and one that fails.
//
// **You will be able to**
// - write a loss as a function of a token's log-odds, with its slope, and say why a wrong one is refused;
// - run your own method, your own weights and your own measure through the same experiment as the paper's;
// - tell a difference between two methods from chance.
//
// **You need** lessons 1 and 3.
//
// `quick` trains a model of the demo for each objective on four people; `full` takes all twenty.

// %%
import { customLoss, encodeText, Gpu, huggingFaceOptimiser, type Interval } from "@slung/slung";
import { LanguageModel, type Measure, type Method, type Objective, objective } from "@slung/slung";
import { onHighRisk, Risk, scoreSequences } from "@slung/slung";
import { answerMethods, excessLossWeights, goldfishWeights } from "@slung/slung/data";
import { bootstrapInterval, gradientFlow, namesGenerated } from "@slung/slung/eval";
import * as experiments from "@slung/slung/experiments";
import { lesson5 } from "@slung/slung/exercises";
import {
  crossEntropy,
  evaluateTerm,
  gallery,
  termsToWgsl,
  unlikelihood,
} from "@slung/slung/method";
import { readPretrained } from "@slung/slung/model";
import * as notebook from "@slung/slung/notebook";

const { check, checkClose, show, showLines, showTable } = notebook;
const gpu = await Gpu.open();
notebook.environment(gpu);

// %% [markdown]
// ## Knobs

// %%
const size = notebook.notebookSize(); // "quick" or "full"
const knobs = {
  people: size === "full" ? 20 : 4, // more people: more questions, and narrower intervals
  epochs: size === "full" ? 10 : 6, // longer: which losses go on forgetting, and which let go?
  replay: size === "full" ? 200 : 40,
  learningRate: 2e-3,
};
showTable([{ size, ...knobs }]);

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
showTable([mine]);

// %% [markdown]
// ## What the check refuses
//
// When a loss is made, its derivative is compared in float64 with finite differences of $f$, at log-odds from −104 to 104.
// Predict: which of these five are refused, and for what?

// %%
const attempts = {
  "wrong derivative": { name: "mine", value: "p * p", derivative: "2 * p" },
  "syntax error": { name: "mine", value: "p * (p", derivative: "2 * p" },
  "unknown function": { name: "mine", value: "square(p)", derivative: "2 * p * p" },
  "writes to a buffer": { name: "mine", value: "p * p; losses[0] = 0.0", derivative: "2 * p * p" },
  "right on paper": { name: "mine", value: "-log(1 - p)", slope: "p" },
};
const verdicts = Object.entries(attempts).map(([attempt, loss]) => {
  try {
    customLoss(loss);
    return { attempt, verdict: "accepted" };
  } catch (error) {
    return { attempt, verdict: (error as Error).message };
  }
});
for (const { attempt, verdict } of verdicts) console.log(`${attempt}:\n${verdict}\n`);
check("all five are refused", verdicts.every(({ verdict }) => verdict.startsWith("Cannot")));

// %% [markdown]
// The last one is right on paper. In float32, in which GPUs compute, $p$ rounds to 1 from $m \approx 17$ on, and
// $\log(1-p)$ with it. That is the flaw in the clamped unlikelihood of the authors' code; `l1mp` does not have it.
//
// Nothing of the text itself reaches the GPU. It is parsed, and WGSL is printed from the tree. `onHighRisk` gives class 3 the
// new term and learns the rest; any other assignment is an object of four terms:

// %%
const myObjective: Objective = onHighRisk(mine);
const byHand: Objective = {
  name: "mine",
  terms: [crossEntropy, crossEntropy, crossEntropy, mine],
  denominator: "active",
};
console.log(termsToWgsl(myObjective.terms));
check("by hand, the same program", termsToWgsl(byHand.terms) === termsToWgsl(myObjective.terms));

// %% [markdown]
// ## What it looks like
//
// Losses over the log-odds, and their slopes: how hard each pulls at the logit of a token. The *right* panel decides: a loss
// that still pulls where the token is rare never lets go. **Gradient ascent**, $f = \log p$, which the authors' code has and
// never uses, is the extreme: its slope is largest where nothing is left to do. (`towards_chance` and `unlikelihood` lie on
// each other until the token is rarer than 1 in 1000.)

// %%
const ascent = customLoss({ name: "gradient_ascent", value: "lp", derivative: "1" });
const terms = [
  unlikelihood,
  mine,
  ascent,
  ...gallery.flatMap(({ objective: { terms } }) => terms[Risk.high] ?? []),
]
  .filter((term, i, all) => all.findIndex(({ name }) => name === term.name) === i);
const curves = terms.flatMap((term) =>
  Array.from({ length: 41 }, (_, k) => -10 + k / 2).flatMap((m) => {
    const { loss, slope } = evaluateTerm(term, m);
    return [
      { series: term.name, panel: "loss (nats)", x: m, y: loss },
      { series: term.name, panel: "slope", x: m, y: slope },
    ];
  })
);
await showLines(curves, {
  title: "What happens to a definitely risky token",
  x: "log-odds m of the token",
  marks: false,
});

// %% [markdown]
// ## Is it computed as written?
//
// One sentence through the model; the losses of its tokens on the GPU against the lines above in float64.

// %%
const { tokenizer, source: base } = await readPretrained(
  notebook.projectPath("models/invented-base"),
);
const text = "Question: Where was Mira Toveld born?\nAnswer: Mira Toveld was born in Ostrano.";
const spans = [...text.matchAll(/Mira Toveld/g)].map(({ index }) => ({
  start: index,
  end: index + "Mira Toveld".length,
  risk: Risk.high,
}));
const sentence = encodeText(tokenizer, { text, spans }, { end: false });
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
// The task of lesson 3. A **method** is a value: a name, an objective, perhaps weights. Yours goes through the same experiment
// as the paper's. A **measure** is a value too: `tokenLosses` keeps the loss of every token of the training texts, which a
// method further below needs.
//
// Predict first: `mine` hardly pushes at a rare name, gradient ascent pushes there hardest. Which of the five models pays
// for its silence with facts?

// %%
const task = experiments.inventedTask(
  { ...experiments.shippedWorld, targetAuthors: knobs.people },
  knobs.replay,
);
const answers = experiments.answerSequences(tokenizer, task, true);
const tokenLosses: Measure<{ tokenLosses: number[][] }> = {
  name: "tokenLosses",
  identity: [knobs.people],
  measure: async ({ model }) =>
    (await scoreSequences(await model(), answers)).map((own) => Array.from(own, (logP) => -logP)),
};
async function compare(methods: readonly Method[]) {
  const planned = await experiments.nameExperiment({
    ...{ base, tokenizer, task, methods, seeds: [0], maxNewTokens: 32 },
    training: {
      epochs: knobs.epochs,
      answerPasses: 2,
      perStep: 32,
      learningRate: knobs.learningRate,
      optimiser: huggingFaceOptimiser,
      endOfText: true,
    },
  });
  return await notebook.liveExperiment(gpu, experiments.withMeasures(planned, [tokenLosses]), {
    keep: "objectives",
  });
}
const own = (objective: Objective): Method => ({
  name: objective.name,
  title: objective.name,
  objective,
});
const first = await compare([
  ...answerMethods.slice(0, 3),
  own(myObjective),
  own(onHighRisk(ascent)),
]);
check(`${first.length} models were measured`, first.length === 6);

// %% [markdown]
// One seed, and so many facts: the intervals below are over *facts* (bootstrap, 95 %). Two questions ask for each fact, and
// are drawn together. The intervals say how far another draw of facts could move a point, not another seed, nor other people.

// %%
type Outcomes = typeof first;
const percent = ({ mean, low, high, ...rest }: Interval): Interval => ({
  ...rest,
  mean: 100 * mean,
  low: 100 * low,
  high: 100 * high,
});
const factOf = task.rows.map((_, i) => Math.floor(i / 2));
const overFacts = (values: readonly number[]) =>
  bootstrapInterval(values, { seed: 0, groups: factOf });
const rightIn = (outcome: Outcomes[number]) =>
  experiments.nameResult(outcome).answers.map(({ factRecall }) => Number(factRecall! > 0));
function points(outcomes: Outcomes) {
  return outcomes.map((outcome) => {
    const { answers } = experiments.nameResult(outcome);
    const named = answers.map(({ completion }) =>
      namesGenerated([{ prompt: "", completion }], task.names).official
    );
    return {
      label: outcome.run.method?.title ?? experiments.baseTitle,
      x: percent(overFacts(named)),
      y: percent(overFacts(rightIn(outcome))),
    };
  });
}
const tableOf = (outcomes: Outcomes) =>
  showTable(
    points(outcomes).map(({ label, x, y }) => ({
      method: label,
      "names said %": x.mean,
      "some facts %": y.mean,
      "95 % over facts": `${y.low.toFixed(0)} to ${y.high.toFixed(0)}`,
    })),
    { precision: 1 },
  );
tableOf(first);

// %% [markdown]
// Gradient ascent still answers, but compare its facts with those of the others that name nobody: to make names ever less
// likely it moves everything else. That is what a loss without a bound does. What each says to the first question:

// %%
const sayings = (outcome: Outcomes[number]) => experiments.nameResult(outcome).answers[0]!;
showTable(first.map((outcome) => ({
  method: outcome.run.method?.title ?? experiments.baseTitle,
  [sayings(first[0]!).question]: sayings(outcome).completion.slice(0, 80),
})));

// %% [markdown]
// ## The gallery
//
// Terms to start from, and two methods that choose tokens by weights instead of terms. **Goldfish** does not know what is
// risky: it drops the same tokens whenever the same few tokens return, so that no passage is learned word by word. **Rho-1**
// learns what a *reference* finds easier than the base does; the reference here is the masked model from above, which knows
// the facts and finds the names hard. Only the reference has seen labels: predict which tokens it leaves out.

// %%
const losses = (name: string) =>
  first.find(({ run }) => (run.method?.name ?? "base") === name)!.stages[0]!.results.tokenLosses;
const chosen = excessLossWeights(answers, losses("base"), losses("masked"), 0.6);
const weightsOf = new Map(chosen.map(({ tokens, weights }) => [tokens.join(), weights!]));
const goldfish: Method = {
  name: "goldfish",
  title: "goldfish",
  objective: objective("direct"),
  weigh: (tokens) => goldfishWeights(tokens, { k: 4, context: 3 }),
};
const rho: Method = {
  name: "rho-1-like",
  title: "rho-1-like",
  objective: objective("direct"),
  weigh: (tokens) => weightsOf.get(tokens.join())!,
};
const leftOut = ({ weigh }: Method, risk: number) => {
  const weights = answers.flatMap(({ tokens, classes }) =>
    [...weigh!(tokens).slice(1)].filter((_, t) => classes[t + 1] === risk)
  );
  return 100 * weights.filter((weight) => weight === 0).length / weights.length;
};
await show(
  showTable(
    [goldfish, rho].map((method) => ({
      method: method.title,
      "names left out %": leftOut(method, Risk.high),
      "others left out %": leftOut(method, Risk.low),
    })),
    { precision: 1 },
  ),
  check(
    "a masked reference leaves out names more often than the rest",
    leftOut(rho, Risk.high) > leftOut(rho, Risk.low),
  ),
);

// %%
const others = gallery.filter(({ objective: { name } }) =>
  !["masked", "unlikelihood"].includes(name)
);
const all = [
  ...first,
  ...(await compare([...others.map(({ objective }) => own(objective)), goldfish, rho])).slice(1),
];
await show(showTable([
  ...gallery.map(({ objective: { name, terms }, idea }) => ({
    objective: name,
    "loss of a risky token": terms[Risk.high]?.value ?? "–",
    idea,
  })),
  {
    objective: "goldfish",
    "loss of a risky token": "-lp",
    idea: "a hash keeps one token in four out of the loss",
  },
  {
    objective: "rho-1-like",
    "loss of a risky token": "-lp",
    idea: "only what a reference finds easy counts",
  },
]));
tableOf(all);

// %%
await notebook.showTradeOff(points(all), experiments.factAxes, {
  title: "What is known against what is named (intervals over facts)",
  order: experiments.methodOrder,
});

// %% [markdown]
// Intervals that lie apart settle it. Intervals that overlap do not settle the opposite: all models were asked the same
// questions, so what counts is the interval of the *difference*, fact by fact, which is narrower.

// %%
const plane = points(all);
const of = (label: string) => plane.find((point) => point.label === label)!;
const difference = (label: string, other: string) => {
  const [own, others] = [label, other].map((name) => rightIn(all[plane.indexOf(of(name))]!));
  return percent(overFacts(own!.map((right, i) => right - others![i]!)));
};
const quiet = plane.filter(({ x }) => x.mean < 10).toSorted((a, b) => b.y.mean - a.y.mean);
const best = quiet[0]!.label;
await show(
  check(
    "p² names less than direct training, beyond chance",
    of("mine").x.high < of("Direct training").x.low,
  ),
  check("and knows more than the base, beyond chance", difference("mine", "Base model").low > 0),
  check(
    "gradient ascent knows less than p², beyond chance",
    difference("mine", "gradient_ascent").low > 0,
  ),
  showTable(
    quiet.slice(1).map(({ label }) => {
      const { mean, low, high } = difference(best, label);
      return {
        "hardly names": label,
        [`facts less than ${best} (points)`]: mean,
        "95 % over facts": `${low.toFixed(0)} to ${high.toFixed(0)}`,
        "is it chance?": low > 0 ? "hardly" : "cannot be told",
      };
    }),
    { precision: 1 },
  ),
);

// %% [markdown]
// ## What was learned
//
// - A loss is one line and its derivative another; both are parsed, compared in float64 and float32, and only then compiled.
// - That a term lets go where the token is *rare* keeps the rest of the model intact. Gradient ascent does not let go, and
//   shows it. How hard a term pulls where the token is *likely* matters less here: masking does not pull at all, and the names
//   are gone as well.
// - Methods without labels (Goldfish) spread their effect over all tokens, and names stay. A reference model stands in for
//   labels only in part: it leaves most tokens of names out, and those that it leaves in are enough to say some.
// - Several losses do about equally well, and the best of many owes a part of its lead to luck. With one seed and few people,
//   that is all that can be said.
//
// ## Exercises
//
// **5.1** A *hinge*: no loss while the token is less likely than 1 in 1000, above that unlikelihood, less what it is there, so
// that the two pieces meet. (At a corner, any slope between those of its two sides counts as right.)

// %%
const myHinge: Parameters<typeof customLoss>[0] | undefined = undefined; // { name, value, slope }
await lesson5.hinge(myHinge);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// const hinge = {
//   name: "hinge",
//   value: "max(-l1mp - 0.0010005, 0)",
//   slope: "select(0, p, -l1mp > 0.0010005)",
// };
// await show(await lesson5.hinge(hinge));
// // await compare([own(onHighRisk(customLoss(hinge)))]); // train with it
// ```
//
// </details>
//
// **5.2** The focal loss, $-(1-p)^2 \log p$, with its derivative: for tokens that are to be *learned*.

// %%
const myFocal: Parameters<typeof customLoss>[0] | undefined = undefined;
await lesson5.focal(myFocal);

// %% [markdown]
// <details><summary>Solution</summary>
//
// With $u = 1 - p$: $f = -u^2 \log p$ and $df/d\log p = -u^2 + 2 u p \log p$.
//
// ```ts
// await show(await lesson5.focal({
//   name: "focal",
//   value: "-(1 - p) * (1 - p) * lp",
//   derivative: "-(1 - p) * (1 - p) + 2 * (1 - p) * p * lp",
// }));
// ```
//
// </details>
//
// **5.3** Mend gradient ascent: a loss that is close to $\log p$ for a likely token and never below −3 nats, smoothly.

// %%
const myAscent: Parameters<typeof customLoss>[0] | undefined = undefined;
await lesson5.boundedAscent(myAscent);

// %% [markdown]
// <details><summary>Solution</summary>
//
// $\operatorname{softplus}(\log p + 3) - 3$ is the smooth maximum of $\log p$ and −3. Its derivative by $\log p$ is
// $\sigma(\log p + 3)$, and `sigmoid(-m)` is $1 - p$.
//
// ```ts
// await show(await lesson5.boundedAscent({
//   name: "bounded_ascent",
//   value: "softplus(lp + 3) - 3",
//   slope: "sigmoid(lp + 3) * sigmoid(-m)",
// }));
// ```
//
// </details>
//
// **To try**
// - Train with your hinge, your bounded ascent. Do they land where you expected?
// - The focal loss on *low-risk* tokens, risky ones masked: `{ name, terms: [focal, focal, undefined, undefined], denominator }`.
// - Three seeds for the two that you like best (`seeds` in `compare`): do they separate?
//
// ## What to read
//
// - Lin et al. 2017, *Focal loss*; Hans et al. 2024, *Be like a goldfish*; Lin et al. 2024, *Rho-1*.
// - Yao et al. 2023, *Large language model unlearning*: gradient ascent, and what it breaks.
// - Next: lesson 6 attacks models that do not name.
