// `deno task train --lora` and `--freeze`: what a run leaves behind opens and says the same as the model that was trained,
// its base keeps its bytes, an interrupted run goes on to the same bytes, and checkpoints hold no more than what is learned.

import { exists, readJson } from "../src/base/files.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import type { Weights } from "../src/model/config.ts";
import type { LoraSettings } from "../src/model/lora.ts";
import { loadModel } from "../src/model/weights.ts";
import { objective } from "../src/slung/objective.ts";
import { type SpanTrainingSettings, trainOnSpans } from "../src/train/span_training.ts";
import { assert, assertEquals, assertRejects, relativeError } from "./assert.ts";
import { testHalves } from "./fixtures/halves.ts";
import { runTask } from "./fixtures/task.ts";
import { tinyLlama } from "./fixtures/tiny_llama.ts";

const lora: LoraSettings = { rank: 2, alpha: 8, targets: ["q_proj", "v_proj", "down_proj"] };
const texts = ["The old mill by the river", "Oda Venn ran it until the winter", "It stood still"];

async function withData(
  use: (
    folder: string,
    settings: (changes: Partial<SpanTrainingSettings>) => SpanTrainingSettings,
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const data = `${folder}/texts.jsonl`;
  const lines = texts.map((text) => JSON.stringify({ text, spans: [] }));
  await Deno.writeTextFile(data, lines.join("\n"));
  const common = { data, model: tinyLlama, objective: objective("direct"), maxLength: 16 };
  try {
    await use(folder, (changes) => ({
      ...common,
      ...{ out: `${folder}/out`, epochs: 4, perStep: 2, learningRate: 2e-2, checkpointEvery: 3 },
      ...changes,
    }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function filesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

function changed(weights: Weights, base: Weights): string[] {
  return [...weights].filter(([name, { data }]) => data.join() !== base.get(name)!.data.join()).map(
    ([name]) => name.replace("model.layers.0.", ""),
  );
}

const projections = ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"];

Deno.test("LoRA is left apart from its base, or merged, with the same weights in the end", async () => {
  await withData(async (folder, settings) => {
    using gpu = await Gpu.open();
    const before = await Deno.readFile(`${tinyLlama}/model.safetensors`);
    const { log } = await trainOnSpans(gpu, settings({ lora }));
    assert(log.at(-1)!.loss < log[0]!.loss - 0.1, "nothing was learned");
    assertEquals(await filesIn(`${folder}/out`), [
      ...[
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "checkpoints",
        "log.jsonl",
      ],
      ...["tokenizer.json", "tokenizer_config.json"],
    ]);
    assert((await Deno.readTextFile(`${folder}/out/README.md`)).includes("library_name: peft"));
    const config = await readJson(`${folder}/out/adapter_config.json`) as Record<string, unknown>;
    assertEquals(
      [config.base_model_name_or_path, config.r, config.lora_alpha],
      [await Deno.realPath(tinyLlama), 2, 8],
    );
    await trainOnSpans(gpu, settings({ lora, merge: true, out: `${folder}/merged` }));
    const apart = await loadModel(`${folder}/out`), merged = await loadModel(`${folder}/merged`);
    assertEquals(apart.weights, merged.weights);
    const base = await loadModel(tinyLlama);
    assertEquals(changed(apart.weights, base.weights), projections.map((name) => `${name}.weight`));
    assertEquals(await Deno.readFile(`${tinyLlama}/model.safetensors`), before);
  });
});

testHalves(
  "in f16 the base that is merged into, or frozen, is the one of the files, not its roundings",
  async () => {
    await withData(async (folder, settings) => {
      using gpu = await Gpu.open();
      const base = await loadModel(tinyLlama);
      const freeze = ["embeddings", "attention", "norms"];
      const precision = "f16";
      await trainOnSpans(gpu, settings({ lora, merge: true, precision }));
      await trainOnSpans(gpu, settings({ freeze, precision, out: `${folder}/frozen` }));
      const merged = await loadModel(`${folder}/out`), frozen = await loadModel(`${folder}/frozen`);
      assertEquals(
        changed(merged.weights, base.weights),
        projections.map((name) => `${name}.weight`),
      );
      assert(changed(frozen.weights, base.weights).every((name) => name.startsWith("mlp.")));
      await trainOnSpans(gpu, settings({ lora, merge: true, out: `${folder}/single` }));
      const single = await loadModel(`${folder}/single`);
      for (const [name, { data }] of merged.weights) {
        const before = base.weights.get(name)!.data;
        const change = data.map((x, i) => x - before[i]!);
        const expected = single.weights.get(name)!.data.map((x, i) => x - before[i]!);
        if (expected.some((x) => x !== 0)) assert(relativeError(change, expected) < 0.1, name);
      }
    });
  },
);

for (
  const [what, learned] of [["LoRA", { lora }], ["frozen parts", {
    freeze: ["attention"],
  }]] as const
) {
  Deno.test(`with ${what} an interrupted run goes on to the same bytes, from a checkpoint of what is learned`, async () => {
    await withData(async (folder, settings) => {
      using gpu = await Gpu.open();
      await trainOnSpans(gpu, settings({ ...learned, out: `${folder}/straight` }));
      const stop = new AbortController();
      const broken = settings({ ...learned, out: `${folder}/broken` });
      const { finished } = await trainOnSpans(gpu, broken, {
        signal: stop.signal,
        onLog: ({ step }) => step === 2 && stop.abort(),
      });
      assertEquals(finished, false);
      const checkpoint = `${folder}/broken/checkpoints/step-00000003`;
      assertEquals(await filesIn(checkpoint), [
        ...["learned.safetensors", "optimiser.safetensors", "training.json"],
      ]);
      assertEquals((await trainOnSpans(gpu, broken)).log[0]!.step, 3);
      const file = "lora" in learned ? "adapter_model.safetensors" : "model.safetensors";
      assertEquals(
        await Deno.readFile(`${folder}/broken/${file}`),
        await Deno.readFile(`${folder}/straight/${file}`),
      );
      const other = "lora" in learned
        ? { lora: { ...lora, alpha: 9 } }
        : { freeze: ["feed_forward"] };
      await assertRejects(
        () => trainOnSpans(gpu, { ...broken, ...other }),
        "it was made with another model, data or settings",
      );
    });
  });
}

Deno.test("what LoRA cannot be kept as is refused before anything is written", async () => {
  await withData(async (folder, settings) => {
    using gpu = await Gpu.open();
    const refuse = async (changes: Partial<SpanTrainingSettings>, message: string) => {
      const out = `${folder}/refused`;
      await assertRejects(() => trainOnSpans(gpu, settings({ ...changes, out })), message);
      assert(!await exists(out), message);
    };
    await refuse({ merge: true }, "Cannot merge LoRA: there is none");
    const fresh = { model: "tiny", vocabulary: 300 };
    await refuse({ ...fresh, lora }, "Cannot train LoRA: the model is new");
    await refuse({ lora, freeze: ["norms"] }, "with LoRA all of its weights are frozen already");
    await refuse({ freeze: ["heads"] }, 'Cannot choose the part "heads"');
    await refuse({ lora: { ...lora, rank: 99 } }, "its rank 99 is above that of q_proj, 16");
    await trainOnSpans(gpu, settings({ lora, epochs: 1 }));
    const onTop = { model: `${folder}/out`, tokenizer: tinyLlama };
    await refuse({ ...onTop, lora }, "is itself LoRA apart from its base");
    const { finished } = await trainOnSpans(
      gpu,
      settings({
        ...onTop,
        ...{ lora, merge: true, epochs: 1, out: `${folder}/twice` },
      }),
    );
    assert(finished);
    await Deno.remove(`${folder}/out/checkpoints`, { recursive: true });
    await assertRejects(
      () => trainOnSpans(gpu, settings({ lora })),
      "it holds a model that another run made",
    );
  });
});

Deno.test("the size of micro-batches changes no loss", async () => {
  await withData(async (folder, settings) => {
    using gpu = await Gpu.open();
    const runs = await Promise.all([16, 64].map(async (microBatch) => {
      const out = `${folder}/${microBatch}`;
      const { log } = await trainOnSpans(gpu, settings({ microBatch, out, epochs: 2 }));
      return log.map(({ loss }) => loss);
    }));
    assert(relativeError(runs[0]!, runs[1]!) < 1e-5);
  });
});

Deno.test("the options of the task reach the run, and those without effect are refused", async () => {
  await withData(async (folder) => {
    const args = [
      ...["--data", `${folder}/texts.jsonl`, "--model", tinyLlama, "--out", `${folder}/out`],
      ...["--max-length", "16", "--json"],
    ];
    const settings = ["--lora", "3", "--lora-targets", "k_proj,up_proj", "--per-step", "3"];
    const { code, stderr } = await runTask("train", [...args, ...settings]);
    assertEquals(code, 0, stderr);
    const config = await readJson(`${folder}/out/adapter_config.json`) as Record<string, unknown>;
    assertEquals(
      [config.r, config.lora_alpha, config.target_modules],
      [3, 6, ["k_proj", "up_proj"]],
    );
    const without = await runTask("train", [...args, "--lora-alpha", "3"]);
    assertEquals(without.code, 1);
    assert(
      without.stderr.includes("--lora-alpha is an option of LoRA. Give its rank with --lora."),
    );
    const prompt = ["--prompt", "The old mill", "--tokens", "4", "--json"];
    const beside = await runTask("generate", [
      ...["--model", tinyLlama, "--adapter", `${folder}/out`, ...prompt],
    ]);
    const alone = await runTask("generate", ["--model", `${folder}/out`, ...prompt]);
    assertEquals(
      JSON.parse(alone.stdout).generations,
      JSON.parse(beside.stdout).generations,
    );
  });
});
