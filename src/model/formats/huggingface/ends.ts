// Which token ids end a text, as a folder says: `generation_config.json`, or else `config.json`, with one id or a list.

import { CannotError } from "../../../base/errors.ts";
import { exists, readJson } from "../../../base/files.ts";
import { show } from "../../../base/show.ts";

const longest = 2 ** 20; // bytes of generation_config.json

/** The ids, if any file names some, and what a person should know about them. */
export interface Ends {
  /** In ascending order. */
  ends?: readonly number[];
  /** Whether the files contradict each other. */
  notes: readonly string[];
}

/**
 * Reads which ids end a text.
 *
 * @param config The parsed config.json.
 * @param vocabularySize The ids below it are tokens.
 * @throws {CannotError} naming the file, when what it says is no token id.
 */
export async function readEnds(
  folder: string,
  config: unknown,
  vocabularySize: number,
): Promise<Ends> {
  const file = `${folder}/generation_config.json`;
  const forGeneration = await exists(file)
    ? endsOf(await readJson(file, longest), file, vocabularySize)
    : undefined;
  const ofModel = endsOf(config, `${folder}/config.json`, vocabularySize);
  const ends = forGeneration ?? ofModel;
  if (!ends) return { notes: [] };
  const contradict = forGeneration && ofModel && forGeneration.join() !== ofModel.join();
  const notes = contradict
    ? [
      `texts end at token ${forGeneration.join(" or ")} (generation_config.json), not at ` +
      `${ofModel.join(" or ")} (config.json)`,
    ]
    : [];
  return { ends, notes };
}

/** A configuration with the ids that end a text: one, or a list of several; unchanged where none is given. */
export function withEnds(
  json: Record<string, unknown>,
  ends: readonly number[],
): Record<string, unknown> {
  return ends.length === 0 ? json : { ...json, eos_token_id: ends.length === 1 ? ends[0] : ends };
}

/** The `generation_config.json` that goes with a `config.json`: where texts begin and end. */
export function generationConfig(json: Record<string, unknown>): Record<string, unknown> {
  const ids = ["bos_token_id", "eos_token_id", "pad_token_id"];
  return Object.fromEntries(ids.filter((id) => id in json).map((id) => [id, json[id]]));
}

function endsOf(json: unknown, file: string, vocabularySize: number): number[] | undefined {
  const id = typeof json === "object" && json !== null && "eos_token_id" in json
    ? json.eos_token_id
    : undefined;
  if (id === undefined || id === null) return undefined;
  const ids = [id].flat();
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0;
  if (ids.every((id) => isId(id) && (id as number) < vocabularySize)) {
    return ids.length === 0 ? undefined : (ids as number[]).toSorted((a, b) => a - b);
  }
  throw new CannotError(
    `read "${file}"`,
    `field "eos_token_id" is ${show(id)}, neither a token id nor a list of such` +
      (ids.every(isId) ? `; the model's ids are below ${vocabularySize}` : ""),
    "Correct the field",
  );
}
