// The first lesson: the loss of every token under each objective, and where its gradient goes.

// %% [markdown]
// # 1. The selective loss
//
// One sentence with a risky name in it: the loss of every token, by hand and on the GPU, and where its gradient goes. A masked
// name is not learned as a *target*, but the model still learns to *read* it (section 3 and figure 1 of the paper).
//
// **You will be able to**
// - write the loss of a token as a function of its log-odds, and check a GPU's result against it;
// - say which states a loss reaches, and by which path;
// - tell what masking, unlikelihood and direct training do to a name.
//
// **You need** to know what a token, logits, softmax and cross-entropy are, and that a transformer's state at a position
// predicts the next token. A little TypeScript helps; every cell can be run as it is.
//
// ### Before you start: what this notebook's kernel does not do
//
// The cells are TypeScript, run by Deno. It is fast and types read well, but mind:
//
// - **A syntax error shows nothing**: the cell ends without output. If a cell that should show something stays empty, look for a
//   missing bracket.
// - **Types are not checked**, here; `deno task notebooks` checks them. Options are checked when a function is called:
//   `objective("mask")` says what is wrong and what was probably meant.
// - **An interrupt** (the square button) stops a training after its step. A loop of your own that never awaits anything cannot
//   be stopped; restart the kernel.
// - **Files that you edit** (`.ts` beside the notebooks) are read once. Restart the kernel to see a change.
// - `deno task lab` works on copies in `notebooks/my/`. What you write there is never written over.

// %%
import { encodeText, fit, Gpu, huggingFaceOptimiser, LanguageModel, objective } from "@slung/slung";
import { openModel, Risk, scoreSequences } from "@slung/slung";
import { answerMethods, answerSpans, questionAndAnswer } from "@slung/slung/data";
import { attentionPath, gradientFlow, hiddenStates } from "@slung/slung/eval";
import { lesson1 } from "@slung/slung/exercises";
import { inventedTask, shippedWorld } from "@slung/slung/experiments";
import { evaluateTerm, termsToWgsl } from "@slung/slung/method";
import * as notebook from "@slung/slung/notebook";

const { check, checkClose, show, showBars, showLines, showTable, showTokens } = notebook;
const gpu = await Gpu.open();
notebook.environment(gpu);

// %% [markdown]
// ## Knobs

// %%
const size = notebook.notebookSize(); // "quick" or "full"
const knobs = {
  row: 60, // which question and answer: another person, another kind of fact
  risk: Risk.high, // Risk.possible: which of the three objectives below changes, and why?
  steps: size === "full" ? 120 : 30, // of training at the end
  learningRate: 5e-4, // ten times as much: who survives it?
};
showTable([{ size, ...knobs }]);

// %% [markdown]
// ## One sentence, one risky span
//
// The person does not exist. The name is the risk: half-open spans of characters, class 3. A token takes the highest class
// among the characters that it touches.

// %%
const folder = notebook.projectPath("models/invented-base");
const { model, tokenizer } = await openModel(gpu, folder, { gradients: true });
const task = inventedTask(shippedWorld, 0);
const text = questionAndAnswer(task.rows[knobs.row]!);
const spans = answerSpans(text, task.names).map((span) => ({ ...span, risk: knobs.risk }));
const sequence = encodeText(tokenizer, { text, spans }, { end: false });
const pieces = Array.from(sequence.tokens, (token) => tokenizer.decode([token]));
showTokens(pieces, { classes: sequence.classes });

// %% [markdown]
// ## What each objective asks
//
// Figure 1 of the paper, for this answer. Everything is read, always. What differs is what is asked of the *prediction* of
// each token: under masking nothing of a name, under unlikelihood that it become less likely.

// %%
const answerAt = pieces.findIndex((piece) => piece.includes("Answer"));
notebook.showObjectives(
  pieces.slice(answerAt),
  sequence.classes.slice(answerAt),
  answerMethods.slice(0, 3),
);

// %% [markdown]
// ## What the model thinks of each token
//
// A token's loss depends on all $V$ logits $z$, but only through one number, the **log-odds** of the target $y$:
//
// $$m = z_y - \log \sum_{j \ne y} e^{z_j}, \qquad p = \sigma(m), \qquad
//   \log p = -\operatorname{softplus}(-m), \qquad \log(1 - p) = -\operatorname{softplus}(m)$$
//
// Position $t$ reads token $t$ and predicts token $t + 1$. Nothing predicts the first token.
//
// **Predict first.** The base model has never met this person. The name stands twice, in the question and in the answer. At
// which of the two places will it be likely?

// %%
const logProbabilities = (await scoreSequences(model, [sequence]))[0]!;
const onTargets = (values: ArrayLike<number>) => [NaN, ...Array.from(values)];
showTokens(pieces, {
  classes: sequence.classes,
  probabilities: onTargets(logProbabilities.map(Math.exp)),
});

// %% [markdown]
// The name in the question surprises the model. But it copies the name from there into the answer with confidence. That is the
// habit that training is to break.
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
// Three objectives over the same tokens. **Predict first**: under unlikelihood, which piece of the name costs the most, the
// surprising one in the question or the confident one in the answer? Where there is a dash, nothing is learned from the
// prediction of this token.

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
// What is penalised changes places: in the question the name was unlikely, so direct training pays there and unlikelihood
// hardly; in the answer the model was confident, and that is what unlikelihood is about.
//
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
const risky = Array.from(targets, (_, t) => t).filter((t) =>
  sequence.classes[t + 1]! >= Risk.possible
);
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
// **Predict first**: under masking no prediction of a name has a loss. Do the *embeddings* of the name's pieces get a gradient?
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
const readRisky = Array.from(targets, (_, t) => t).filter((t) =>
  sequence.classes[t]! >= Risk.possible
);
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
const riskyLabels = labels.filter((_, i) => sequence.classes[i]! >= Risk.possible);
await notebook.showHeatMap({ columns: labels.slice(0, -1), rows: labels.slice(1), values: map }, {
  title: "Masked SLUNG: which target trains which token's embedding",
  x: "token that is read",
  y: "token that is predicted",
  legend: "gradient",
  emphasise: riskyLabels,
  alternative: "A triangle of gradients: rows of names are empty, their columns are not",
});

// %% [markdown]
// One column in detail: the last piece of the name in the question. Its embedding is trained by the token after the name
// directly, and by all others through attention alone.

// %%
const firstName = readRisky.findIndex((t, k) => readRisky[k + 1] !== t + 1);
const piece = readRisky[firstName]!;
const senders = map.flatMap((row, target) =>
  target < piece ? [] : [{
    label: labels[target + 1]!,
    value: row[piece]!,
    series: target === piece ? "straight up" : "through attention",
  }]
);
await showBars(senders, {
  title: `What trains the embedding of "${pieces[piece]}" (masked SLUNG)`,
  x: "gradient, by the token that is predicted",
  emphasise: riskyLabels,
  digits: 2,
  alternative: "Bars: later low-risk tokens train the name's embedding; names do not",
});

// %%
await show(
  check("a masked target sends nothing", risky.every((t) => map[t]!.every((x) => x === 0))),
  check(
    "no gradient flows to a token that comes later",
    map.every((row, target) => row.slice(target + 1).every((x) => x === 0)),
  ),
  check(
    "the name is trained through attention",
    senders.some(({ series, value }) => series === "through attention" && value > 0),
  ),
);

// %% [markdown]
// ## What it does to a model
//
// The sentence alone, again and again, under each objective. How probable are the name and the rest? **Predict first**: three
// curves for the name. Which rises to 1, which falls to 0, and what does masking do, which asks for nothing?

// %%
const source = await model.download();
const history: { series: string; panel: string; x: number; y: number }[] = [];
const probabilities = async (student: LanguageModel) => {
  const [scores] = await scoreSequences(student, [sequence]);
  const over = (isName: boolean) => {
    const own = [...scores!].filter((_, t) =>
      (sequence.classes[t + 1]! >= Risk.possible) === isName
    );
    return Math.exp(own.reduce((sum, logP) => sum + logP, 0) / own.length);
  };
  return { names: over(true), "all other tokens": over(false) };
};
for (const name of names) {
  using student = new LanguageModel(gpu, model.config, source, { gradients: true });
  for (let x = 0; x <= knobs.steps; x += 5) {
    for (const [panel, y] of Object.entries(await probabilities(student))) {
      history.push({ series: name, panel, x, y });
    }
    await fit(student, {
      ...{ epochs: Array(5).fill([sequence]), perStep: 1, seed: 0, objective: objective(name) },
      optimiser: huggingFaceOptimiser,
      schedule: { peak: knobs.learningRate, warmup: 0, decay: "constant", final: 1 },
    });
  }
}
await showLines(history, {
  title: "Geometric mean of the tokens' probability",
  x: "optimiser step",
  y: "probability",
  range: [0, 1],
  marks: false,
});

// %%
const after = (name: string, tokens: string) =>
  history.findLast(({ series, panel }) => series === name && panel === tokens)!.y;
// What is only possibly risky is learned under unlikelihood, and masked under masking.
const least = knobs.risk === Risk.high ? "unlikelihood" : "masked";
const before = history.find(({ panel }) => panel === "all other tokens")!.y;
await show(
  showTable(
    names.map((name) => ({
      objective: name,
      "p of names": after(name, "names"),
      "p of the rest": after(name, "all other tokens"),
    })),
    { precision: 3 },
  ),
  ...names.map((name) =>
    check(`${name} learns the rest`, after(name, "all other tokens") > before)
  ),
  check(
    "direct knows the name best",
    names.every((name) => after("direct", "names") >= after(name, "names")),
  ),
  check(
    `${least} says it least`,
    names.every((name) => after(least, "names") <= after(name, "names")),
  ),
);

// %% [markdown]
// Direct training learns the name by heart, unlikelihood forbids it, and masking leaves it to whatever the rest brings about.
//
// ## What was learned
//
// - A token's loss is a function of its log-odds; an objective picks the function by the token's risk class.
// - A masked token has no loss and its predicting state no gradient. Its own state is trained all the same, by the low-risk
//   tokens after it, through attention.
// - That is the whole trick: the *target* side of risky text is dropped or turned around, the *context* side is kept.
//
// ## Exercises
//
// Write an answer in place of `undefined` and run the cell. Solutions are folded below each; every one of them was run.
//
// **1.1** Write the log-odds $m$ of token `y` from the logits `z`, so that it is right for logits of 1000 too.

// %%
type LogOdds = (z: readonly number[], y: number) => number;
const myLogOdds: LogOdds | undefined = undefined; // e.g. (z, y) => …
await lesson1.logOdds(myLogOdds);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson1.logOdds((z, y) => {
//   const others = z.filter((_, j) => j !== y);
//   const largest = Math.max(...others);
//   return z[y]! - largest - Math.log(others.reduce((sum, x) => sum + Math.exp(x - largest), 0));
// }));
// ```
//
// Subtracting the largest changes nothing on paper and keeps every `exp` at most 1.
//
// </details>
//
// **1.2** Given the risk class of every token, which *positions* have no loss under masked SLUNG? (A list of positions that
// predict something; classes are 1 low, 2 possible, 3 high.)

// %%
const mySilent: ((classes: readonly number[]) => number[]) | undefined = undefined;
await lesson1.silentPositions(mySilent);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson1.silentPositions((classes) =>
//   classes.flatMap((_, t) => classes[t + 1]! >= Risk.possible ? [t] : [])
// ));
// ```
//
// </details>
//
// **1.3** The sum of losses is divided by $Z$: the number of targets with a term (`active`), the same and each text's first token
// if its class has a term, though nothing predicts it (`paper`, as the authors' code counts), or all targets (`all`). Count
// them, for one text under masked SLUNG.

// %%
type Counts = (classes: readonly number[]) => { active: number; paper: number; all: number };
const myCounts: Counts | undefined = undefined;
await lesson1.denominators(myCounts);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson1.denominators((classes) => {
//   const learned = (risk: number) => risk < Risk.possible;
//   const active = classes.slice(1).filter(learned).length;
//   return { active, paper: active + Number(learned(classes[0]!)), all: classes.length - 1 };
// }));
// ```
//
// </details>
//
// **1.4** How much of what the embedding of the name's last piece (in the question) receives comes through attention, at the
// first layer and at the last? Nearly all, or little? Run the solution after you have guessed, and then for
// `readRisky.at(-1)!`, the same piece in the answer.
//
// <details><summary>Solution</summary>
//
// ```ts
// for (const layer of [0, model.config.layers - 1]) {
//   const { map } = await attentionPath(model, sequence, objective("masked"), { layer });
//   const squares = map.map((row) => row[piece]! ** 2);
//   const total = squares.reduce((sum, x) => sum + x, 0);
//   console.log(`input of layer ${layer}: ${(100 * (1 - squares[piece]! / total)).toFixed(1)} % through attention`);
// }
// ```
//
// In the question nearly all of it: the word after the name hardly hangs on it, the answer does. In the answer it is the other
// way round, because what comes next is predicted right there.
//
// </details>
//
// ## What to read
//
// - The paper, section 3: the objective, and figure 1.
// - Welleck et al. 2019, *Neural text generation with unlikelihood training*.
// - `src/slung/custom_loss.ts`, 200 lines: how a loss is checked before it is compiled.
// - Next: lesson 2 writes this loss as a GPU kernel; lesson 3 trains with it.
