// LoRA in PEFT's folder layout: what is written is what PEFT reads, what PEFT writes is merged into its base, and what is
// not computed is refused by name.

import { fileURLToPath } from "node:url";
import { readJson } from "../src/base/files.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import type { DecoderConfig, Weights } from "../src/model/config.ts";
import { checkAdapter } from "../src/model/formats/huggingface/peft.ts";
import { readSafetensorsHeader } from "../src/model/formats/safetensors.ts";
import { readTensor, writeSafetensors } from "../src/model/formats/tensor_data.ts";
import { initialise } from "../src/model/initialise.ts";
import { loraScale, type LoraSettings, mergeLora } from "../src/model/lora.ts";
import { openModel } from "../src/model/pretrained.ts";
import {
  loadModel,
  openModelFiles,
  readIntoMemory,
  saveAdapter,
  saveModel,
} from "../src/model/weights.ts";
import { assert, assertEquals, assertRejects, assertThrows, relativeError } from "./assert.ts";
import { changesOf } from "./fixtures/lora.ts";
import { llama, logitsOf, olmo } from "./fixtures/tiny.ts";
import { tinyLlama } from "./fixtures/tiny_llama.ts";

const families = fileURLToPath(new URL("golden/families", import.meta.url));
const lora: LoraSettings = { rank: 2, alpha: 6, targets: ["q_proj", "down_proj"] };

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function mergedWeights(config: DecoderConfig, weights: Weights, changes: Weights) {
  const source = {
    config,
    tensors: async function* () {
      yield* weights;
    },
  };
  return (await readIntoMemory(mergeLora(source, changes, loraScale(lora)))).weights;
}

/** A base and an adapter beside it; `change` alters what PEFT's config says. */
async function saved(folder: string, change: Record<string, unknown> = {}) {
  const weights = initialise(olmo, 1), changes = changesOf(olmo, lora);
  const base = `${folder}/base`, adapter = `${folder}/adapter`;
  await saveModel(base, olmo, weights);
  await saveAdapter(adapter, olmo, lora, changes, base);
  const file = `${adapter}/adapter_config.json`;
  const json = { ...await readJson(file) as object, ...change };
  await Deno.writeTextFile(file, JSON.stringify(json));
  return { base, adapter, weights, changes };
}

Deno.test("an adapter has PEFT's files, fields and names", async () => {
  await withFolder(async (folder) => {
    const { base, adapter } = await saved(folder);
    assertEquals(await readJson(`${adapter}/adapter_config.json`), {
      peft_type: "LORA",
      task_type: "CAUSAL_LM",
      base_model_name_or_path: base,
      revision: null,
      inference_mode: true,
      r: 2,
      lora_alpha: 6,
      use_rslora: false,
      target_modules: ["q_proj", "down_proj"],
      lora_dropout: 0,
      bias: "none",
      fan_in_fan_out: false,
      init_lora_weights: true,
      modules_to_save: null,
    });
    const { tensors, metadata } = await readSafetensorsHeader(
      `${adapter}/adapter_model.safetensors`,
    );
    assertEquals(metadata.get("format"), "pt");
    const prefix = "base_model.model.model.layers";
    assertEquals(
      Object.fromEntries([...tensors].map(([name, { shape, dtype }]) => [name, [dtype, ...shape]])),
      Object.fromEntries([0, 1].flatMap((i) => [
        [`${prefix}.${i}.mlp.down_proj.lora_A.weight`, ["F32", 2, 24]],
        [`${prefix}.${i}.mlp.down_proj.lora_B.weight`, ["F32", 16, 2]],
        [`${prefix}.${i}.self_attn.q_proj.lora_A.weight`, ["F32", 2, 16]],
        [`${prefix}.${i}.self_attn.q_proj.lora_B.weight`, ["F32", 16, 2]],
      ])),
    );
  });
});

for (const config of [olmo, llama]) {
  Deno.test(`${config.family}: a folder with an adapter opens as its base with the change merged`, async () => {
    await withFolder(async (folder) => {
      const weights = initialise(config, 1), changes = changesOf(config, lora);
      await saveModel(`${folder}/base`, config, weights);
      await saveAdapter(`${folder}/adapter`, config, lora, changes, `${folder}/base`);
      const { describe, ...opened } = await loadModel(`${folder}/adapter`);
      assert(describe.includes("LoRA of rank 2 on down_proj, q_proj from"), describe);
      // The base is saved with its rotary entries paired in halves, and so is the change.
      await saveModel(`${folder}/merged`, config, await mergedWeights(config, weights, changes));
      const expected = await loadModel(`${folder}/merged`);
      assertEquals(opened.config, expected.config);
      for (const [name, { data }] of opened.weights) {
        assertEquals(data, expected.weights.get(name)!.data, name);
      }
    });
  });
}

Deno.test("written, read and written again an adapter has the same bytes", async () => {
  await withFolder(async (folder) => {
    const { base, adapter } = await saved(folder);
    const { tensors } = await readSafetensorsHeader(`${adapter}/adapter_model.safetensors`);
    const again: Weights = new Map();
    for (const [name, entry] of tensors) {
      again.set(name.replace("base_model.model.", ""), await readTensor(entry));
    }
    await saveAdapter(`${folder}/again`, olmo, lora, again, base);
    const file = "adapter_model.safetensors";
    assertEquals(
      await Deno.readFile(`${folder}/again/${file}`),
      await Deno.readFile(`${adapter}/${file}`),
    );
  });
});

Deno.test("what PEFT says besides is read or passed over: half precision, some layers, a scale by √r", async () => {
  await withFolder(async (folder) => {
    const { adapter, base, weights, changes } = await saved(folder, {
      use_rslora: true,
      lora_dropout: 0.05,
      layers_to_transform: [1],
      target_modules: ".*(q|down)_proj",
      rank_pattern: {},
      megatron_core: "megatron.core",
      peft_version: "0.17.0",
      lora_bias: false,
    });
    const file = `${adapter}/adapter_model.safetensors`;
    const { tensors } = await readSafetensorsHeader(file);
    const kept: Weights = new Map();
    for (const [name, entry] of tensors) {
      if (name.includes("layers.1")) kept.set(name, await readTensor(entry));
    }
    await writeSafetensors(file, kept, { dtype: "BF16" });
    const opened = await loadModel(adapter);
    const ofLayer = (part: string) => `model.layers.1.self_attn.q_proj.${part}.weight`;
    const rounded = (await readTensor(
      (await readSafetensorsHeader(file)).tensors.get(
        `base_model.model.${ofLayer("lora_A")}`,
      )!,
    )).data;
    assert(rounded.join() !== changes.get(ofLayer("lora_A"))!.data.join(), "not rounded");
    assertEquals(
      opened.weights.get("model.layers.0.self_attn.q_proj.weight"),
      weights.get("model.layers.0.self_attn.q_proj.weight"),
    );
    const name = "model.layers.1.self_attn.q_proj.weight";
    const before = weights.get(name)!.data, after = opened.weights.get(name)!.data;
    const scale = 6 / Math.sqrt(2);
    const B = changes.get(ofLayer("lora_B"))!.data;
    const difference = after.map((x, i) => x - before[i]!);
    const expected = difference.map((_, i) => {
      const row = Math.floor(i / 16), column = i % 16;
      return scale * (B[row * 2]! * rounded[column]! + B[row * 2 + 1]! * rounded[16 + column]!);
    });
    assert(relativeError(difference, expected) < 1e-2); // B is rounded to 8 bits too
    // The same with the base named by hand.
    const named = await readIntoMemory(await openModelFiles(base, adapter));
    assertEquals(named.weights.get(name)!.data, after);
  });
});

const ofFamilies = [
  ["gpt2", ["attn.c_proj", "mlp.c_proj"], "transformer.h.0.attn.c_proj", true],
  ["gpt_neox", ["dense", "dense_4h_to_h"], "gpt_neox.layers.0.attention.dense", false],
] as const;
for (const [name, targets, module, transposed] of ofFamilies) {
  Deno.test(`${name} keeps its own module names, and queries that are joined with keys are refused`, async () => {
    await withFolder(async (folder) => {
      const { config } = await loadModel(`${families}/${name}`);
      const own: LoraSettings = { rank: 1, alpha: 1, targets: ["o_proj", "down_proj"] };
      await saveAdapter(folder, config, own, changesOf(config, own), null);
      const json = await readJson(`${folder}/adapter_config.json`) as Record<string, unknown>;
      assertEquals(json.target_modules, targets);
      assertEquals(json.fan_in_fan_out, transposed);
      const { tensors } = await readSafetensorsHeader(`${folder}/adapter_model.safetensors`);
      assert(tensors.has(`base_model.model.${module}.lora_A.weight`), [...tensors.keys()].join());
      const opened = await readIntoMemory(await openModelFiles(`${families}/${name}`, folder));
      assertEquals(opened.config, config);
      assertThrows(
        () => checkAdapter(config, { rank: 1, alpha: 1, targets: ["q_proj"] }),
        `Cannot keep LoRA on q_proj apart from its base: ${config.family} stores`,
      );
    });
  });
}

const refused: [Record<string, unknown>, string][] = [
  [{ peft_type: "LOHA" }, 'field "peft_type" is "LOHA"'],
  [{ use_dora: true }, 'field "use_dora" is true, which is not supported. Merge the adapter'],
  [{ bias: "all" }, 'field "bias" is "all"'],
  [{ modules_to_save: ["lm_head"] }, 'field "modules_to_save" is'],
  [{ rank_pattern: { q_proj: 4 } }, 'field "rank_pattern" is'],
  [{ alpha_pattern: { q_proj: 4 } }, 'field "alpha_pattern" is'],
  [{ layer_replication: [[0, 1]] }, 'field "layer_replication" is'],
  [{ init_lora_weights: "pissa" }, 'field "init_lora_weights" is "pissa"'],
  [{ r: 2.5 }, 'field "r" is 2.5'],
  [{ r: 3 }, "has shape [2, 24], its base needs [3, 24]"],
  [{ base_model_name_or_path: "meta/none" }, 'its base "meta/none" is no folder here. Give the'],
  [{ base_model_name_or_path: null }, "it does not say what it changes"],
];
Deno.test("what an adapter says that is not computed is refused by name", async () => {
  await withFolder(async (folder) => {
    for (const [change, message] of refused) {
      const { adapter } = await saved(folder, change);
      await assertRejects(() => loadModel(adapter), message);
    }
  });
});

Deno.test("tensors that belong to no projection, lack their other half or are no numbers are refused", async () => {
  await withFolder(async (folder) => {
    const { adapter } = await saved(folder);
    const file = `${adapter}/adapter_model.safetensors`;
    const { tensors } = await readSafetensorsHeader(file);
    const all: Weights = new Map();
    for (const [name, entry] of tensors) all.set(name, await readTensor(entry));
    const q = "base_model.model.model.layers.0.self_attn.q_proj";
    const changed = async (change: (weights: Weights) => void, message: string) => {
      const weights = new Map(all);
      change(weights);
      await writeSafetensors(file, weights);
      await assertRejects(() => loadModel(adapter), message);
    };
    const one = { shape: [1], data: new Float32Array(1) };
    await changed((w) => w.set(`${q}.lora_magnitude_vector`, one), "changes no projection");
    await changed((w) => w.set("base_model.model.lm_head.lora_A.weight", one), "changes no proj");
    await changed((w) => w.delete(`${q}.lora_B.weight`), "is there without");
    const bad = { shape: [2, 16], data: new Float32Array(32).fill(NaN) };
    await changed((w) => w.set(`${q}.lora_A.weight`, bad), "has the value NaN");
    await assertRejects(
      () =>
        saveAdapter(
          `${folder}/no`,
          olmo,
          lora,
          new Map(
            [...changesOf(olmo, lora)].map((
              [name, { shape, data }],
            ) => [name, { shape, data: data.map(() => Infinity) }]),
          ),
          null,
        ),
      "Cannot save an adapter",
    );
  });
});

Deno.test("the tasks take an adapter beside its base, or alone", async () => {
  await withFolder(async (folder) => {
    using gpu = await Gpu.open();
    const { model, tokenizer } = await openModel(gpu, tinyLlama);
    const { config } = model;
    const own: LoraSettings = { rank: 2, alpha: 40, targets: ["v_proj"] };
    await saveAdapter(folder, config, own, changesOf(config, own), tinyLlama);
    const { ids } = tokenizer.encode("The old mill by the river");
    const beside = await openModel(gpu, tinyLlama, { adapter: folder });
    const alone = await openModel(gpu, folder); // with the tokenizer of its base
    const expected = await logitsOf(beside.model, ids);
    assertEquals(await logitsOf(alone.model, ids), expected);
    assert(
      relativeError(
        (await logitsOf(model, ids)).flatMap((z) => [...z]),
        expected.flatMap((z) => [...z]),
      ) > 1e-2,
    );
  });
});
