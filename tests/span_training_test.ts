// `deno task train` on any texts with risk spans: what it reads, what it refuses and why, and that it can be interrupted.

import { fileURLToPath } from "node:url";
import { readSafetensorsHeader } from "../src/model/formats/safetensors.ts";
import { readTensor } from "../src/model/formats/tensor_data.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import {
  type SpanTrainingPlan,
  type SpanTrainingSettings,
  trainOnSpans,
} from "../src/train/span_training.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { loadModel } from "../src/model/weights.ts";
import { objective } from "../src/slung/objective.ts";
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
    ...{ vocabulary: 280, objective: objective("unlikelihood"), epochs: 4, perStep: 2 },
    ...{ learningRate: 1e-2, warmup: 2, decay: "cosine", weightDecay: 0.1, maxGradientNorm: 1 },
    ...{ seed: 1, checkpointEvery: 8, precision: "f32", recompute: false },
    ...changes,
  } as SpanTrainingSettings;
}

const contradictory: [changes: Partial<SpanTrainingSettings>, message: string][] = [
  [{ model: "olmo20M" }, "Cannot choose a model: both --model and --config are given"],
  [
    { config: undefined },
    "Cannot choose a model: none is given. Give --model with a folder or one",
  ],
  [{ vocabulary: undefined }, "a new model has none"],
  [{ tokenizer: "anywhere" }, "both a folder and a size to train are given"],
  [{ config: undefined, model: "anywhere" }, "a trained model needs the one it was trained with"],
  [{ vocabulary: 300 }, "it has 300 token ids, but the model's vocabulary has only 288 rows"],
  [{ maxLength: 33 }, "windows of 33 tokens: the model's context holds 32"],
  [{ maxLength: 1 }, 'option "maxLength" is 1. Give a whole number, at least 2'],
  [
    { learningRat: 1 } as object,
    'there is no option "learningRat". Perhaps you meant "learningRate"',
  ],
  [{ seeds: [1] } as object, 'there is no option "seeds". Perhaps you meant "seed"'],
  [{ perStep: 0.5 }, 'option "perStep" is 0.5. Give a whole number, at least 1'],
  [{ weightDecay: 1e39 }, 'option "weightDecay" is 1e+39'],
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
  assertEquals([counts.texts.length, counts.leftOut], [2, 1]);
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
  const tokenizer = await openTokenizer(out);
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
  const project = fileURLToPath(new URL("..", import.meta.url));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", `--allow-read=${project},${folder}`],
      ...[
        `--allow-write=${folder}`,
        "--allow-env=INIT_CWD",
        `${project}tasks/train.ts`,
        ...args,
      ],
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
