// Names of what lies on the hub, as people write them:
//   allenai/OLMo-1B-hf                            a model, its branch main
//   allenai/OLMo-1B-hf@step737000-tokens3093B     at a branch, a tag or a commit
//   datasets/org/name@rev/data/train.parquet      a file or folder of a data set, or all of it
// with or without hf:// in front, as Hugging Face's own programs write addresses.

import { CannotError } from "../base/errors.ts";

/** What lies on the hub: a repository at a revision, or a part of it. */
export interface HubName {
  /** What kind of repository it is. */
  kind: "model" | "dataset";
  /** Owner and name, `allenai/OLMo-1B-hf`. */
  repo: string;
  /** A branch, a tag or a commit. */
  revision: string;
  /** A file or folder in it; empty for all of it. */
  path: string;
}

const word = String.raw`[A-Za-z0-9_][\w.-]*`;
const repository = new RegExp(
  `^(hf://)?(datasets/)?(${word}/${word})(?:@(refs/(?:pr/\\d+|convert/\\w+)|[^/@\\s]+))?(?:/(.+?))?/?$`,
);

/**
 * Takes a name apart; undefined for what is none. A model needs `hf://` in front to name a folder in it, so that
 * `path/to/model` stays a path.
 */
export function parseHubName(text: string): HubName | undefined {
  const [, scheme, datasets, repo, revision = "main", path = ""] = repository.exec(text) ?? [];
  if (repo === undefined || !datasets && !scheme && path !== "") return undefined;
  if (repo.startsWith("datasets/")) return undefined; // the name of the data set is missing
  const parts = [...repo.split("/"), ...path.split("/"), decoded(revision)];
  if (parts.some((part) => !isSafe(part))) return undefined;
  const kind = datasets ? "dataset" : "model";
  return { kind, repo, revision: decoded(revision), path };
}

/** Whether a text can be the name of a model on the hub, if there is no such folder here. */
export function isModelName(text: string): boolean {
  return parseHubName(text)?.kind === "model";
}

/** Whether a text can be the name of a data set on the hub, or of a part of one. */
export function isDatasetName(text: string): boolean {
  return parseHubName(text)?.kind === "dataset";
}

/** A name as a person would write it, without the branch `main`. */
export function describeName({ kind, repo, revision, path }: HubName): string {
  const at = revision === "main" ? "" : `@${revision}`;
  return `${kind === "dataset" ? "datasets/" : ""}${repo}${at}${path && `/${path}`}`;
}

/** Refuses a path of the hub that would lead out of the folder which it is put into. */
export function checkPath(path: string, name: HubName): void {
  if (path !== "" && path.split("/").every((part) => part !== "" && isSafe(part))) return;
  throw new CannotError(
    `fetch ${describeName(name)}`,
    `one of its files is called ${JSON.stringify(path)}, which would leave the cache`,
    "Do not use this repository",
  );
}

// Branches hold slashes, which is why this looks at their parts as well.
function isSafe(part: string): boolean {
  const pieces = part.split(/[/\\]/);
  // deno-lint-ignore no-control-regex -- these are what a name must not hold
  return !pieces.includes("..") && !/[\\:\x00-\x1f]/.test(part);
}

function decoded(revision: string): string {
  try {
    return revision === "~parquet" ? "refs/convert/parquet" : decodeURIComponent(revision);
  } catch {
    return revision;
  }
}
