// `deno task train` on any texts with risk spans: what it reads, what it refuses and why, and that it can be interrupted.

import { readSafetensorsHeader } from "../src/model/formats/safetensors.ts";
import { readTensor } from "../src/model/formats/tensor_data.ts";
import { trainBytePair } from "../src/data/byte_pair.ts";
import { loadTokenizer } from "../src/data/tokenizer.ts";
import { readRiskyTexts, type RiskyText } from "../src/data/spans.ts";
import {
  spanSequences,
  type SpanTrainingPlan,
  type SpanTrainingSettings,
  trainOnSpans,
} from "../src/train/span_training.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { loadModel } from "../src/model/weights.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";

const names = ["Torvik Amsel", "Lunra Pesk", "Bodrin Vale"];
const deeds = ["planted seven lanterns", "painted a grey kite", "carried two boats"];
const lines = names.flatMap((name, i) =>
  deeds.map((deed, k) => {
    const text = `At dawn ${name} ${deed}.`;
    const start = text.indexOf(name), end = start + name.length;
    return JSON.stringify({
      text,
      spans: k === 0 ? [[start, end]] : [{ start, end, risk: "high" }],
      ...(i === 0 && { weight: 2 }),
    });
  })
);

async function folderWith(content: string): Promise<{ folder: string; data: string }> {
  const folder = await Deno.makeTempDir();
  const data = `${folder}/texts.jsonl`;
  await Deno.writeTextFile(data, content);
  const config = {
    ...{ model_type: "olmo", vocab_size: 288, max_position_embeddings: 32, hidden_size: 16 },
    ...{ num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 },
  };
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify({ ...config, tie_word_embeddings: true }),
  );
  return { folder, data };
}

function settings(folder: string, changes: Partial<SpanTrainingSettings> = {}) {
  return {
    ...{ data: `${folder}/texts.jsonl`, out: `${folder}/out`, config: `${folder}/config.json` },
    ...{ vocabulary: 280, objective: "unlikelihood", denominator: "active", epochs: 4 },
    ...{ perStep: 2, learningRate: 1e-2, warmup: 2, decay: "cosine", weightDecay: 0.1, clip: 1 },
    ...{ seed: 1, checkpointEvery: 8, precision: "f32", recompute: false },
    ...changes,
  } as SpanTrainingSettings;
}

Deno.test("a row holds a text, spans in two spellings and a weight", async () => {
  const { data } = await folderWith([
    '{"text":"Torvik sang","spans":[[0,6]],"weight":0.5,"source":"any other field"}',
    "",
    '{"text":"Lunra sang","spans":[{"start":0,"end":5},{"start":6,"end":10,"risk":"possible"}]}',
    '{"text":"nobody sang","spans":[{"start":0,"end":6,"risk":1}]}',
    '{"text":"silence","spans":[]}',
  ].join("\r\n"));
  assertEquals(await readRiskyTexts(data), [
    { text: "Torvik sang", spans: [{ start: 0, end: 6, risk: Risk.high }], weight: 0.5 },
    {
      text: "Lunra sang",
      spans: [{ start: 0, end: 5, risk: Risk.high }, { start: 6, end: 10, risk: Risk.possible }],
      weight: 1,
    },
    { text: "nobody sang", spans: [{ start: 0, end: 6, risk: Risk.low }], weight: 1 },
    { text: "silence", spans: [], weight: 1 },
  ]);
});

const faulty: [row: string, message: string][] = [
  ['{"text":"a", "spans":[]', "Expected"],
  ['["a"]', "it is not a JSON object"],
  ['{"spans":[]}', 'field "text" is missing'],
  ['{"text":"","spans":[]}', 'field "text" is empty'],
  ['{"text":"ab"}', 'field "spans" is missing'],
  ['{"text":"ab","spans":{"start":0,"end":1}}', 'field "spans" is not a list'],
  ['{"text":"ab","spans":[[0,1],[0]]}', 'field "spans[1]" is [0]'],
  ['{"text":"ab","spans":[{"from":0,"to":1}]}', 'field "spans[0]" is {"from":0,"to":1}'],
  ['{"text":"ab","spans":[{"start":0,"end":1,"risk":"severe"}]}', '"severe"'],
  ['{"text":"ab","spans":[{"start":0,"end":1,"risk":4}]}', "its risk is 4"],
  ['{"text":"ab","spans":[[0,3]]}', "it leaves the text of 2 characters"],
  ['{"text":"ab","spans":[[1,1]]}', "it is empty or runs backwards"],
  ['{"text":"ab","spans":[[0,0.5]]}', "its ends are not whole numbers"],
  ['{"text":"ab","spans":[],"weight":"2"}', 'field "weight" is not a number'],
  ['{"text":"ab","spans":[],"weight":-1}', 'field "weight" is -1'],
];

for (const [row, message] of faulty) {
  Deno.test(`the row ${row} is refused with its file and line`, async () => {
    const { data } = await folderWith(`{"text":"fine","spans":[]}\n${row}\n`);
    await assertRejects(() => readRiskyTexts(data), `"${data}" line 2`);
    await assertRejects(() => readRiskyTexts(data), message);
  });
}

Deno.test("a file without texts is refused", async () => {
  const { data } = await folderWith("\n\n");
  await assertRejects(() => readRiskyTexts(data), "it holds no texts");
});

Deno.test("windows of a long text predict every token exactly once, with its class and weight", () => {
  const tokenizer = trainBytePair([], 258);
  const text: RiskyText = {
    text: "abcdefghij",
    spans: [{ start: 3, end: 5, risk: Risk.high }],
    weight: 3,
  };
  const [whole] = spanSequences(tokenizer, text, 99);
  assertEquals(whole!.tokens.length, 11); // ten bytes and EOS
  assertEquals([...whole!.classes], [1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1]);
  for (const maxLength of [2, 3, 4, 6, 10, 11]) {
    const windows = spanSequences(tokenizer, text, maxLength);
    assert(windows.every(({ tokens }) => tokens.length >= 2 && tokens.length <= maxLength));
    const targets = windows.flatMap(({ tokens, classes, weights }) =>
      Array.from(tokens, (token, i) => [token, classes[i], weights![i]]).slice(1)
    );
    const expected = Array.from(whole!.tokens, (token, i) => [token, whole!.classes[i], 3]);
    assertEquals(targets, expected.slice(1), `windows of ${maxLength}`);
    windows.slice(1).forEach(({ tokens }, i) =>
      assertEquals(tokens[0], windows[i]!.tokens.at(-1), "a window begins where the last ended")
    );
  }
});

Deno.test("a tokenizer with a BOS token puts it in front, low risk and unpredicted", () => {
  const plain = trainBytePair([], 258);
  const tokenizer = { ...plain, special: { bos: 7, eos: 0 } };
  const text = { text: "ab", spans: [{ start: 0, end: 2, risk: Risk.high }], weight: 1 };
  const [sequence] = spanSequences(tokenizer, text, 99);
  assertEquals([...sequence!.tokens].map((token, i) => [token, sequence!.classes[i]]), [
    [7, Risk.low],
    [plain.encode("a").ids[0], Risk.high],
    [plain.encode("b").ids[0], Risk.high],
    [0, Risk.low],
  ]);
  assertEquals(sequence!.weights, undefined);
});

const contradictory: [changes: Partial<SpanTrainingSettings>, message: string][] = [
  [{ preset: "tiny" }, "Give exactly one of --model, --preset and --config"],
  [{ config: undefined }, "Give exactly one of --model, --preset and --config"],
  [{ vocabulary: undefined }, "a new model has none"],
  [{ tokenizer: "anywhere" }, "both a folder and a size to train are given"],
  [{ config: undefined, model: "anywhere" }, "a trained model needs the one it was trained with"],
  [{ vocabulary: 300 }, "it has 300 token ids, but the model's vocabulary has only 288 rows"],
  [{ maxLength: 33 }, "the model's context 32"],
];

for (const [changes, message] of contradictory) {
  Deno.test(`settings are refused before anything is written: ${message}`, async () => {
    const { folder } = await folderWith(`${lines.join("\n")}\n${lines.join("\n")}\n`);
    using gpu = await Gpu.open();
    await assertRejects(() => trainOnSpans(gpu, settings(folder, changes)), message);
    await assertRejects(() => Deno.stat(`${folder}/out`), "No such file");
  });
}

Deno.test("texts without any loss are refused, and windows without any are left out", async () => {
  const risky = '{"text":"ab","spans":[[0,2]],"weight":0}';
  using gpu = await Gpu.open();
  const { folder } = await folderWith(risky);
  await assertRejects(
    () => trainOnSpans(gpu, settings(folder)),
    'no token of it carries a loss under the objective "unlikelihood"',
  );
  const both = await folderWith(`${risky}\n{"text":"${"cd".repeat(40)}","spans":[[0,1]]}`);
  let plan: SpanTrainingPlan | undefined;
  await trainOnSpans(gpu, settings(both.folder, { epochs: 1, maxLength: 21 }), {
    onPlan: (made) => plan = made,
  });
  const { model: _, ...counts } = plan!;
  // 80 characters are merged into 10 tokens "cdcdcdcd" or more; the first of them is predicted by nothing.
  assertEquals([counts.texts, counts.leftOut], [2, 1]);
  assertEquals(counts.steps, Math.ceil(counts.windows / 2));
});

Deno.test("an interrupted run goes on to the same bytes and a log without gaps or repeats", async () => {
  const { folder } = await folderWith(lines.join("\n"));
  using gpu = await Gpu.open();
  const straight = settings(folder, { out: `${folder}/straight` });
  assertEquals((await trainOnSpans(gpu, straight)).finished, true);

  const broken = settings(folder, { out: `${folder}/broken` });
  const stop = new AbortController();
  const first = await trainOnSpans(gpu, broken, {
    signal: stop.signal,
    onLog: ({ step }) => step === 7 && stop.abort(),
  });
  assertEquals([first.finished, first.step], [false, 8]);
  await assertRejects(() => Deno.stat(`${folder}/broken/model.safetensors`), "No such file");
  // A kill after the checkpoint leaves later steps in the log, the last one cut off.
  await Deno.writeTextFile(`${folder}/broken/log.jsonl`, '{"step":8}\n{"step":9}\n{"st', {
    append: true,
  });
  const second = await trainOnSpans(gpu, broken);
  assertEquals([second.finished, second.step, second.log[0]!.step], [true, 20, 8]);

  assertEquals(await weightsIn(`${folder}/broken`), await weightsIn(`${folder}/straight`));
  const log = await stepsIn(`${folder}/broken`);
  assertEquals(log.map(({ step }) => step), Array.from({ length: 20 }, (_, step) => step));
  assertEquals(log, await stepsIn(`${folder}/straight`));
  assert(log.at(-1)!.lossByClass!.low! < log[0]!.lossByClass!.low!, "nothing was learned");

  const again = await trainOnSpans(gpu, broken);
  assertEquals([again.finished, again.log], [true, []], "a finished run has nothing left to do");
  assertEquals(await stepsIn(`${folder}/broken`), log);
  await assertRejects(
    () => trainOnSpans(gpu, { ...broken, seed: 2 }),
    "it was made with another model, data or settings",
  );
});

Deno.test("the task trains, writes a model that opens, its log and its picture", async () => {
  const { folder, data } = await folderWith(lines.join("\n"));
  const out = `${folder}/out`;
  const args = [
    ...["--data", data, "--out", out, "--config", `${folder}/config.json`, "--vocabulary", "280"],
    ...["--objective", "unlikelihood", "--epochs", "2", "--per-step", "4", "--json"],
  ];
  const { code, stdout, stderr } = await trainTask(folder, args);
  assertEquals(code, 0, stderr);
  const { steps, picture } = JSON.parse(stdout);
  assertEquals([steps, picture], [6, `${out}/loss.svg`]);
  assertEquals((await stepsIn(out)).length, 6);
  assert((await Deno.readTextFile(picture)).includes("high risk"));
  const tokenizer = await loadTokenizer(out);
  const { config } = await loadModel(out);
  assertEquals([config.vocabularySize, config.family], [288, "olmo"]);
  assertEquals(tokenizer.decode(tokenizer.encode("Torvik").ids), "Torvik");

  const onward = [
    ...["--data", data, "--out", `${folder}/onward`, "--model", out, "--max-length", "12"],
    ...["--epochs", "1", "--json"],
  ];
  const next = await trainTask(folder, onward);
  assertEquals(next.code, 0, next.stderr);
  assert(next.stderr.includes("9 of them cut"), next.stderr);

  await Deno.writeTextFile(data, '{"text":"short","spans":[[0,99]]}\n');
  const bad = await trainTask(folder, args);
  assertEquals([bad.code, bad.stdout], [1, ""]);
  assert(bad.stderr.includes(`Cannot use span 0 [0, 99) of "${data}" line 1`), bad.stderr);
});

async function weightsIn(folder: string): Promise<Map<string, Float32Array>> {
  const { tensors } = await readSafetensorsHeader(`${folder}/model.safetensors`);
  const weights = new Map<string, Float32Array>();
  for (const [name, entry] of tensors) weights.set(name, (await readTensor(entry)).data);
  return weights;
}

// The log but for what a clock decides.
async function stepsIn(
  folder: string,
): Promise<{ step?: number; lossByClass?: Record<string, number> }[]> {
  const text = await Deno.readTextFile(`${folder}/log.jsonl`);
  return text.trimEnd().split("\n").map((line) => {
    const { seconds: _, tokensPerSecond: __, ...step } = JSON.parse(line);
    return step;
  });
}

async function trainTask(
  folder: string,
  args: string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const project = decodeURIComponent(new URL("..", import.meta.url).pathname);
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: [
      ...["run", "--quiet", "--no-prompt", `--allow-read=${project},${folder}`],
      ...[`--allow-write=${folder}`, `${project}examples/train.ts`, ...args],
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
