// Which files of a repository are fetched for what, and whether a folder already holds them. A repository often holds the
// same weights in several formats; only those are taken that would be read.

import { CannotError } from "../base/errors.ts";
import { exists, readJson } from "../base/files.ts";
import { describeName, type HubName } from "./name.ts";

/** What something on the hub is fetched for; `config` is a model's configuration without its weights. */
export type Purpose = "model" | "config" | "tokenizer" | "adapter" | "data";

const tokenizerFiles = ["tokenizer.json", "tokenizer_config.json"];
const otherTokenizers = /^(vocab\.json|tok(enizer|\d+)\.bin)$/;

/** Files that are read where they are there; that they are not is worth knowing as well. */
const optional: Record<Purpose, readonly string[]> = {
  model: ["generation_config.json", ...tokenizerFiles],
  config: [],
  tokenizer: ["tokenizer_config.json"],
  adapter: [],
  data: [],
};

const whole = "model.safetensors", index = "model.safetensors.index.json";
const shard = /^model-\d+-of-\d+\.safetensors$/;
const records = /\.(jsonl?|csv|parquet)(\.gz|\.zst)?$/i;

/**
 * The files of a repository that are fetched.
 *
 * @param paths All of its files.
 * @throws {CannotError} when it does not hold what is wanted, naming what it does hold.
 */
export function wantedFiles(
  paths: readonly string[],
  purpose: Purpose,
  name: HubName,
): string[] {
  if (purpose === "data") return wantedRecords(paths, name);
  const prefix = name.path === "" ? "" : `${name.path}/`;
  const inFolder = paths.filter((path) => path.startsWith(prefix))
    .map((path) => path.slice(prefix.length)).filter((path) => !path.includes("/"));
  const wanted = chosen[purpose](inFolder);
  if (typeof wanted !== "string") return wanted.map((path) => prefix + path);
  const others = inFolder.length === 0 ? "no files" : few(inFolder);
  throw new CannotError(
    `fetch ${describeName(name)}`,
    `it has ${wanted}, but ${others}`,
    purpose === "model"
      ? "Name a revision or a repository with safetensors, or convert it"
      : `Name a repository with ${purpose === "adapter" ? "LoRA as PEFT keeps it" : "one"}`,
  );
}

/** Files that would be read, were they there. */
export function absentFiles(files: readonly string[], purpose: Purpose, name: HubName): string[] {
  const prefix = name.path === "" ? "" : `${name.path}/`;
  return optional[purpose].map((file) => prefix + file).filter((file) => !files.includes(file));
}

/**
 * What a folder lacks of what is needed, or nothing.
 *
 * @param isKnown Also asks of files that may be missing whether it is known that they are.
 */
export async function missingIn(
  folder: string,
  purpose: Purpose,
  isKnown?: (file: string) => Promise<boolean>,
): Promise<string | undefined> {
  const has = (file: string) => exists(`${folder}/${file}`);
  for (const file of isKnown ? optional[purpose] : []) {
    if (!await has(file) && !await isKnown!(file)) return file;
  }
  if (purpose === "data") return await exists(folder) ? undefined : "it";
  if (purpose === "tokenizer") {
    const names = await namesIn(folder);
    return typeof chosen.tokenizer(names) === "string" ? "tokenizer.json" : undefined;
  }
  if (purpose === "adapter") return await firstWithout(has, adapterFiles);
  if (!await has("config.json")) return "config.json";
  if (purpose === "config" || await has(whole)) return undefined;
  if (!await has(index)) return whole;
  const { weight_map: shards = {} } = await readJson(`${folder}/${index}`) as {
    weight_map?: Record<string, string>;
  };
  return await firstWithout(has, new Set(Object.values(shards)));
}

const adapterFiles = ["adapter_config.json", "adapter_model.safetensors"];

// The names of the files, or what is missing.
const chosen: Record<Exclude<Purpose, "data">, (paths: readonly string[]) => string[] | string> = {
  tokenizer(paths) {
    const found = paths.filter((path) => tokenizerFiles.includes(path));
    if (found.includes("tokenizer.json")) return found;
    const others = paths.filter((path) => otherTokenizers.test(path));
    return others.length > 0 ? others : "no tokenizer.json";
  },
  config: (paths) => paths.includes("config.json") ? ["config.json"] : "no config.json",
  adapter: (paths) =>
    adapterFiles.every((file) => paths.includes(file)) ? adapterFiles : "no LoRA of PEFT",
  model(paths) {
    const configs = paths.filter((path) => /^(generation_)?config\.json$/.test(path));
    const tokenizer = chosen.tokenizer(paths);
    const weights = weightsOf(paths);
    if (weights.length === 0) return "no model.safetensors, whole or in shards";
    if (!configs.includes("config.json")) return "no config.json";
    return [...configs, ...(typeof tokenizer === "string" ? [] : tokenizer), ...weights];
  },
};

function weightsOf(paths: readonly string[]): string[] {
  if (paths.includes(whole)) return [whole];
  if (!paths.includes(index)) return [];
  const shards = paths.filter((path) => shard.test(path));
  const others = paths.filter((path) => path.endsWith(".safetensors"));
  return [index, ...(shards.length > 0 ? shards : others)];
}

function wantedRecords(paths: readonly string[], name: HubName): string[] {
  const { path } = name;
  if (path !== "" && paths.includes(path)) return [path];
  const inside = paths.filter((each) => path === "" || each.startsWith(`${path}/`));
  const found = inside.filter((each) =>
    records.test(each) && !each.split("/").some((part) => part.startsWith("."))
  );
  if (found.length > 0) return found;
  const why = path !== "" && inside.length === 0
    ? `it has no such file or folder, but ${few(paths)}`
    : `it has no .jsonl, .json, .csv or .parquet there, but ${few(inside)}`;
  throw new CannotError(`fetch ${describeName(name)}`, why, "Name one of its files or folders");
}

async function firstWithout(
  has: (file: string) => Promise<boolean>,
  files: Iterable<string>,
): Promise<string | undefined> {
  for (const file of files) if (!await has(file)) return file;
  return undefined;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch {
    return []; // nothing was fetched yet
  }
}

function few(paths: readonly string[]): string {
  if (paths.length === 0) return "no files";
  const shown = paths.slice(0, 6).join(", ");
  return paths.length <= 6 ? shown : `${shown} and ${paths.length - 6} more`;
}
