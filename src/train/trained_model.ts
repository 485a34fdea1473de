// What a run leaves behind: a model in a folder, or LoRA apart from its base; with the tokenizer.

import { CannotError } from "../base/errors.ts";
import { exists, writeFileAtomic } from "../base/files.ts";
import type { Weights } from "../model/config.ts";
import { adapterConfigFile, checkAdapter } from "../model/formats/huggingface/peft.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { loraScale, type LoraSettings, mergeLora } from "../model/lora.ts";
import { parameterShapes } from "../model/parameter_shapes.ts";
import { readIntoMemory, saveAdapter, saveModel, withWeights } from "../model/weights.ts";
import { baseFacts, type CardFacts, writeCard } from "./model_card.ts";
import type { StartingModel } from "./starting_model.ts";

/**
 * Checks, before a run, that what it learns can be saved.
 *
 * @param merge Whether LoRA is to be merged into the weights.
 * @throws {CannotError} for a folder that already has a model, for LoRA of fresh weights, and for LoRA that is to be kept
 * apart from what is no base.
 */
export async function checkSaving(
  out: string,
  { source: { config }, folder }: StartingModel,
  { lora, merge }: { lora?: LoraSettings | undefined; merge: boolean },
): Promise<void> {
  const refuse = (what: string, why: string, remedy: string) => new CannotError(what, why, remedy);
  for (const file of ["config.json", adapterConfigFile]) {
    if (await exists(`${out}/${file}`) && !await exists(`${out}/checkpoints`)) {
      const why = "it holds a model that another run made";
      throw refuse(`train into "${out}"`, why, "Choose another output folder");
    }
  }
  if (!lora) {
    if (merge) throw refuse("merge LoRA", "there is none", "Give its rank, or leave merging out");
    return;
  }
  if (folder === undefined) {
    const why = "the model is new, and nothing is left of a change without its base";
    throw refuse("train LoRA", why, "Give the folder of a trained model");
  }
  if (merge) return;
  checkAdapter(config, lora);
  if (await exists(`${folder}/${adapterConfigFile}`) && !await exists(`${folder}/config.json`)) {
    const why = `"${folder}" is itself LoRA apart from its base`;
    throw refuse("keep LoRA apart from its base", why, "Merge the change into the weights");
  }
}

/**
 * Saves what was learned: the whole model, or LoRA in PEFT's layout. Frozen weights are those that the run started from,
 * whatever they were rounded to meanwhile.
 *
 * @param card What the card beside the model says, besides the base.
 */
export async function saveTrained(
  out: string,
  model: LanguageModel,
  start: StartingModel,
  { merge, card }: { merge: boolean; card: Omit<CardFacts, "base" | "isAdapter"> },
): Promise<void> {
  const { lora, config } = model;
  const learned = await model.download("learned");
  const isAdapter = lora !== undefined && !merge;
  const base = start.folder === undefined ? undefined : await baseFacts(start.folder);
  await writeCard(out, { ...card, base, isAdapter });
  if (lora && !merge) {
    const base = await Deno.realPath(start.folder!);
    await saveAdapter(out, config, lora, learned, base);
  } else {
    // What was trained ends in the tokenizer's EOS, whatever else may end a text of the model.
    const { special } = start.tokenizer;
    const ends = start.ends && new Set(start.ends).add(special.eos ?? start.ends[0]!);
    const weights = await wholeWeights(start, learned, lora);
    await saveModel(out, config, weights, { special, ends: ends && [...ends], checksums: true });
  }
  if (start.tokenizer.save) await start.tokenizer.save(out);
  else await copyTokenizer(start.tokenizerFolder!, out);
}

/**
 * All weights of a trained model: what was learned, LoRA merged, and the rest as it was.
 *
 * @param start The model that training started from.
 */
export async function wholeWeights(
  { source }: Pick<StartingModel, "source">,
  learned: Weights,
  lora: LoraSettings | undefined,
): Promise<Weights> {
  if (!lora && learned.size === parameterShapes(source.config).size) return learned;
  const changed = lora ? mergeLora(source, learned, loraScale(lora)) : withWeights(source, learned);
  return (await readIntoMemory(changed)).weights;
}

// llama2.c and llama.cpp tokenizers cannot be written, but they are files that can be copied.
async function copyTokenizer(from: string, to: string): Promise<void> {
  for await (const { name } of Deno.readDir(from)) {
    if (!/^(tok(enizer|\d+)\.bin|vocab\.json|gguf_metadata\.json)$/.test(name)) continue;
    await writeFileAtomic(`${to}/${name}`, await Deno.readFile(`${from}/${name}`));
  }
}
