// What a name of the hub means, as a folder or file here. What is there already is not fetched again; a commit that is all
// there needs no network; and without one, what was fetched earlier does.

import { describeBytes } from "../base/bytes.ts";
import { CannotError } from "../base/errors.ts";
import { freeSpace } from "../base/free_space.ts";
import { counted } from "../base/words.ts";
import { bytesHere, fetchBlob } from "./blob.ts";
import { type RepositoryCache, repositoryCache } from "./cache.ts";
import {
  type HubFile,
  isCommit,
  type RepositoryState,
  repositoryState,
  type Surroundings,
  Unreachable,
} from "./client.ts";
import { describeName, type HubName, parseHubName } from "./name.ts";
import { type HubSettings, readHubSettings } from "./settings.ts";
import { absentFiles, missingIn, type Purpose, wantedFiles } from "./wanted.ts";

/** How something is fetched. */
export interface FetchOptions extends Surroundings {
  /** How the hub is reached; as the environment says unless given. */
  settings?: HubSettings;
  /** Gets the bytes that are here, of those that are needed. */
  onProgress?(done: number, total: number): void;
}

/**
 * Fetches what a model, a tokenizer, an adapter or data need, and returns where it is: the folder of a commit in the cache
 * of Hugging Face, or the file in it that is named.
 *
 * @param name As {@linkcode parseHubName} takes it.
 * @throws {CannotError} as `Cannot fetch <what>: <why>. <what to do>`, never with the token in it.
 *
 * @example
 * ```ts ignore
 * import { Gpu, openModel } from "@slung/slung";
 * import { fetchFromHub } from "@slung/slung/hub";
 *
 * using gpu = await Gpu.open();
 * const { model } = await openModel(gpu, await fetchFromHub("allenai/OLMo-1B-hf", "model"));
 * ```
 */
export async function fetchFromHub(
  name: string,
  purpose: Purpose,
  options: FetchOptions = {},
): Promise<string> {
  const parsed = parseHubName(name);
  if (parsed === undefined || (parsed.kind === "dataset") !== (purpose === "data")) {
    const form = purpose === "data" ? "datasets/owner/name/file.jsonl" : "owner/name@revision";
    throw new CannotError(`fetch "${name}"`, "it is no such name on the hub", `Write ${form}`);
  }
  const settings = options.settings ?? readHubSettings();
  const cache = repositoryCache(settings.cache, parsed);
  const request: Errand = { name: parsed, purpose, cache, settings, options };
  if (settings.offline) return await fromCache(request, "HF_HUB_OFFLINE is set");
  if (isCommit(parsed.revision) && await isAllHere(request)) {
    return await placeIn(request, parsed.revision);
  }
  const hasEarlier = await isUsable(request);
  let state: RepositoryState;
  try {
    state = await repositoryState(parsed, settings, options, hasEarlier ? 2 : undefined);
  } catch (error) {
    if (!(error instanceof Unreachable) || !hasEarlier) throw error;
    return await fromCache(request, "the hub cannot be reached");
  }
  return await fetchState(request, state);
}

interface Errand {
  name: HubName;
  purpose: Purpose;
  cache: RepositoryCache;
  settings: HubSettings;
  options: FetchOptions;
}

// Links appear only when all of their files are there: a folder never holds a part of what was fetched for one purpose.
async function fetchState(request: Errand, { commit, files }: RepositoryState): Promise<string> {
  const { name, purpose, cache, options } = request;
  const paths = files.map(({ path }) => path);
  const wanted = new Set(wantedFiles(paths, purpose, name));
  const chosen = files.filter(({ path }) => wanted.has(path));
  const before = await cache.commitOf(name.revision);
  if (before !== undefined && before !== commit) {
    const [from, to] = [before, commit].map((each) => each.slice(0, 12));
    options.onNotice?.(
      `${describeName(name)} has changed since it was last fetched: it was ${from} and is ${to}.`,
    );
  }
  await fetchBlobs(request, chosen, commit);
  await cache.exclusively("snapshot", async () => {
    for (const { digest, path } of chosen) await cache.link(digest, commit, path);
    for (const path of absentFiles(paths, purpose, name)) await cache.rememberAbsent(commit, path);
    await cache.remember(name.revision, commit);
  });
  const missing = await missingIn(folderOf(request, commit), purpose);
  if (missing === undefined) return await placeIn(request, commit, [...wanted]);
  throw new CannotError(
    `fetch ${describeName(name)}`,
    `its files speak of ${missing}, which is not among them`,
    "Name another revision",
  );
}

async function fetchBlobs(
  { name, cache, settings, options }: Errand,
  files: readonly HubFile[],
  commit: string,
): Promise<void> {
  const { onProgress, onNotice } = options;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const here: number[] = [];
  for (const file of files) here.push(await bytesHere(file, cache));
  const needed = total - here.reduce((sum, bytes) => sum + bytes, 0);
  if (needed > 0) {
    const count = files.filter(({ size }, i) => here[i]! < size).length;
    onNotice?.(
      `Fetching ${describeBytes(needed)} in ${counted(count, "file")} ` +
        `of ${describeName(name)} (${commit.slice(0, 12)}) into ${settings.cache}`,
    );
    const free = await freeSpace(settings.cache);
    if (free !== undefined && free < needed) {
      throw new CannotError(
        `fetch ${describeName(name)}`,
        `it takes ${describeBytes(needed)}, and ${
          describeBytes(free)
        } are free at ${settings.cache}`,
        "Free some space, or set HF_HOME to another folder",
      );
    }
  }
  for (const [i, file] of files.entries()) {
    await fetchBlob(file, {
      ...{ name, commit, cache, settings, surroundings: options },
      onBytes(bytes) {
        here[i] = bytes;
        if (needed > 0) onProgress?.(here.reduce((sum, each) => sum + each, 0), total);
      },
    });
  }
}

async function fromCache(request: Errand, why: string): Promise<string> {
  const { name, purpose, cache, settings, options } = request;
  const commit = await cache.commitOf(name.revision);
  const missing = commit && await missingIn(folderOf(request, commit), purpose);
  if (commit === undefined || missing !== undefined) {
    throw new CannotError(
      `fetch ${describeName(name)}`,
      `${why}, and ${missing ?? "it"} is not in ${settings.cache}`,
      settings.offline ? "Unset HF_HUB_OFFLINE once, to fetch it" : "Connect once, to fetch it",
    );
  }
  options.onNotice?.(
    `${describeName(name)} is as fetched earlier (${commit.slice(0, 12)}), since ${why}.`,
  );
  return await placeIn(request, commit);
}

/** Whether all that would be read of a commit is in the cache, or known not to exist. */
async function isAllHere(request: Errand): Promise<boolean> {
  const { name: { revision, path }, purpose, cache } = request;
  if (purpose === "data" && !await isFile(folderOf(request, revision))) return false;
  const isKnown = (file: string) =>
    cache.isAbsent(revision, path === "" ? file : `${path}/${file}`);
  return await missingIn(folderOf(request, revision), purpose, isKnown) === undefined;
}

async function isUsable(request: Errand): Promise<boolean> {
  const commit = await request.cache.commitOf(request.name.revision);
  return commit !== undefined &&
    await missingIn(folderOf(request, commit), request.purpose) === undefined;
}

function folderOf({ name: { path }, cache }: Errand, commit: string): string {
  return path === "" ? cache.snapshot(commit) : `${cache.snapshot(commit)}/${path}`;
}

/** What a name means in a commit: of data in a single file, that file. */
async function placeIn(
  request: Errand,
  commit: string,
  fetched?: readonly string[],
): Promise<string> {
  const { name, purpose, cache, options } = request;
  const folder = folderOf(request, commit);
  if (purpose !== "data" || await isFile(folder)) return folder;
  const files = fetched ?? wantedFiles(await filesBelow(cache.snapshot(commit)), "data", name);
  if (fetched === undefined) {
    options.onNotice?.(`The cache holds ${counted(files.length, "file")} of it.`);
  }
  return files.length === 1 ? `${cache.snapshot(commit)}/${files[0]}` : folder;
}

async function filesBelow(folder: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) found.push(...await filesBelow(`${folder}/${name}`, `${prefix}${name}/`));
    else found.push(prefix + name);
  }
  return found.sort();
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isFile }) => isFile, () => false);
}
