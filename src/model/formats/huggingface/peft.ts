// LoRA apart from its base, in the folder layout of Hugging Face's PEFT: adapter_config.json says what changes and by how
// much, adapter_model.safetensors holds A and B under the names of the base's modules.

import { CannotError } from "../../../base/errors.ts";
import { makeFolder, readJson, writeFileAtomic } from "../../../base/files.ts";
import { show } from "../../../base/show.ts";
import { checkFinite } from "../../check_parameters.ts";
import type { DecoderConfig, Weights } from "../../config.ts";
import { loraNames, loraScale, type LoraSettings, loraShapes } from "../../lora.ts";
import { withPairingOf, withRotaryPairing } from "../../rotary_pairing.ts";
import { type Stored, storedTensors } from "../naming.ts";
import { readSafetensorsHeader } from "../safetensors.ts";
import { readTensor, writeSafetensors } from "../tensor_data.ts";
import { namingOf, toHuggingFace } from "./config.ts";
import { Fields } from "./fields.ts";

/** The file that tells an adapter's folder from a model's. */
export const adapterConfigFile = "adapter_config.json";

const tensorFile = "adapter_model.safetensors";
const longestConfig = 2 ** 20; // bytes
const prefix = "base_model.model."; // PEFT wraps the model twice

/** Fields that say nothing about what an adapter computes, or what its tensors say as well. */
const harmless = new Set([
  ...["task_type", "auto_mapping", "peft_version", "revision", "inference_mode"],
  ...["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"],
  ...["lora_dropout", "fan_in_fan_out", "runtime_config", "loftq_config", "eva_config"],
  ...["corda_config", "megatron_config", "megatron_core", "qalora_group_size"],
]);

/** Where a base keeps the projections. */
interface Modules {
  /** The name of a projection's module, by that of its weight here. */
  byWeight: Map<string, string>;
  /** Whether the base stores its matrices [in, out]. */
  transposed: boolean;
}

/**
 * Writes `adapter_model.safetensors` and `adapter_config.json`, which PEFT reads.
 *
 * @param lora What was learned.
 * @param changes A and B of every target.
 * @param base The folder or the name of the model that it changes; null where that is not known.
 * @throws {CannotError} as {@linkcode checkAdapter}, for a value that is not finite, and when a file cannot be written.
 */
export async function saveAdapter(
  folder: string,
  config: DecoderConfig,
  lora: LoraSettings,
  changes: Weights,
  base: string | null,
): Promise<void> {
  checkAdapter(config, lora);
  const modules = modulesOf(config);
  const { weights } = withRotaryPairing({ config, weights: changes }, "half");
  const tensors: Weights = new Map();
  for (const name of loraShapes(config, lora).keys()) {
    const tensor = weights.get(name)!;
    checkFinite(`save an adapter in "${folder}"`, name, tensor.data);
    const [, module, kind] = /^(.+)\.(lora_[AB]\.weight)$/.exec(name)!;
    tensors.set(`${prefix}${modules.byWeight.get(`${module}.weight`)}.${kind}`, tensor);
  }
  const json = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    revision: null,
    inference_mode: true,
    r: lora.rank,
    lora_alpha: lora.alpha,
    use_rslora: lora.rankStabilised ?? false,
    target_modules: targetModules(config, lora),
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: modules.transposed,
    init_lora_weights: true,
    modules_to_save: null,
  };
  await makeFolder(folder);
  const metadata = { format: "pt" };
  await writeSafetensors(`${folder}/${tensorFile}`, tensors, { metadata, checksums: true });
  await writeFileAtomic(`${folder}/${adapterConfigFile}`, JSON.stringify(json, null, 2) + "\n");
}

/**
 * Checks that PEFT's layout can hold changes of these targets.
 *
 * @throws {CannotError} for queries, keys and values of families that keep them in one matrix.
 */
export function checkAdapter(config: DecoderConfig, { targets }: LoraSettings): void {
  const { byWeight } = modulesOf(config);
  const apart = [...byWeight.keys()].map((weight) => weight.split(".").at(-2));
  const joined = targets.filter((target) => !apart.includes(target));
  if (joined.length === 0) return;
  throw new CannotError(
    `keep LoRA on ${joined.join(", ")} apart from its base`,
    `${config.family} stores queries, keys and values in one matrix, of which PEFT can only change all`,
    "Choose other targets, or merge the change into the weights",
  );
}

/** A change as its folder has it, for a base with a known configuration. */
export interface Adapter {
  /** A and B of the projections that change. */
  changes: Weights;
  /** s, by which B · A is multiplied. */
  scale: number;
  /** What it changes, for a person. */
  describe: string;
}

/**
 * The folder or the name of the base that an adapter changes; undefined where it does not say.
 *
 * @throws {CannotError} when the folder's adapter_config.json cannot be read.
 */
export async function baseOfAdapter(folder: string): Promise<string | undefined> {
  const file = `${folder}/${adapterConfigFile}`;
  const base = new Fields(await readJson(file, longestConfig), file).value(
    "base_model_name_or_path",
  );
  return typeof base === "string" && base !== "" ? base : undefined;
}

/**
 * Reads what PEFT, or {@linkcode saveAdapter}, wrote, in the rotary pairing of `config`.
 *
 * @throws {CannotError} naming the field that asks for what is not computed (DoRA, trained biases, …), or the tensor that
 * does not fit the base.
 */
export async function readAdapter(folder: string, config: DecoderConfig): Promise<Adapter> {
  const file = `${folder}/${adapterConfigFile}`;
  const { rank, scale } = readSettings(await readJson(file, longestConfig), file);
  const path = `${folder}/${tensorFile}`;
  const { tensors } = await readSafetensorsHeader(path);
  const halves = withRotaryPairing({ config, weights: new Map() }, "half").config;
  const shapes = possibleChanges(halves, rank);
  const changes: Weights = new Map();
  for (const [name, entry] of tensors) {
    const known = shapes.get(name);
    if (known?.shape.join() !== entry.shape.join()) {
      throw new CannotError(
        `use the adapter "${folder}"`,
        known
          ? `tensor ${show(name)} has shape ${show(entry.shape)}, its base needs ${
            show(known.shape)
          }`
          : `tensor ${show(name)} changes no projection of its base`,
        "Check that adapter and base belong together",
      );
    }
    const tensor = await readTensor(entry);
    checkFinite(`use the adapter "${folder}"`, name, tensor.data);
    changes.set(known.name, tensor);
  }
  for (const name of changes.keys()) {
    const other = name.includes("lora_A")
      ? name.replace("lora_A", "lora_B")
      : name.replace("lora_B", "lora_A");
    if (changes.has(other)) continue;
    const why = `${show(name)} is there without ${show(other)}`;
    throw new CannotError(`use the adapter "${folder}"`, why, "Copy or export it again");
  }
  const targets = new Set([...changes.keys()].map((name) => name.split(".").at(-3)));
  return {
    changes: withPairingOf(config, { config: halves, weights: changes }).weights,
    scale,
    describe: `LoRA of rank ${rank} on ${[...targets].join(", ")} from ${folder}`,
  };
}

function readSettings(json: unknown, file: string): { rank: number; scale: number } {
  const fields = new Fields(json, file);
  fields.choice("peft_type", ["LORA"]);
  fields.value("base_model_name_or_path");
  fields.choice("bias", ["none"], "none");
  fields.choice("init_lora_weights", [true, false, "gaussian", "eva"], true); // others change the base
  const rank = fields.number("r", 8), alpha = fields.number("lora_alpha", 8);
  if (!(Number.isInteger(rank) && rank > 0)) {
    throw fields.refuse("r", "it must be a whole number above 0", "Correct the field");
  }
  const rankStabilised = fields.flag("use_rslora", false);
  const [unknown] = fields.unread().filter((name) => !harmless.has(name));
  if (unknown !== undefined) {
    throw fields.refuse(
      unknown,
      "which is not supported",
      "Merge the adapter into its base with PEFT",
    );
  }
  return { rank, scale: loraScale({ rank, alpha, targets: [], rankStabilised }) };
}

// What changes of any projection are called in the file, and here.
function possibleChanges(
  config: DecoderConfig,
  rank: number,
): Map<string, { name: string; shape: number[] }> {
  const possible = new Map<string, { name: string; shape: number[] }>();
  for (const [weight, module] of modulesOf(config).byWeight) {
    const { a, b } = loraNames(weight);
    const targets = [weight.split(".").at(-2)] as LoraSettings["targets"];
    const shapes = loraShapes(config, { rank, alpha: rank, targets });
    possible.set(`${prefix}${module}.lora_A.weight`, { name: a, shape: shapes.get(a)! });
    possible.set(`${prefix}${module}.lora_B.weight`, { name: b, shape: shapes.get(b)! });
  }
  return possible;
}

function modulesOf(config: DecoderConfig): Modules {
  const halves = withRotaryPairing({ config, weights: new Map() }, "half").config;
  const stored = storedTensors(halves, namingOf(toHuggingFace(halves), halves));
  const projections = stored.filter(isProjection);
  return {
    byWeight: new Map(
      projections.map(({ name, parts }) => [parts[0]!.parameter, name.replace(/\.weight$/, "")]),
    ),
    transposed: projections.some(({ transposed }) => transposed),
  };
}

function isProjection({ parts }: Stored): boolean {
  return parts.length === 1 && /_proj\.weight$/.test(parts[0]!.parameter);
}

// As short as PEFT lets them be: it takes every module whose name ends so.
function targetModules(config: DecoderConfig, { targets }: LoraSettings): string[] {
  const modules = [...modulesOf({ ...config, layers: 1 }).byWeight];
  const leafOf = (module: string) => module.split(".").at(-1)!;
  return targets.map((target) => {
    const [, module] = modules.find(([weight]) => weight.endsWith(`.${target}.weight`))!;
    const alike = modules.filter(([, other]) => leafOf(other) === leafOf(module));
    return alike.length === 1 ? leafOf(module) : module.split(".").slice(-2).join(".");
  });
}
