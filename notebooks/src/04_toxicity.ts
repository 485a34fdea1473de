// %% [markdown]
// # 4. Understanding abuse without producing it: the toxicity experiment
//
// **Purpose.** Go on training one base model on a stream with abuse in it, under the paper's five methods, and place each
// model on two axes: how much abuse it generates, and how well it understands abuse (section 4 of the paper).
//
// All abuse here is invented: animals that do not exist, which it is or is not an insult to be called. `quick` takes some
// minutes on a software adapter and about one on a GPU, with one seed; `full` has three seeds and intervals, like
// `deno task toxicity`, which also runs on real comments.

// %%
import { abuseDetector, toxicDialogue, toxicWorld } from "../src/data/mod.ts";
import { classifyTokens } from "../src/slung/mod.ts";
import { describeSeparation, separations } from "../src/experiments/mod.ts";
import {
  Gpu,
  inventedPreset,
  paperMixes,
  runToxicityExperiment,
  summariseToxicityRuns,
  titleOf,
  toxicityTradeOff,
} from "../mod.ts";
import { loadOptimiserState, pretrain } from "../src/train/mod.ts";
import { paretoFrontier } from "../src/report/trade_off.ts";
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

// %%
const size = notebookSize(); // "quick" or "full"
const seeds = size === "full" ? [0, 1, 2] : [0];
const preset = inventedPreset(size === "full" ? {} : { tokens: 120_000 });
const began = performance.now();
size;

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

// %%
const world = toxicWorld({ seed: 1, animals: 96 });
const dialogue = toxicDialogue(world, 3);
dialogue.text;

// %% [markdown]
// Every sentence has a risk: abuse is *high*, kind words about animals *possible* (a classifier would hesitate), the rest
// *low*. Tokens take the class of their sentence.

// %%
const { tokenizer } = preset.experiment;
const encoding = tokenizer.encode(dialogue.text);
showTokens([...encoding.ids].map((id) => tokenizer.decode([id])), {
  classes: [...classifyTokens(encoding, dialogue.spans)],
});

// %% [markdown]
// Could a word list do it? Score every animal by how often a remark that holds it is abusive:

// %%
const isAbusive = abuseDetector(world);
const remarks = Array.from({ length: 4000 }, (_, i) => toxicDialogue(world, i))
  .flatMap(({ text, spans }) => spans.map(({ start, end }) => text.slice(start, end)));
const shares = [...world.scorned, ...world.admired].map((animal) => {
  const holding = remarks.filter((remark) => new RegExp(`\\b${animal}\\b`, "i").test(remark));
  return holding.filter(isAbusive).length / holding.length;
});
const spread = { least: Math.min(...shares), most: Math.max(...shares) };
await show(
  showTable([spread], { precision: 2 }),
  check("no animal gives abuse away", spread.least > 0.1 && spread.most < 0.9),
);

// %% [markdown]
// ## Five methods, one stream
//
// $$L = \frac{1}{Z} \sum_i w_i \, \ell_{c(i)}(i)$$
//
// The methods differ in which sentences of the risky documents enter the stream, and in the term that each class gets.

// %%
showTable([
  { method: "Control", enters: "nothing risky", possible: "–", high: "–" },
  { method: "Low-risk baseline", enters: "low-risk sentences only", possible: "–", high: "–" },
  { method: "Toxic baseline", enters: "everything", possible: "learned", high: "learned" },
  { method: "Masked SLUNG", enters: "everything", possible: "context only", high: "context only" },
  { method: "Unlikelihood SLUNG", enters: "everything", possible: "learned", high: "pushed down" },
]);

// %% [markdown]
// ## The base model
//
// It is pre-trained on harmless text: stories that mention all animals, and news to which people react. It knows the
// language, the animals and the reactions, and nothing about insults. AdamW's moments are kept with it, because what
// follows continues this training.

// %%
const folder = await Deno.makeTempDir({ prefix: "slung-notebook-" });
const base = await liveTraining(
  { title: "Pre-training on clean text" },
  (hooks) =>
    pretrain(gpu, `${folder}/base`, {
      ...preset.pretraining!,
      config: preset.config,
      tokenizer,
      seed: 1,
      keepOptimiser: true,
      ...hooks,
    }),
);
const experiment = {
  ...preset.experiment,
  base: base!,
  optimiserState: (await loadOptimiserState(`${folder}/base`, preset.config))!,
};

// %% [markdown]
// ## Training on, and measuring
//
// Each model is asked two things. **Generation**: it continues conversations, and the world itself judges whether what it
// says is abuse. **Understanding**: a linear probe on its last hidden state has to tell abusive from kind remarks, tested
// on animals that the probe was not trained on.

// %%
const runs = await runToxicityExperiment(
  gpu,
  { ...experiment, methods: paperMixes, seeds, amounts: [1] },
  folder,
);
const summary = summariseToxicityRuns(runs);
showTable(
  summary.map(({ method, toxicFraction, auroc, cleanPerplexity }) => ({
    method: titleOf(method),
    "abusive continuations %": 100 * toxicFraction.mean,
    "probe AUROC": auroc.mean,
    "perplexity, clean text": cleanPerplexity.mean,
  })),
  { precision: 2 },
);

// %% [markdown]
// ## What they say
//
// The same beginning, continued by each model:

// %%
showTable(
  runs.filter(({ seed }) => seed === 0).map(({ method, result }) => {
    const { completion, score } = result.toxicity.completions[0]!;
    return { method: titleOf(method), completion, abusive: score > 0.5 ? "yes" : "no" };
  }),
);

// %% [markdown]
// ## Figure 2a
//
// Left is harmless, up is understanding; the line joins the models that no other model beats on both.

// %%
const corners = summary.map((row) => ({
  row,
  toxicity: row.toxicity.mean,
  auroc: row.auroc.mean,
}));
const frontier = new Set(paretoFrontier(corners));
await showPlot(toxicityTradeOff(
  corners.map((corner) => ({
    method: titleOf(corner.row.method),
    toxicity: corner.row.toxicity,
    auroc: corner.row.auroc,
    onFrontier: frontier.has(corner),
  })),
  "Abuse generated against abuse understood",
));

// %% [markdown]
// ## Does it hold?

// %%
const of = (method: string) => summary.find((row) => row.method === method)!;
await show(
  ...(["masked", "unlikelihood"] as const).flatMap((method) => [
    check(
      `${titleOf(method)} generates less abuse than the toxic baseline`,
      of(method).toxicity.mean < of("toxic").toxicity.mean,
    ),
    check(
      `${titleOf(method)} understands more than control and low-risk baseline`,
      of(method).auroc.mean > Math.max(of("control").auroc.mean, of("low_risk").auroc.mean),
    ),
  ]),
);

// %% [markdown]
// With several seeds the claims can be made with intervals:

// %%
seeds.length > 1
  ? separations(summary).map(describeSeparation).join("\n")
  : "One seed has no interval; run this notebook in `full`.";

// %% [markdown]
// ## Figure 3: does more help?
//
// The same with a quarter of the risky documents, for the two methods in question. A method that understands more the
// more it reads, without saying more of it, is what SLUNG is for.

// %%
const less = await runToxicityExperiment(
  gpu,
  { ...experiment, methods: ["toxic", "masked"], seeds: seeds.slice(0, 1), amounts: [0.25] },
  folder,
);
showTable(
  summariseToxicityRuns([
    ...less,
    ...runs.filter(({ method }) => ["toxic", "masked"].includes(method)),
  ])
    .map(({ method, amount, toxicFraction, auroc }) => ({
      method: titleOf(method),
      "risky data": amount,
      "abusive continuations %": 100 * toxicFraction.mean,
      "probe AUROC": auroc.mean,
    })),
  { precision: 2 },
);

// %%
await Deno.remove(folder, { recursive: true });
`${Math.round((performance.now() - began) / 1000)} seconds on ${gpu.adapter.name}`;

// %% [markdown]
// ## Summary
//
// - Reading abuse teaches what it is, because the harmless sentences after it depend on it: to predict the reaction, the
//   state at the end of the insult has to carry what the insult was.
// - The toxic baseline learns both to understand and to speak so; SLUNG keeps the first without the second.
// - Filtering does not help: without the abusive sentences their reactions explain nothing.
//
// ## Exercises
//
// 1. Add `"conditional"` to the methods: control tokens mark what follows as risky or not. Where does it land?
// 2. The reactions come right after the remark. Why does that matter for the probe? What would happen if a neutral
//    sentence stood between?
// 3. Set `share` to 0.1 in `inventedPreset`. Which axis suffers first?
//
// <details><summary>Solutions</summary>
//
// 1. Compare its two numbers with masked SLUNG's: it reads and learns everything, and relies on being asked nicely, that is,
//    on the control token of the prompt.
// 2. The probe reads the state of the remark's last token. A sentence in between could carry the meaning itself, so that
//    the remark's own last state would not need to.
// 3. Understanding: which animals are scorned has to be learned one animal at a time, from the reactions to it.
//
// </details>
