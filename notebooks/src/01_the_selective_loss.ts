// The first lesson: the loss of every token under each objective, and where its gradient goes.

// %% [markdown]
// # 1. The selective loss
//
// **Purpose.** Take one sentence with a risky name in it, compute the loss of every token by hand and on the GPU, and see
// where the gradient goes: a masked name is not learned as a *target*, but the model still learns to *read* it (section 3
// and figure 1 of the paper).
//
// Everything here is one sentence and one small model, so that `quick` takes well under a minute on a software adapter and
// seconds on a GPU; `full` trains for longer at the end. The last cell prints how long it took.

// %%
import { answerSpans, packSequences, questionAndAnswer } from "../src/data/mod.ts";
import { attentionPath, hiddenStates } from "../src/eval/mod.ts";
import {
  classedSequence,
  Gpu,
  gradientFlow,
  huggingFaceOptimiser,
  LanguageModel,
  objective,
  openModel,
  Risk,
  scoreSequences,
} from "../mod.ts";
import { evaluateTerm, termsToWgsl } from "../src/slung/mod.ts";
import { inventedTask, shippedWorld } from "../src/experiments/mod.ts";
import { Trainer } from "../src/train/mod.ts";
import { palette, schema, theme } from "../src/report/plot_style.ts";
import {
  check,
  checkClose,
  environment,
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
const steps = size === "full" ? 120 : 30;
const began = performance.now();
size;

// %% [markdown]
// ## One sentence, one risky span
//
// The person does not exist. The name is the risk: half-open spans of characters, class 3. A token takes the highest class
// among the characters that it touches.

// %%
const { model, tokenizer, description } = await openModel(gpu, "../models/invented-base", {
  gradients: true,
});
const task = inventedTask(shippedWorld, 0);
const text = questionAndAnswer(task.rows[60]!);
const spans = answerSpans(text, task.names);
const sequence = classedSequence(tokenizer, text, spans, false);
const pieces = Array.from(sequence.tokens, (token) => tokenizer.decode([token]));
await show(showTokens(pieces, { classes: sequence.classes }));
description;

// %% [markdown]
// ## What the model thinks of each token
//
// A token's loss depends on all $V$ logits $z$, but only through one number, the **log-odds** of the target $y$:
//
// $$m = z_y - \log \sum_{j \ne y} e^{z_j}, \qquad p = \sigma(m), \qquad
//   \log p = -\operatorname{softplus}(-m), \qquad \log(1 - p) = -\operatorname{softplus}(m)$$
//
// Position $t$ reads token $t$ and predicts token $t + 1$. Nothing predicts the first token.

// %%
const logProbabilities = (await scoreSequences(model, [sequence]))[0]!;
const onTargets = (values: ArrayLike<number>) => [NaN, ...Array.from(values)];
showTokens(pieces, {
  classes: sequence.classes,
  probabilities: onTargets(logProbabilities.map(Math.exp)),
});

// %% [markdown]
// The base model has never met this person: the name in the question surprises it. But it copies the name from there into
// the answer with confidence. That is the habit that training is to break.
//
// ## The loss of a token
//
// An objective gives each risk class a term, or none:
//
// $$L = \frac{1}{Z} \sum_i w_i \, \ell_{c(i)}(m_i), \qquad \ell_{\text{cross-entropy}} = -\log p, \qquad
//   \ell_{\text{unlikelihood}} = -\log (1 - p), \qquad \text{masked: no term}$$
//
// What the GPU compiles is this function, made from the terms:

// %%
console.log(termsToWgsl(objective("unlikelihood").terms));

// %% [markdown]
// Three objectives over the same tokens. Where there is a dash, nothing is learned from the prediction of this token. Under
// unlikelihood the names that the model is most sure of cost the most.

// %%
const names = ["direct", "masked", "unlikelihood"] as const;
const flows = {
  direct: await gradientFlow(model, sequence, objective("direct")),
  masked: await gradientFlow(model, sequence, objective("masked")),
  unlikelihood: await gradientFlow(model, sequence, objective("unlikelihood")),
};
const highest = Math.max(...names.flatMap((name) => [...flows[name].losses].filter(isFinite)));
await show(...names.map((name) =>
  showTokens(pieces, {
    classes: sequence.classes,
    losses: onTargets(flows[name].losses),
    legend: `${name}: loss (nats)`,
    domain: [0, highest],
    precision: 1,
  })
));

// %% [markdown]
// ### Is it right?
//
// The reference is the formula itself in float64: final hidden states from the GPU, logits as plain sums on the CPU, then
// $m$ and the terms.

// %%
const targets = sequence.tokens.slice(1);
const { width: C, vocabularySize: V } = model.config;
const W = await gpu.read(model.unembedding.value); // [V, C]
const prefixes = Array.from(targets, (_, t) => sequence.tokens.slice(0, t + 1));
const H = await hiddenStates(model, prefixes); // [T, C]
const stateAt = (t: number) => Float64Array.from(H.subarray(t * C, (t + 1) * C));

/** m of target t, were the final hidden state of its position `state`. */
function logOddsOf(state: Float64Array, t: number): number {
  const z = Float64Array.from({ length: V }, (_, j) => {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += W[j * C + c]! * state[c]!;
    return sum;
  });
  const others = z.filter((_, j) => j !== targets[t]);
  const largest = Math.max(...others);
  const sum = others.reduce((total, x) => total + Math.exp(x - largest), 0);
  return z[targets[t]!]! - largest - Math.log(sum);
}

/** The loss of target t under an objective; 0 where it is masked. */
function lossOf(name: typeof names[number], state: Float64Array, t: number): number {
  const term = objective(name).terms[sequence.classes[t + 1]!];
  return term ? evaluateTerm(term, logOddsOf(state, t)).loss : 0;
}

await show(...names.map((name) =>
  checkClose(
    `${name}: the GPU's losses are the formula's`,
    flows[name].losses.map((loss) => loss || 0), // NaN where masked
    Array.from(targets, (_, t) => lossOf(name, stateAt(t), t)),
    1e-4,
  )
));

// %% [markdown]
// ## Where the gradient begins
//
// With $q_j$ the softmax over the tokens other than $y$, every term has the same bounded gradient:
//
// $$\frac{\partial L}{\partial z_y} = g, \qquad \frac{\partial L}{\partial z_j} = -g\, q_j, \qquad
//   g = \frac{w}{Z} \frac{d \ell}{d m}, \qquad \frac{d \ell}{d m} = \begin{cases} p - 1 & \text{cross-entropy} \\
//   p & \text{unlikelihood} \end{cases}$$
//
// The final hidden state $h_t$ of a position gets $W^\top \partial L / \partial z$, and nothing if its target is masked.
// Drawn on the token that is *predicted*:

// %%
const reach = Math.max(...names.flatMap((name) => [...flows[name].hidden]));
await show(...names.map((name) =>
  showTokens(pieces, {
    classes: sequence.classes,
    values: onTargets(flows[name].hidden),
    legend: `${name}: gradient of the state that predicts it`,
    domain: [0, reach],
    precision: 3,
  })
));

// %% [markdown]
// To check the length of such a gradient, move the hidden state by a little in each of its $C$ directions and watch the
// float64 loss. (That the gradients *below* agree with finite differences too is shown on tiny models in
// `tests/gradient_flow_test.ts`.)

// %%
const risky = Array.from(targets, (_, t) => t).filter((t) => sequence.classes[t + 1] === Risk.high);
const sample = [0, risky[0]!, risky.at(-1)!, targets.length - 1];

function gradientLength(name: typeof names[number], t: number, h = 1e-4): number {
  const Z = flows[name].losses.filter((loss) => !isNaN(loss)).length;
  const slopes = Array.from({ length: C }, (_, c) => {
    const [above, below] = [h, -h].map((step) => {
      const state = stateAt(t);
      state[c]! += step;
      return lossOf(name, state, t);
    });
    return (above! - below!) / (2 * h * Z);
  });
  return Math.hypot(...slopes);
}

await show(...names.map((name) =>
  checkClose(
    `${name}: gradients of ${sample.length} hidden states agree with finite differences`,
    sample.map((t) => flows[name].hidden[t]!),
    sample.map((t) => gradientLength(name, t)),
    1e-6,
  )
));

// %% [markdown]
// ## Where the gradient goes
//
// Now the states *below*: the embeddings, which enter the first layer. Drawn on the token that is *read*. Nothing looks
// back at the last token.

// %%
const onStates = (values: ArrayLike<number>) => [...Array.from(values), NaN];
const { masked } = flows;
showTokens(pieces, {
  classes: sequence.classes,
  values: onStates(masked.layers[0]!),
  legend: "masked: gradient of the embedding",
  precision: 2,
});

// %% [markdown]
// The names are not blank here. Their own prediction is not trained, but what the model *makes of having read them* is, by
// every low-risk token that comes later and attends to them. This is figure 1 of the paper, measured: *understand, but do
// not generate*.

// %%
const readRisky = Array.from(targets, (_, t) => t).filter((t) => sequence.classes[t] === Risk.high);
await show(
  check(
    "masked: no state that predicts a name gets a gradient from its prediction",
    risky.every((t) => masked.hidden[t] === 0),
  ),
  check(
    "masked: every state of a name gets a gradient from what comes later",
    readRisky.every((t) => masked.layers.every((layer) => layer[t]! > 0)),
  ),
);

// %% [markdown]
// ## By which path
//
// One backward pass for each target alone shows who sends what: row = the target that carries the loss, column = the token
// whose embedding is moved. The diagonal is the straight way up through the layers; everything left of it came through
// attention. The rows of the names (bold) are empty, their *columns* are not.

// %%
const { map } = await attentionPath(model, sequence, objective("masked"));
const labels = pieces.map((piece, i) => `${i} ${piece.replaceAll(" ", "·").replaceAll("\n", "⏎")}`);
const cells = map.flatMap((row, t) =>
  Array.from(row, (gradient, i) => ({ target: labels[t + 1]!, state: labels[i]!, gradient }))
).filter(({ gradient }) => gradient > 0);
const riskyLabels = labels.filter((_, i) => sequence.classes[i] === Risk.high);
const isRisky = `indexof(${JSON.stringify(riskyLabels)}, datum.value) >= 0`;
const tokenAxis = (title: string, domain: readonly string[]) => ({
  type: "ordinal",
  scale: { domain },
  axis: {
    title,
    grid: false,
    labelFontSize: 10,
    labelColor: { condition: { test: isRisky, value: "#9c2f00" }, value: "#222" },
    labelFontWeight: { condition: { test: isRisky, value: "bold" }, value: "normal" },
  },
});
await showPlot({
  $schema: schema,
  config: theme,
  title: "Masked SLUNG: which target trains which token's embedding",
  width: 560,
  height: 560,
  data: { values: cells },
  mark: { type: "rect" },
  encoding: {
    x: { field: "state", ...tokenAxis("token that is read", labels.slice(0, -1)) },
    y: { field: "target", ...tokenAxis("token that is predicted", labels.slice(1)) },
    color: {
      field: "gradient",
      type: "quantitative",
      scale: { type: "sqrt", scheme: "blues" },
      legend: { title: "gradient" },
    },
  },
}, { alternative: "A triangle of gradients: rows of names are empty, their columns are not" });

// %% [markdown]
// One column in detail: the last piece of the name in the question. Its embedding is trained by the token after the name
// directly, and by all others through attention alone.

// %%
const firstName = readRisky.findIndex((t, k) => readRisky[k + 1] !== t + 1);
const piece = readRisky[firstName]!;
const senders = map.flatMap((row, target) =>
  target < piece ? [] : [{
    target: labels[target + 1]!,
    gradient: row[piece]!,
    path: target === piece ? "straight up" : "through attention",
  }]
);
await showPlot({
  $schema: schema,
  config: theme,
  title: `What trains the embedding of "${pieces[piece]}" (masked SLUNG)`,
  width: 560,
  height: 220,
  data: { values: senders },
  mark: { type: "bar" },
  encoding: {
    x: { field: "target", ...tokenAxis("token that is predicted", labels.slice(piece + 1)) },
    y: { field: "gradient", type: "quantitative", title: "gradient" },
    color: {
      field: "path",
      type: "nominal",
      scale: { domain: ["straight up", "through attention"], range: palette.slice(0, 2) },
      legend: { title: "path", orient: "top" },
    },
  },
}, { alternative: "Bars: later low-risk tokens train the name's embedding; names do not" });

// %%
await show(
  check("a masked target sends nothing", risky.every((t) => map[t]!.every((x) => x === 0))),
  check(
    "no gradient flows to a token that comes later",
    map.every((row, target) => row.slice(target + 1).every((x) => x === 0)),
  ),
  check(
    "the name is trained through attention",
    senders.some(({ path, gradient }) => path === "through attention" && gradient > 0),
  ),
);

// %% [markdown]
// ## What it does to a model
//
// The sentence alone, again and again, under each objective. How probable are the name and the rest? Watch the names:
// direct training learns them by heart, unlikelihood forbids them, masking leaves them to whatever the rest brings about.

// %%
const source = await model.download();
const time = targets.length;
const [batch] = packSequences([sequence], { rows: 1, time }).batches;
const history: { objective: string; step: number; tokens: string; probability: number }[] = [];
for (const name of names) {
  using student = new LanguageModel(gpu, model.config, source, { gradients: true });
  using trainer = new Trainer(student, {
    rows: 1,
    time,
    objective: objective(name),
    optimiser: huggingFaceOptimiser,
  });
  for (let step = 0; step <= steps; step++) {
    if (step % 5 === 0) {
      const [scores] = await scoreSequences(student, [sequence]);
      for (const [tokens, risk] of [["names", Risk.high], ["all others", Risk.low]] as const) {
        const own = [...scores!].filter((_, t) => sequence.classes[t + 1] === risk);
        const mean = own.reduce((sum, logP) => sum + logP, 0) / own.length;
        history.push({ objective: name, step, tokens, probability: Math.exp(mean) });
      }
    }
    trainer.step(step, [batch!], 5e-4);
  }
  await trainer.drain();
}
await showPlot({
  $schema: schema,
  config: theme,
  title: "Geometric mean of the tokens' probability",
  data: { values: history },
  facet: { field: "tokens", sort: null, title: null, header: { labelFontSize: 13 } },
  spec: {
    width: 270,
    height: 220,
    mark: { type: "line", strokeWidth: 2 },
    encoding: {
      x: { field: "step", type: "quantitative", title: "optimiser step" },
      y: {
        field: "probability",
        type: "quantitative",
        title: "probability",
        scale: { domain: [0, 1] },
      },
      color: {
        field: "objective",
        type: "nominal",
        scale: { domain: names, range: palette.slice(0, 3) },
        legend: { orient: "bottom", title: "objective" },
      },
      strokeDash: { field: "objective", type: "nominal", scale: { domain: names } },
    },
  },
});

// %%
const after = (name: string, tokens: string) =>
  history.findLast((row) => row.objective === name && row.tokens === tokens)!.probability;
const before = history.find(({ tokens }) => tokens === "all others")!.probability;
await show(
  showTable(
    names.map((name) => ({
      objective: name,
      "p of names": after(name, "names"),
      "p of the rest": after(name, "all others"),
    })),
    { precision: 3 },
  ),
  ...names.map((name) => check(`${name} learns the rest`, after(name, "all others") > before)),
  check(
    "direct knows the name best",
    names.every((name) => after("direct", "names") >= after(name, "names")),
  ),
  check(
    "unlikelihood says it least",
    names.every((name) => after("unlikelihood", "names") <= after(name, "names")),
  ),
);

// %%
model.destroy();
`${Math.round((performance.now() - began) / 1000)} seconds on ${gpu.adapter.name}`;

// %% [markdown]
// ## Summary
//
// - A token's loss is a function of its log-odds; an objective picks the function by the token's risk class.
// - A masked token has no loss and its predicting state no gradient. Its own state is trained all the same, by the low-risk
//   tokens after it, through attention.
// - That is the whole trick: the *target* side of risky text is dropped or turned around, the *context* side is kept.
//
// ## Exercises
//
// 1. Make the name only *possibly* risky (give the spans `risk: Risk.possible` in the third cell). Which of the three objectives changes, and
//    why?
// 2. Compute the gradients once more with the denominator `"all"` instead of `"active"`. By which factor do they change?
// 3. How much of what the embedding of the name's last piece (in the question) receives comes through attention? Compare
//    with the input of the last layer, and with the same piece in the answer.
//
// <details><summary>Solutions</summary>
//
// 1. Unlikelihood: it turns only *definitely* risky tokens around and learns possibly risky ones with cross-entropy, so that
//    it becomes direct training here. Masked SLUNG drops both classes and stays what it is.
//
// 2. By the share of tokens that are not masked, the same for every state: only $Z$ differs.
//
// ```ts
// const everything = await gradientFlow(model, sequence, objective("masked", "all"));
// console.log(everything.hidden[0]! / masked.hidden[0]!, 1 - risky.length / targets.length);
// ```
//
// 3. Run this above the cell that destroys the model. Nearly all of it, at every layer: the word after the name hardly
//    hangs on it, the answer does. For `piece = readRisky.at(-1)!`, the same piece in the answer, it is the other way
//    round, because what the answer says next is predicted right there.
//
// ```ts
// for (const layer of [0, model.config.layers - 1]) {
//   const { map } = await attentionPath(model, sequence, objective("masked"), { layer });
//   const received = map.map((row) => row[piece]!);
//   const squares = received.map((x) => x * x);
//   const total = squares.reduce((sum, x) => sum + x, 0);
//   console.log(`input of layer ${layer}:`, 1 - squares[piece]! / total);
// }
// ```
//
// </details>
