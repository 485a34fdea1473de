// Requests to the hub. Two routes are used:
//   GET /api/models/NAME/revision/REVISION?blobs=true    the commit, and its files with sizes and digests
//   GET /NAME/resolve/COMMIT/PATH                        a file, mostly by way of a store elsewhere, from any byte on
// What fails in passing is tried again. The token goes to the endpoint alone: a redirect to another host loses it.

import { CannotError } from "../base/errors.ts";
import { checkPath, describeName, type HubName } from "./name.ts";
import type { HubSettings } from "./settings.ts";

/** What requests need of their surroundings; all of it is the platform's unless given. */
export interface Surroundings {
  /** Sends a request. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Waits. */
  sleep?: (milliseconds: number) => Promise<void>;
  /** Milliseconds that a connection may be silent; a minute. */
  patience?: number;
  /** Gets what a person should know: what is fetched, or why it is waited. */
  onNotice?(notice: string): void;
}

/** A file of a repository. */
export interface HubFile {
  /** Where it is in the repository. */
  path: string;
  /** In bytes. */
  size: number;
  /** Its SHA-256 where it is large, otherwise the SHA-1 that Git gives it. */
  digest: string;
}

/** A repository at one commit. */
export interface RepositoryState {
  /** The commit. */
  commit: string;
  /** All of its files. */
  files: HubFile[];
}

/** The hub was not reached, or went on failing: what the cache holds may do. */
export class Unreachable extends CannotError {}

/** A connection that broke off; another attempt may go on where it did. */
export class Interrupted extends Error {}

/** Attempts at one request before giving up. */
const attempts = 5;

const longestWait = 300; // seconds that the hub may ask to wait

/**
 * Asks which commit a revision is, and which files it has.
 *
 * @param tries Attempts before giving up.
 * @throws {CannotError} when there is no such repository or revision, or it may not be read.
 * @throws {Unreachable} when the hub cannot be reached.
 */
export async function repositoryState(
  name: HubName,
  settings: HubSettings,
  surroundings: Surroundings,
  tries = attempts,
): Promise<RepositoryState> {
  const { kind, repo, revision } = name;
  const path = `api/${kind}s/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const what = describeName({ ...name, path: "" });
  return await persistently(what, surroundings, async () => {
    const { response, done } = await send(path, {}, name, what, settings, surroundings);
    const text = await response.text().catch((error) => {
      throw new Interrupted(reasonOf(error, settings));
    }).finally(done);
    return readState(text, name);
  }, { tries });
}

/** The bytes of a file from one of them on, and what ends the waiting for more. */
export interface FileStream extends Disposable {
  /** Where they begin: 0 where the store does not serve parts. */
  from: number;
  /** @throws {Interrupted} when the connection breaks off. */
  chunks: AsyncIterable<Uint8Array>;
}

/** Opens a file. @throws {CannotError} when it may not be read. @throws {Interrupted} for what may pass. */
export async function openFile(
  { path }: HubFile,
  from: number,
  commit: string,
  name: HubName,
  settings: HubSettings,
  surroundings: Surroundings,
): Promise<FileStream> {
  const prefix = name.kind === "dataset" ? "datasets/" : "";
  const place = path.split("/").map(encodeURIComponent).join("/");
  const { response, done, alive } = await send(
    `${prefix}${name.repo}/resolve/${commit}/${place}`,
    from > 0 ? { range: `bytes=${from}-` } : {},
    name,
    describeFile(path, name),
    settings,
    surroundings,
  );
  const served = response.headers.get("content-range")?.match(/^bytes (\d+)-/)?.[1];
  const { body } = response;
  return {
    from: response.status === 206 ? Number(served ?? NaN) : 0,
    chunks: (async function* () {
      try {
        for await (const chunk of body ?? []) {
          alive();
          yield chunk;
        }
      } catch (error) {
        throw new Interrupted(reasonOf(error as Error, settings));
      }
    })(),
    [Symbol.dispose]: done,
  };
}

/** How a file is called in errors. */
export function describeFile(path: string, name: HubName): string {
  return `${path} of ${describeName({ ...name, path: "" })}`;
}

/**
 * Repeats what is {@linkcode Interrupted}, after longer and longer waits.
 *
 * @param progress What has been reached: an attempt that got further does not count as a failed one.
 * @param tries Attempts before giving up.
 * @throws {Unreachable} after the last attempt.
 */
export async function persistently<Result>(
  what: string,
  { sleep = wait, onNotice }: Surroundings,
  attempt: () => Promise<Result>,
  { progress = () => 0, tries = attempts }: { progress?: () => number; tries?: number } = {},
): Promise<Result> {
  for (let tried = 1, reached = progress();; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      if (progress() > reached) tried = 1;
      reached = progress();
      if (tried === tries) {
        throw new Unreachable(
          `fetch ${what}`,
          `${error.message}, ${tries} times`,
          "Try again later: what is here already is kept and continued",
        );
      }
      const milliseconds = error instanceof Busy ? error.milliseconds : 1000 * 2 ** (tried - 1);
      onNotice?.(`Trying ${what} again in ${milliseconds / 1000} s: ${error.message}.`);
      await sleep(milliseconds);
    }
  }
}

/** The hub asks to wait. */
class Busy extends Interrupted {
  constructor(why: string, readonly milliseconds: number) {
    super(why);
  }
}

interface Sent {
  response: Response;
  /** Something has arrived. */
  alive(): void;
  /** Nothing more is waited for. */
  done(): void;
}

async function send(
  path: string,
  headers: Record<string, string>,
  name: HubName,
  what: string,
  settings: HubSettings,
  { fetch = globalThis.fetch, patience = 60_000 }: Surroundings,
): Promise<Sent> {
  const { endpoint, token } = settings;
  const controller = new AbortController();
  const silence = new DOMException("nothing came for a while", "TimeoutError");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const done = () => {
    clearTimeout(timer);
    controller.abort();
  };
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(silence), patience);
  };
  alive();
  try {
    const response = await fetch(`${endpoint}/${path}`, {
      headers: {
        "accept-encoding": "identity",
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      signal: controller.signal,
    });
    alive();
    if (response.ok) return { response, alive, done };
    await response.body?.cancel();
    throw refusal(response, name, what, settings);
  } catch (error) {
    done();
    if (error instanceof CannotError || error instanceof Interrupted) throw error;
    if (error instanceof Deno.errors.NotCapable) throw notAllowed(error, what, settings);
    throw new Interrupted(reasonOf(error as Error, settings));
  }
}

function refusal(
  { status, headers }: Response,
  name: HubName,
  what: string,
  { endpoint, token }: HubSettings,
): Error {
  const page = `${endpoint}/${name.kind === "dataset" ? "datasets/" : ""}${name.repo}`;
  const code = headers.get("x-error-code");
  const refuse = (why: string, remedy: string) =>
    new CannotError(`fetch ${what}`, `${why} (HTTP ${status})`, remedy);
  if (status === 429 || status >= 500 || status === 408) return busy(status, headers, what);
  if (code === "GatedRepo" || status === 403) {
    const who = token === undefined ? "and set HF_TOKEN" : "with the account of HF_TOKEN";
    return refuse("its owners ask to be asked", `Accept their terms on ${page}, ${who}`);
  }
  if (status === 401 && token !== undefined && code !== "RepoNotFound") {
    return refuse("the hub does not accept the token", "Set HF_TOKEN to a valid one, or unset it");
  }
  if (code === "RevisionNotFound") {
    return refuse(`it has no revision "${name.revision}"`, `Look at the branches of ${page}`);
  }
  if (code === "EntryNotFound") {
    return refuse("it has no such file at that commit", `Look at the files of ${page}`);
  }
  if (status === 401 || status === 404) {
    const kind = name.kind === "dataset" ? "data set" : "model";
    const secret = token === undefined
      ? "for a private one set HF_TOKEN"
      : "a private one must be open to the account of HF_TOKEN";
    return refuse(
      `the hub has no such ${kind}${name.kind === "model" ? ", and here is no such folder" : ""}`,
      `Check the name; ${secret}`,
    );
  }
  return refuse("the hub refused", `Open ${page} in a browser`);
}

function busy(status: number, headers: Headers, what: string): Error {
  const seconds = Number(
    headers.get("retry-after") ?? headers.get("ratelimit")?.match(/\bt=(\d+)/)?.[1],
  );
  const why = status === 429
    ? "the hub asks to send fewer requests (HTTP 429)"
    : `the hub failed (HTTP ${status})`;
  if (seconds > longestWait) {
    return new Unreachable(
      `fetch ${what}`,
      why,
      `Try again in ${Math.ceil(seconds / 60)} minutes; with HF_TOKEN set more are allowed`,
    );
  }
  return seconds >= 0 && headers.has("retry-after") || seconds > 0
    ? new Busy(why, 1000 * seconds)
    : new Interrupted(why);
}

function notAllowed(error: Error, what: string, { endpoint }: HubSettings): CannotError {
  const host = error.message.match(/net access to "([^"]+)"/)?.[1]?.replace(/:443$/, "");
  const isEndpoint = host !== undefined && new URL(endpoint).host === host;
  return new CannotError(
    `fetch ${what}`,
    `this program may not reach ${host ?? new URL(endpoint).host}${
      isEndpoint && host !== "huggingface.co" ? ", which HF_ENDPOINT names" : ""
    }`,
    `Add it to --allow-net, for a task in deno.json${
      isEndpoint && host !== "huggingface.co" ? ", or unset HF_ENDPOINT" : ""
    }`,
  );
}

// Stores are given addresses that open them, and Deno's errors repeat addresses.
function reasonOf({ message }: Error, { endpoint, token }: HubSettings): string {
  const reason = message.replace(/ ?(?:for url )?\(?https?:\/\/[^\s)]+\)?/g, "").split("\n")[0]!;
  const said = token === undefined ? reason : reason.replaceAll(token, "…");
  return `the connection to ${new URL(endpoint).host} failed (${said})`;
}

function readState(text: string, name: HubName): RepositoryState {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw unreadable(name);
  }
  const { sha, siblings } = (answer ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== "string" || !isCommit(sha) || !Array.isArray(siblings)) throw unreadable(name);
  return { commit: sha, files: siblings.map((entry) => readFile(entry, name)) };
}

function readFile(entry: unknown, name: HubName): HubFile {
  const { rfilename: path, size, blobId, lfs } = (entry ?? {}) as Record<string, unknown>;
  const { sha256 = blobId } = (lfs ?? {}) as Record<string, unknown>;
  if (typeof path !== "string" || !Number.isSafeInteger(size) || typeof sha256 !== "string") {
    throw unreadable(name);
  }
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(sha256)) throw unreadable(name);
  checkPath(path, name);
  return { path, size: size as number, digest: sha256 };
}

/** Whether a revision is a commit, which never changes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

function unreadable(name: HubName): CannotError {
  return new CannotError(
    `fetch ${describeName(name)}`,
    "the answer is not one of the hub",
    "Check HF_ENDPOINT, and whether a proxy answers in its place",
  );
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
