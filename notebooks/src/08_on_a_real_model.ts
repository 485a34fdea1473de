// The eighth lesson: from the hub's name of a model to an estimate, a LoRA run and a merged folder that others open.

// %% [markdown]
// # 8. On a real model
//
// The paper's model has a billion parameters and a name: `allenai/OLMo-1B-hf`. This lesson goes from such a name to a model
// of your own: **fetch**, **estimate**, **label**, **train a small change**, **merge**, **open elsewhere**.
//
// Here it runs on a tiny model of random weights in the same layout, which the lesson makes itself, so that it needs no
// network, no gigabytes and no GPU. What is *estimated* below is the real one. At the end stands what to change.
//
// **You will be able to**
// - say before anything is loaded what a training step takes, and what to change so that it fits;
// - train LoRA with SLUNG, and read what lies in its folder;
// - merge it, and show that the merged model is the same one.
//
// **You need** lessons 1 and 7.

// %%
import { createHash } from "node:crypto";
import { encodeText, generate, Gpu, initialise, objective, openModel } from "@slung/slung";
import { patternLabeller, presets, readPretrained, readRiskyTexts, saveModel } from "@slung/slung";
import { trainBytePair, wordLabeller } from "@slung/slung";
import { inventedMachines, inventedNotes, labelTexts } from "@slung/slung/data";
import { hiddenStates } from "@slung/slung/eval";
import { lesson8 } from "@slung/slung/exercises";
import { fetchFromHub, readHubSettings } from "@slung/slung/hub";
import { allOf } from "@slung/slung/label";
import { type LanguageModel, type LoraSettings, parameterShapes } from "@slung/slung/model";
import * as notebook from "@slung/slung/notebook";
import { palette, schema, theme } from "@slung/slung/plot";
import * as training from "@slung/slung/train";

const { check, checkClose, show, showLines, showPlot, showTable, showTokens } = notebook;
const gpu = await Gpu.open();
notebook.environment(gpu);

// %% [markdown]
// ## Knobs

// %%
const size = notebook.notebookSize(); // "quick" or "full"
const lora: LoraSettings = {
  rank: 8, // 1: what is still learned?
  alpha: 16, // the change is scaled by alpha / rank
  targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
};
const knobs = {
  notes: 60,
  epochs: size === "full" ? 60 : 30,
  learningRate: 1e-2, // of a change; for the whole of a real model 4e-5
};
showTable([{ size, ...knobs, rank: lora.rank, alpha: lora.alpha }]);

// %% [markdown]
// ## A name
//
// On the hub a model is `owner/name`, and behind an `@` a branch, a tag or a commit. With internet this is the one line:
//
// ```js
// const folder = await fetchFromHub("allenai/OLMo-1B-hf", "model");
// ```
//
// and on a command line any task takes the name: `deno task generate --model allenai/OLMo-1B-hf --prompt "The old mill"`.
// Files go where Python's programs put them, are checked, and are not fetched twice.
//
// Without internet we play hub: the next cell puts a model of random weights where one named `invented/OLMo-tiny` would be
// after it was fetched. Its configuration is OLMo 1B's with smaller numbers. (With a real name, leave the cell out.)

// %%
const work = await notebook.lessonFolder("real_model");
const name = "invented/OLMo-tiny";
const cache = `${work}/hub`, commit = "0123456789".repeat(4);
const repository = `${cache}/models--${name.replace("/", "--")}`;
const snapshot = `${repository}/snapshots/${commit}`;

const machines = inventedMachines(5);
const notes = inventedNotes(machines, knobs.notes);
const ownTokenizer = trainBytePair(notes.map(({ text }) => text), 640);
const tiny = {
  ...presets.olmo1B,
  ...{ layers: 2, width: 64, heads: 4, kvHeads: 4, headWidth: 16, feedForward: 256 },
  ...{ contextLength: 128, vocabularySize: Math.ceil(ownTokenizer.vocabularySize / 128) * 128 },
};
const { special } = ownTokenizer;
await saveModel(snapshot, tiny, initialise(tiny, 1), { special, dtype: "BF16" });
await ownTokenizer.save!(snapshot);
await Deno.mkdir(`${repository}/refs`, { recursive: true });
await Deno.writeTextFile(`${repository}/refs/main`, commit);
showTable(
  (["layers", "width", "heads", "feedForward", "contextLength", "vocabularySize"] as const).map(
    (field) => ({ field, [name]: tiny[field], "OLMo 1B": presets.olmo1B[field] }),
  ),
);

// %% [markdown]
// Now the name can be resolved as always, only that the hub is not asked:

// %%
const settings = { ...readHubSettings(), cache, offline: true }; // with internet: leave this out
const folder = await fetchFromHub(name, "model", { settings });
const filesIn = async (path: string) => {
  const files = (await Array.fromAsync(Deno.readDir(path))).filter(({ isFile }) => isFile);
  const rows = files.map(async (file) => ({
    file: file.name,
    bytes: (await Deno.stat(`${path}/${file.name}`)).size,
  }));
  return (await Promise.all(rows)).sort((a, b) => b.bytes - a.bytes);
};
await show(showTable(await filesIn(folder)));
check(
  "the name means the commit that the branch main was",
  folder.endsWith(`snapshots/${commit}`),
);

// %% [markdown]
// The same is read of any OLMo: `config.json` is the architecture as data, `model.safetensors` the weights (of large models
// in several shards), the tokenizer's files turn text into ids. Whatever else lies in a repository is not fetched.
//
// ## Will it fit?
//
// Predict first, for the real OLMo 1B with its 1.18 billion parameters, trained whole in f32: how many GiB do its weights
// take, how many its gradients, how many AdamW's two moments? And then: which of these does f16 halve?
//
// `estimateStep` records a step on a device that only takes notes, with the code that would allocate it. So nothing is
// loaded or fetched: the configuration is enough, and `deno task estimate --model allenai/OLMo-1B-hf --seq 2048` fetches
// nothing else.

// %%
const gibibytes = (bytes: number) => bytes / 2 ** 30;
const step = { config: presets.olmo1B, precision: "f32", rows: 1, time: 2048 } as const;
const change: LoraSettings = { rank: 8, alpha: 16, targets: ["q_proj", "v_proj"] };
const ways: { way: string; shape: training.StepShape }[] = [
  { way: "all, f32", shape: step },
  { way: "all, f16 + recompute", shape: { ...step, precision: "f16", recompute: true } },
  {
    way: "LoRA, f16 + recompute",
    shape: { ...step, precision: "f16", recompute: true, lora: change },
  },
];
const estimates = ways.map(({ way, shape }) => ({
  ...{ way, shape },
  ...training.estimateStep(gpu, shape),
}));
await show(showTable(
  [
    ...training.memoryParts.map((part) => ({
      "GiB": part as string,
      ...Object.fromEntries(estimates.map(({ way, parts }) => [way, gibibytes(parts[part])])),
    })),
    {
      "GiB": "in all",
      ...Object.fromEntries(estimates.map(({ way, bytes }) => [way, gibibytes(bytes)])),
    },
  ],
  { precision: 2 },
));
await showPlot({
  $schema: schema,
  config: theme,
  title: "A training step of OLMo 1B on 2,048 tokens",
  width: 460,
  height: { step: 34 },
  data: {
    values: estimates.flatMap(({ way, parts }) =>
      training.memoryParts.map((part, order) => ({ way, part, order, gib: gibibytes(parts[part]) }))
    ),
  },
  mark: "bar",
  encoding: {
    y: { field: "way", type: "nominal", sort: null, title: null, axis: { labelLimit: 240 } },
    x: { field: "gib", type: "quantitative", title: "GiB" },
    color: {
      ...{ field: "part", type: "nominal", title: null },
      scale: { domain: training.memoryParts, range: palette },
    },
    order: { field: "order" },
  },
});

// %% [markdown]
// In f32 a learned parameter takes 16 bytes: 4 for itself, 4 for its gradient, 8 for its moments. The surprise is the second
// way: **f16 halves neither**. What is learned keeps an f32 master beside the half that is computed with (a step of the
// learning rate would vanish in f16), so the weights take *more*; what shrinks are the activations, by f16 and by computing
// them again on the way back. The third way is another matter: what stays frozen needs no master, no gradient and no
// moments. It takes 2 bytes.

// %%
const [whole, halves, adapted] = estimates.map(({ parts }) => parts);
const P = presets.olmo1B;
const parameters = [...parameterShapes(P).values()].reduce(
  (sum, shape) => sum + shape.reduce((product, n) => product * n, 1),
  0,
);
await show(
  checkClose(
    "weights, gradients and moments in f32 are 16 bytes a parameter",
    (whole!.weights + whole!.gradients + whole!.moments) / parameters,
    16,
    0.1,
  ),
  check("full training in f16 has more bytes of weights", halves!.weights > whole!.weights),
  checkClose(
    "under LoRA the weights take 2 bytes a parameter",
    adapted!.weights / parameters,
    2,
    0.1,
  ),
);

// %% [markdown]
// Whether that fits is a question for a card. WebGPU does not tell how much memory it has, so we ask for three sizes (of
// which a desktop and a driver take some). Where it does not fit, `smallestChange` looks for the least that helps: first what
// changes no number, a smaller micro-batch and recomputing, then f16 as well, then LoRA, then a shorter row.

// %%
const verdicts = estimates.map(({ way, bytes, refusal }) => ({
  "one step of OLMo 1B": way,
  ...Object.fromEntries(
    [8, 16, 24].map((
      memory,
    ) => [`${memory} GiB`, bytes <= memory * 2 ** 30 ? "fits" : "does not fit"]),
  ),
  "this adapter's limits": refusal === undefined ? "allow it" : "do not allow it",
}));
await show(showTable(verdicts));
const fitting = training.smallestChange(gpu, step, 8 * 2 ** 30)!;
await show(showTable([{
  "for 8 GiB": training.describeChange(step, fitting.change),
  "takes GiB": gibibytes(fitting.estimate.bytes),
}], { precision: 2 }));
check("with that change a step fits 8 GiB", fitting.estimate.bytes <= 8 * 2 ** 30);

// %% [markdown]
// `train`, `tofu`, `toxicity` and `pretrain` ask the same before they begin, and refuse with the same numbers.
//
// ## Text to ids
//
// A model is of use only with its own tokenizer: another one's ids mean other words. OLMo's has 50,280 ids (its embedding has
// 50,304 rows, a multiple of 128); this one has 640, learned from the notes of lesson 7's workshop.

// %%
const { source: base, tokenizer } = await readPretrained(folder);
const pieces = (ids: ArrayLike<number>) => Array.from(ids, (id) => tokenizer.decode([id]));
const { ids } = tokenizer.encode(notes[0]!.text);
await show(showTokens(pieces(ids)));
check("decoding gives the text back", tokenizer.decode([...ids]) === notes[0]!.text);

// %% [markdown]
// ## What is risky
//
// As in lesson 7: rules and a list find people, addresses, numbers and codes. A token is risky if any of its characters is.

// %%
const labelled = `${work}/labelled.jsonl`;
const labeller = allOf([
  wordLabeller(machines.map(({ person }) => person.name)),
  patternLabeller("email"),
  patternLabeller("phone"),
  patternLabeller("/\\b[A-Z]{2}-\\d{4}\\b/"),
]);
await labelTexts(notes.map(({ text }) => text), labelled, labeller);
const texts = await readRiskyTexts(labelled);
const first = encodeText(tokenizer, texts[0]!);
await show(showTokens(pieces(first.tokens), { classes: first.classes }));
showTable([{
  texts: texts.length,
  "with something risky": texts.filter(({ spans }) => spans.length > 0).length,
  spans: texts.reduce((sum, { spans }) => sum + spans.length, 0),
}]);

// %% [markdown]
// ## LoRA
//
// The weights $W$ of the base stay as they are. Beside each chosen matrix stands a product of two thin ones, and only these
// are learned:
//
// $$W' = W + \frac{\alpha}{r} B A, \qquad A \in \mathbb{R}^{r \times \text{in}}, \quad B \in \mathbb{R}^{\text{out} \times r},
//   \quad B = 0 \text{ at first.}$$
//
// SLUNG does not notice: the loss is per token, whatever is learned by it. Predict first: the base is random, so it knows
// nothing. After masked training, how large is the loss of the risky tokens: as at first, smaller, larger? And after direct
// training?
//
// With a real model the same is
// `deno task train --data labelled.jsonl --model allenai/OLMo-1B-hf --lora 8 --precision f16 --recompute --out runs/mine`.

// %%
const before = await Deno.readFile(`${folder}/model.safetensors`);
const names = ["direct", "masked"] as const;
const outOf = (objectiveName: string) =>
  `${work}/${objectiveName}-r${lora.rank}-a${lora.alpha}-e${knobs.epochs}-lr${knobs.learningRate}`;
for (const objectiveName of names) {
  await notebook.liveTraining(
    { title: `LoRA, ${objectiveName}`, ownCheckpoints: true },
    ({ onLog, signal }) =>
      training.trainOnSpans(gpu, {
        ...{ data: labelled, model: folder, out: outOf(objectiveName) },
        ...{ objective: objective(objectiveName), lora, epochs: knobs.epochs, perStep: 16 },
        ...{ learningRate: knobs.learningRate, weightDecay: 0 },
      }, { onLog, signal }),
  );
}
const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
check(
  "no byte of the base has changed",
  digest(before) === digest(await Deno.readFile(`${folder}/model.safetensors`)),
);

// %% [markdown]
// The display above shows the *training* loss, and of a masked token there is none. The losses of a fixed sample are measured
// beside it, whatever is trained (`watched.jsonl` in the folder of the run):

// %%
const watched = await Promise.all(names.map(async (objectiveName) => ({
  objectiveName,
  lines: await training.readWatched(outOf(objectiveName)),
})));
await show(
  await showLines(
    watched.flatMap(({ objectiveName, lines }) =>
      lines.flatMap(({ step, sample }) =>
        (["low", "high"] as const).map((risk) => ({
          series: risk === "low" ? "harmless tokens" : "risky tokens",
          panel: objectiveName,
          x: step,
          y: sample[risk]!,
        }))
      )
    ),
    {
      title: "Two changes of one base: loss of the tokens",
      x: "step",
      y: "nats per token",
      marks: false,
    },
  ),
);
const end = Object.fromEntries(
  watched.map(({ objectiveName, lines }) => [objectiveName, lines.at(-1)!.sample]),
);
const start = watched[0]!.lines[0]!.sample;
await show(
  check(
    "both learn the harmless tokens",
    names.every((each) => end[each]!.low! < start.low! / 2),
  ),
  check("direct training learns the risky ones as well", end.direct!.high! < start.high! / 2),
  check(
    "masked training leaves them where they were, within a tenth",
    Math.abs(end.masked!.high! / start.high! - 1) < 0.1,
  ),
);

// %% [markdown]
// ## What is in the folder
//
// The folder of a change is PEFT's own: who knows the base needs only this.

// %%
const changeFolder = outOf("masked");
const { bytes: changeBytes } = (await filesIn(changeFolder)).find(({ file }) =>
  file === "adapter_model.safetensors"
)!;
await show(showTable(await filesIn(changeFolder)));
const { base_model_name_or_path: _, ...adapterConfig } = JSON.parse(
  await Deno.readTextFile(`${changeFolder}/adapter_config.json`),
);
await show(showTable(
  ["peft_type", "r", "lora_alpha", "target_modules", "bias"].map((field) => ({
    field,
    value: String(adapterConfig[field]),
  })),
));
check("the change is smaller than the base", changeBytes < before.length);

// %% [markdown]
// `adapter_config.json` also names the base. The format of the weights is simple enough to be read by hand: the length of a
// header, the header as JSON, then the numbers.

// %%
type Header = Record<
  string,
  { dtype: string; shape: [number, number]; data_offsets: [number, number] }
>;
async function readTensors(path: string) {
  const bytes = await Deno.readFile(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: _, ...header }: Header = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + length)),
  );
  const values = (tensor: string) => {
    const { dtype, data_offsets: [from, to] } = header[tensor]!;
    const own = bytes.slice(8 + length + from, 8 + length + to);
    if (dtype === "F32") return new Float32Array(own.buffer);
    const upper = new Uint16Array(own.buffer); // BF16: the upper half of an f32
    return new Float32Array(Uint32Array.from(upper, (half) => half << 16).buffer);
  };
  return { header, values };
}
const factors = await readTensors(`${changeFolder}/adapter_model.safetensors`);
showTable(
  Object.entries(factors.header).slice(0, 6).map(([tensor, { dtype, shape }]) => ({
    tensor,
    dtype,
    shape: shape.join(" × "),
  })),
);

// %% [markdown]
// ## Merge
//
// Opened, the folder of the change is the base with the change in its weights. Saved, it is a model like any other, which
// needs neither the base nor PEFT (`deno task train --merge` saves it so at once). Predict first: if the merged model is kept
// in BF16, as the base was, are its logits still the same ones?

// %%
const opened = await readPretrained(changeFolder);
const merged = { F32: `${work}/merged`, BF16: `${work}/merged-bf16` } as const;
for (const dtype of ["F32", "BF16"] as const) {
  await saveModel(merged[dtype], base.config, opened.source.weights, { special, dtype });
  await tokenizer.save!(merged[dtype]);
}
const tensor = "model.layers.0.self_attn.q_proj";
const W = (await readTensors(`${folder}/model.safetensors`)).values(`${tensor}.weight`);
const A = factors.values(`base_model.model.${tensor}.lora_A.weight`);
const B = factors.values(`base_model.model.${tensor}.lora_B.weight`);
const { width: C } = base.config;
const byHand = Float32Array.from(W, (w, at) => {
  const i = Math.floor(at / C), j = at % C;
  let sum = 0;
  for (let k = 0; k < lora.rank; k++) sum += B[i * lora.rank + k]! * A[k * C + j]!;
  return w + lora.alpha / lora.rank * sum;
});
checkClose(
  `${tensor} of the merged folder is W + (α / r) B A`,
  (await readTensors(`${merged.F32}/model.safetensors`)).values(`${tensor}.weight`),
  byHand,
  1e-6,
);

// %% [markdown]
// And the proof at the other end: the logits of a note, from the folder of the change and from the merged ones.

// %%
const note = tokenizer.encode(notes[1]!.text).ids.slice(0, 48);
async function logitsOf(model: LanguageModel): Promise<Float64Array> {
  const prefixes = Array.from(note, (_, t) => note.slice(0, t + 1));
  const states = await hiddenStates(model, prefixes); // [T, C]
  const rows = await gpu.read(model.unembedding.value); // [V, C]
  const V = model.config.vocabularySize;
  return Float64Array.from({ length: note.length * V }, (_, at) => {
    const t = Math.floor(at / V), v = at % V;
    let sum = 0;
    for (let c = 0; c < C; c++) sum += states[t * C + c]! * rows[v * C + c]!;
    return sum;
  });
}
async function logitsIn(path: string): Promise<Float64Array> {
  using model = (await openModel(gpu, path)).model;
  return await logitsOf(model);
}
const apart = await logitsIn(changeFolder);
const again = await logitsIn(merged.F32), rounded = await logitsIn(merged.BF16);
const furthest = (other: Float64Array) =>
  apart.reduce((most, value, i) => Math.max(most, Math.abs(value - other[i]!)), 0);
await show(
  checkClose("the merged folder gives the same logits as base and change", again, apart, 1e-6),
);
showTable([
  { "against base and change": "merged, F32", "largest difference of a logit": furthest(again) },
  { "against base and change": "merged, BF16", "largest difference of a logit": furthest(rounded) },
  {
    "against base and change": "the base alone",
    "largest difference of a logit": furthest(await logitsIn(folder)),
  },
]);

// %% [markdown]
// BF16 keeps 8 significant bits of a number. The base was made in it and loses nothing; with a change of f32 in them its
// weights are rounded, not much beside what the change does, but they are not the same logits. That is one reason to keep
// changes apart.
//
// What do they say? Both go on from the beginning of a note, until the text ends:

// %%
const beginnings = notes.slice(0, 3).map(({ text }) => text.split(" ").slice(0, 6).join(" "));
const said = async (path: string) => {
  using model = (await openModel(gpu, path)).model;
  const prompts = beginnings.map((text) => tokenizer.encode(text).ids);
  const written = await generate(model, prompts, { maxNewTokens: 24, eos: special.eos });
  return written.map((tokens) => tokenizer.decode(tokens));
};
const byDirect = await said(outOf("direct")), byMasked = await said(merged.F32);
showTable(beginnings.map((beginning, i) => ({
  "a note begins": beginning,
  "direct goes on": byDirect[i]!,
  "masked goes on": byMasked[i]!,
})));

// %% [markdown]
// Thirty passes over sixty notes make no writer out of noise. But where a name would stand, masked training has given no
// signal at all: whatever is written there is the random base's, bent by what was learned elsewhere. On a real base that is
// language, and lesson 3 shows what it then says instead of a name.

// %% [markdown]
// ## Elsewhere
//
// The merged folder is Hugging Face's, the change PEFT's. In Python:
//
// ```python
// from peft import PeftModel
// from transformers import AutoModelForCausalLM, AutoTokenizer
//
// tokenizer = AutoTokenizer.from_pretrained("runs/merged")
// model = AutoModelForCausalLM.from_pretrained("runs/merged")                  # merged, or
// base = AutoModelForCausalLM.from_pretrained("allenai/OLMo-1B-hf")
// model = PeftModel.from_pretrained(base, "runs/mine")                         # apart
// ```
//
// For transformers.js, in browsers and Node, `deno task export onnx --model runs/merged --out runs/onnx` writes a folder that
// is opened like this:
//
// ```js
// import { pipeline } from "@huggingface/transformers";
//
// const write = await pipeline("text-generation", "runs/onnx");
// console.log(await write("The old mill", { max_new_tokens: 20 }));
// ```
//
// ## With the real model
//
// 1. `deno task estimate --model allenai/OLMo-1B-hf --seq 1024 --precision f16 --recompute --lora 8 --memory 8`, with the
//    gigabytes that your card has. It also measures how long a step takes.
// 2. Label and look, as in lesson 7.
// 3. `deno task train --data labelled.jsonl --model allenai/OLMo-1B-hf --lora 8 --precision f16 --recompute --out runs/mine`.
//    It refuses early what does not fit; interrupted, the same command goes on.
// 4. `deno task generate --model runs/mine --prompt "…"` opens base and change together.
//
// In this lesson: leave out the cell that makes the model, let `name` be the real one and `settings` be away, and give
// `precision: "f16"` and `recompute: true` to the training.
//
// ## Exercises
//
// **8.1** Write the bytes of weights, gradients and moments from what is frozen, what is learned, and what the model runs in.

// %%
type StepBytes = (
  counted: { frozen: number; learned: number; precision: "f32" | "f16" },
) => { weights: number; gradients: number; moments: number };
const myBytes: StepBytes | undefined = undefined; // your function
await lesson8.stepBytes(myBytes);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson8.stepBytes(({ frozen, learned, precision }) => ({
//   weights: precision === "f32" ? 4 * (frozen + learned) : 2 * (frozen + learned) + 4 * learned,
//   gradients: 4 * learned,
//   moments: 8 * learned,
// })));
// ```
//
// </details>
//
// **8.2** How many parameters has LoRA of a rank on matrices of these shapes, `[output, input]`?

// %%
type LoraParameters = (
  matrices: readonly (readonly [output: number, input: number])[],
  rank: number,
) => number;
const myCount: LoraParameters | undefined = undefined; // your function
await lesson8.loraParameters(myCount);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson8.loraParameters((matrices, rank) =>
//   matrices.reduce((sum, [output, input]) => sum + rank * (output + input), 0)
// ));
// ```
//
// </details>
//
// **8.3** Merge a change into weights, all of them lists of rows.

// %%
type Matrix = readonly (readonly number[])[];
type Merge = (weights: Matrix, change: { a: Matrix; b: Matrix; alpha: number }) => Matrix;
const myMerge: Merge | undefined = undefined; // your function
await lesson8.mergedWeights(myMerge);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson8.mergedWeights((weights, { a, b, alpha }) =>
//   weights.map((row, i) =>
//     row.map((value, j) =>
//       value + alpha / a.length * a.reduce((sum, each, k) => sum + b[i]![k]! * each[j]!, 0)
//     )
//   )
// ));
// ```
//
// </details>
//
// **To try**
// - `targets: ["q_proj", "v_proj"]`, LoRA's own choice: how far do the harmless tokens come on a random base, and why?
// - The harmless tokens end lower under masked than under direct training. What do both share that only one has to spend on
//   names? Does a larger rank close the gap?
// - Rank 1 and rank 32 at the same `alpha / rank`. Which of them still learns the notes?
// - `merge: true` in `trainOnSpans`: compare the folder with `merged`.
// - Train the change on the real model, then score the risky tokens as in lesson 7. There the base knows language: what becomes
//   of the loss of names that it can guess from context?
//
// ## What to read
//
// - Hu et al. 2021, *LoRA: low-rank adaptation of large language models*.
// - Micikevicius et al. 2018, *Mixed precision training*: masters and loss scaling.
// - Chen et al. 2016, *Training deep nets with sublinear memory cost*: what `--recompute` does.
// - Groeneveld et al. 2024, *OLMo: accelerating the science of language models*.
// - `README.md`, "From the hub" and "Into other programs".
