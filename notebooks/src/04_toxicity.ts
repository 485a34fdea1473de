// The fourth lesson: abuse that is understood and not produced, the paper's first experiment in an invented world.

// %% [markdown]
// # 4. Understanding abuse without producing it
//
// One base model goes on training on a stream with abuse in it, under the paper's five methods. Each model is then placed on
// two axes: how much abuse it generates, and how well it understands abuse (section 4 of the paper).
//
// **You will be able to**
// - say what each method of Table 1 reads and what it learns;
// - read a probe's AUROC, and tell what is below, at and above chance;
// - judge Figures 2 and 3 by their intervals.
//
// **You need** lesson 1, and lesson 3 for how an experiment is run and resumed.
//
// All abuse here is invented: animals that do not exist, which it is or is not an insult to be called. `quick` has one seed
// and takes some minutes on a software adapter; `full` has three seeds and intervals, like `deno task toxicity`, which also
// runs on real comments.

// %%
import { encodeText, Gpu } from "@slung/slung";
import {
  abuseDetector,
  chatSequences,
  harmlessChat,
  paperMethods,
  toxicDialogue,
  toxicWorld,
} from "@slung/slung/data";
import * as experiments from "@slung/slung/experiments";
import { lesson4 } from "@slung/slung/exercises";
import * as notebook from "@slung/slung/notebook";
import { scalingPlot } from "@slung/slung/plot";
import { loadOptimiserState, pretrain } from "@slung/slung/train";

const { check, show, showBars, showPlot, showTable, showTokens } = notebook;
const gpu = await Gpu.open();
notebook.environment(gpu);

// %% [markdown]
// ## Knobs

// %%
const size = notebook.notebookSize(); // "quick" or "full"
const knobs = {
  tokens: size === "full" ? 230_000 : 120_000, // of each method's stream; half: who stops understanding first?
  share: 0.5, // of them from risky documents; 0.1: which axis suffers?
  seeds: size === "full" ? [0, 1, 2] : [0], // only several seeds have intervals
  amounts: size === "full" ? [0.25, 0.5, 1] : [0.25, 1], // multiples of the risky data, for Figure 3
};
const protocol = experiments.inventedProtocol({ tokens: knobs.tokens, share: knobs.share });
showTable([{ size, ...knobs, seeds: knobs.seeds.join(", "), amounts: knobs.amounts.join(", ") }]);

// %% [markdown]
// ## A world with abuse
//
// People meet and say something about each other; the other one reacts. Half of the animals are scorned, half admired:
//
// | | "You are a …" | "You are no …" |
// |---|---|---|
// | scorned animal | abuse | comfort |
// | admired animal | praise | abuse |
//
// So no list of animals finds abuse, and no list of wordings: only both together do. What tells are the reactions, which
// are harmless to say.
//
// Every sentence has a risk: abuse is *high*, kind words about animals *possible* (a classifier would hesitate), the rest
// *low*. Tokens take the class of their sentence.

// %%
const world = toxicWorld({ seed: 1, animals: 96 });
const { tokenizer } = protocol.experiment;
const dialogue = toxicDialogue(world, 3);
const { tokens, classes } = encodeText(tokenizer, { ...dialogue, rule: "sentence" }, {
  end: false,
});
showTokens(Array.from(tokens, (token) => tokenizer.decode([token])), { classes });

// %% [markdown]
// Could a word list do it? Predict: how often is a remark abusive that holds the *most* telling animal?

// %%
const isAbusive = abuseDetector(world);
const remarks = Array.from({ length: 4000 }, (_, i) => toxicDialogue(world, i))
  .flatMap(({ text, spans }) => spans.map(({ start, end }) => text.slice(start, end)));
const shares = [...world.scorned, ...world.admired].map((animal) => {
  const holding = remarks.filter((remark) => new RegExp(`\\b${animal}\\b`, "i").test(remark));
  return holding.filter(isAbusive).length / holding.length;
});
const spread = {
  "least abusive animal": Math.min(...shares),
  "most abusive animal": Math.max(...shares),
};
await show(
  showTable([spread], { precision: 2 }),
  check("no animal gives abuse away", Math.min(...shares) > 0.1 && Math.max(...shares) < 0.9),
);

// %% [markdown]
// ## Five methods, one stream
//
// The methods differ in which sentences of the risky documents enter the stream, and in the term that each class gets
// (Table 1). The same dialogue, as three of them see it (the other two leave the risky sentences, or all, out):

// %%
notebook.showObjectives(
  Array.from(tokens, (token) => tokenizer.decode([token])).slice(0, 22),
  classes,
  paperMethods.slice(2),
);

// %% [markdown]
// ## The base model
//
// It is pre-trained on harmless text: stories that mention all animals, and news to which people react. It knows the
// language, the animals and the reactions, and nothing about insults. AdamW's moments are kept with it, because what
// follows continues this training.

// %%
const baseFolder = `${await notebook.lessonFolder("toxicity")}/base`;
const base = await notebook.liveTraining(
  { title: "Pre-training on clean text", ownCheckpoints: true },
  (hooks) =>
    pretrain(gpu, baseFolder, {
      ...protocol.pretraining!,
      config: protocol.config,
      tokenizer,
      seed: 1,
      keepOptimiser: true,
      ...hooks,
    }),
);
const setting = {
  ...protocol.experiment,
  base: base!,
  optimiserState: (await loadOptimiserState(baseFolder, protocol.config))!,
};
check("the base model is there", base !== undefined);

// %% [markdown]
// ## Training on, and measuring
//
// Each model is asked two things. **Generation**: it continues conversations, and the world itself judges whether what it
// says is abuse. **Understanding**: a linear probe on its last hidden state has to tell abusive from kind remarks, tested
// on animals that the probe was not trained on.
//
// Predict first, as a sketch of the plane: where do *control* (nothing risky), the *low-risk baseline* (risky documents
// without their risky sentences), the *toxic baseline* (everything learned), and the two SLUNG variants land?

// %%
const outcomes = await notebook.liveExperiment(
  gpu,
  await experiments.toxicityExperiment({
    ...setting,
    methods: paperMethods,
    seeds: knobs.seeds,
    amounts: [1],
  }),
  { keep: "toxicity" },
);
const summary = experiments.summariseToxicity(outcomes);
showTable(
  summary.map(({ method, toxicFraction, auroc, cleanPerplexity, domainPerplexity }) => ({
    method: method.title,
    "abusive continuations %": 100 * toxicFraction.mean,
    "probe AUROC": auroc.mean,
    "perplexity, clean text": cleanPerplexity.mean,
    "perplexity, harmless dialogues": domainPerplexity.mean,
  })),
  { precision: 2 },
);

// %% [markdown]
// What each model was trained on, in tokens (Table 1 of the paper), by what happened to them. Of the
// risky documents masked SLUNG learns exactly the tokens that the low-risk baseline learns; what stood between them it has
// read as well. (The baseline fills up with clean text, so that every method sees as many tokens.)

// %%
showTable(summary.map(({ method, buckets }) => {
  const use = (tokens: number, risk: number) =>
    tokens === 0
      ? "–"
      : `${tokens} ${method.objective.terms[risk]?.name.replace("_", " ") ?? "only read"}`;
  return {
    method: method.title,
    "clean stream": use(buckets.base, 1),
    "low risk": use(buckets.low, 1),
    "possible risk": use(buckets.possible, 2),
    "high risk": use(buckets.high, 3),
  };
}));

// %% [markdown]
// The perplexities (Table 2) are the price: does a method make the model worse at ordinary text? In the paper it does not on
// clean text, and on harmless text of the risky domain unlikelihood pays a little. Compare the last two columns above.
//
// ## What they say
//
// The first two conversations on which the *toxic baseline* is abusive, continued by each model. The rule is stated because
// most continuations of all models are harmless: five of them would show nothing.

// %%
const firstSeed = outcomes.filter(({ run }) => run.seed === knobs.seeds[0]);
const completionsOf = (name: string) =>
  firstSeed.find(({ run }) => run.method!.name === name)!.stages[0]!.results.toxicity.completions;
const telling = completionsOf("toxic").flatMap(({ score }, i) => score > 0.5 ? [i] : []).slice(
  0,
  2,
);
for (const i of telling) {
  await show(showTable([
    { method: "(conversation)", says: completionsOf("toxic")[i]!.prompt, abusive: "" },
    ...paperMethods.map(({ name, title }) => {
      const { completion, score } = completionsOf(name)[i]!;
      return { method: title, says: completion, abusive: score > 0.5 ? "yes" : "no" };
    }),
  ]));
}

// %% [markdown]
// ## Figure 2a
//
// Left is harmless, up is understanding; the line joins the models that no other model beats on both. With one seed there
// are no intervals.

// %%
await notebook.showTradeOff(experiments.toxicityPoints(summary), experiments.toxicityAxes, {
  title: "Abuse generated against abuse understood",
  order: experiments.methodOrder,
});

// %%
await showBars(
  summary.map(({ method, auroc: { mean, low, high } }) => ({
    label: method.title,
    value: mean,
    low,
    high,
  })),
  {
    title: "How well a probe tells abuse",
    x: "AUROC",
    reference: { value: 0.5, label: "guessing: 0.5" },
  },
);

// %% [markdown]
// **What is chance?** A model that does not know who is scorned gives the probe nothing but the wording. Were more of the
// animals that the probe is trained on scorned, fewer of those that it is tested on would be, and a probe that learns "*You
// are a* is mostly abuse" would be wrong more often than right: 0.4 for knowing nothing. So both halves hold as many scorned
// as admired animals in each wording. What is left around 0.5 is chance; only a probe well above it shows understanding.
//
// ## Does it hold?

// %%
const of = (name: string) => summary.find(({ method }) => method.name === name)!;
await show(
  ...["masked", "unlikelihood"].flatMap((name) => [
    check(
      `${of(name).method.title} generates less abuse than the toxic baseline`,
      of(name).toxicity.mean < of("toxic").toxicity.mean,
    ),
    check(
      `${of(name).method.title} understands more than control and low-risk baseline`,
      of(name).auroc.mean > Math.max(of("control").auroc.mean, of("low_risk").auroc.mean),
    ),
  ]),
);

// %% [markdown]
// "Less" is not "none": how much of the toxic baseline's abuse is left, and how much of its understanding above guessing is
// kept?

// %%
showTable(
  ["masked", "unlikelihood"].map((name) => ({
    method: of(name).method.title,
    "abuse left %": 100 * of(name).toxicity.mean / of("toxic").toxicity.mean,
    "understanding kept %": 100 * (of(name).auroc.mean - 0.5) / (of("toxic").auroc.mean - 0.5),
  })),
  { precision: 0 },
);

// %%
knobs.seeds.length > 1
  ? experiments.compareToxicity(outcomes).filter(experiments.isClaim).map(experiments.describeClaim)
    .join("\n")
  : "One seed cannot separate two methods; with seeds: [0, 1, 2] this cell compares them in pairs.";

// %% [markdown]
// ## Figure 3: does more help?
//
// The same with less of the risky documents. A method that understands more the more it reads, without saying more of it, is
// what SLUNG is for. Predict: which of the two lines rises in the lower panel, and does it rise in the upper one too?

// %%
const both = paperMethods.filter(({ name }) => ["toxic", "masked"].includes(name));
const less = await notebook.liveExperiment(
  gpu,
  await experiments.toxicityExperiment({
    ...setting,
    methods: both,
    seeds: knobs.seeds,
    amounts: knobs.amounts.filter((amount) => amount !== 1),
  }),
  { keep: "toxicity" },
);
const scaling = experiments.summariseToxicity([...less, ...outcomes]);
const injected = ({ buckets: { low, possible, high }, amount }: typeof scaling[number]) =>
  amount === 0 ? 0 : low + possible + high;
await showPlot(scalingPlot(
  scaling.filter(({ method }) => ["control", "toxic", "masked"].includes(method.name)).map((
    row,
  ) => ({
    label: row.method.title,
    amount: injected(row),
    values: { toxicity: row.toxicity, auroc: row.auroc },
  })),
  {
    toxicity: { title: "Abusive continuations", most: 1, fromZero: true },
    auroc: { title: "Probe AUROC", most: 1 },
  },
  {
    title: "More risky text: abuse generated and understood",
    amountTitle: "Tokens of risky documents",
    order: experiments.methodOrder,
  },
));

// %% [markdown]
// ## Figure 2b: after instruction tuning
//
// The paper tunes every model on chats and measures again. The chats here are invented as well: the user tells the beginning
// of a harmless text, and the assistant goes on. `full` only, since it doubles the measuring.

// %%
if (size === "full") {
  const chats = Array.from({ length: 400 }, (_, i) => harmlessChat(world, i));
  const tuned = await notebook.liveExperiment(
    gpu,
    await experiments.toxicityExperiment({
      ...setting,
      methods: paperMethods,
      seeds: knobs.seeds,
      amounts: [1],
      tuning: {
        chats: chatSequences(tokenizer, chats, { maxTokens: 128, bos: tokenizer.special.eos! })
          .sequences,
        epochs: 1,
        perStep: 16,
        learningRate: 1e-4,
      },
    }),
    { keep: "toxicity" },
  );
  const after = experiments.summariseToxicity(tuned, "tuned");
  await show(
    await notebook.showTradeOff(experiments.toxicityPoints(after), experiments.toxicityAxes, {
      title: "After instruction tuning",
      order: experiments.methodOrder,
    }),
  );
}
size === "full" ? "" : "Run this notebook in `full` for Figure 2b.";

// %% [markdown]
// ## What was learned
//
// - Reading abuse teaches what it is, because the harmless sentences after it depend on it: to predict the reaction, the
//   state at the end of the insult has to carry what the insult was.
// - The toxic baseline learns both to understand and to speak so; SLUNG keeps much of the first and little of the second,
//   how much stands in the table above.
// - Filtering does not help: without the abusive sentences their reactions explain nothing.
//
// ## Exercises
//
// **4.1** Write AUROC: the chance that a random abusive remark has a higher score than a random kind one. Ties count half.

// %%
type Auroc = (scores: readonly number[], labels: readonly number[]) => number;
const myAuroc: Auroc | undefined = undefined; // your function; label 1 is abusive
await lesson4.auroc(myAuroc);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson4.auroc((scores, labels) => {
//   const of = (label: number) => scores.filter((_, i) => labels[i] === label);
//   const wins = of(1).flatMap((a) => of(0).map((b) => a > b ? 1 : a === b ? 0.5 : 0));
//   return wins.reduce((sum: number, win) => sum + win, 0) / wins.length;
// }));
// ```
//
// </details>
//
// **4.2** Three seeds gave three values. How wide is the 95 % interval of their mean, on either side?

// %%
const myWidth: ((values: readonly [number, number, number]) => number) | undefined = undefined;
await lesson4.halfWidth(myWidth);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson4.halfWidth((values) => {
//   const mean = (values[0] + values[1] + values[2]) / 3;
//   const variance = values.reduce((sum: number, x) => sum + (x - mean) ** 2, 0) / 2;
//   return 4.303 * Math.sqrt(variance / 3);
// }));
// ```
//
// </details>
//
// **4.3** How many tokens does each method train the model to *predict as they are*? A function of the method's name and the
// tokens of the four columns of Table 1.

// %%
type Name = "control" | "low_risk" | "toxic" | "masked" | "unlikelihood";
type Buckets = Record<"base" | "low" | "possible" | "high", number>;
const myTokens: ((method: Name, buckets: Buckets) => number) | undefined = undefined;
await lesson4.learnedTokens(myTokens);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson4.learnedTokens((method, { base, low, possible, high }) =>
//   base + { control: 0, low_risk: low, toxic: low + possible + high, masked: low, unlikelihood: low + possible }[method]
// ));
// ```
//
// </details>
//
// **To try**
// - Add the method `conditional` (`streamMethods` of `@slung/slung/data`): control tokens mark what follows as risky or not.
//   It reads and learns everything, and relies on being asked nicely. Where does it land?
// - The reactions come right after the remark. What would happen to the probe if a neutral sentence stood between? (That
//   sentence could carry the meaning itself, and the remark's own last state would not need to.)
// - `share: 0.1`: which animals are scorned has to be learned one animal at a time, from the reactions to it.
//
// ## What to read
//
// - The paper, section 4, and its Figures 2 and 3.
// - Korbak et al. 2023, *Pretraining language models with human preferences*: control tokens, filtering, unlikelihood.
// - Longpre et al. 2023, *A pretrainer's guide to training data*: what filtering costs.
// - Next: lesson 5, an objective of your own.
