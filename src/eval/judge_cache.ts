// What a judge has replied, in a file of one line a reply: written and flushed before the reply is used, so that none is
// paid for twice, even when the process was killed. A last line that a kill has cut is dropped when the file is opened.

import { CannotError } from "../base/errors.ts";
import { exists, readText } from "../base/files.ts";
import { holdFolder } from "../base/lock.ts";
import { createHash } from "node:crypto";
import { basename, dirname } from "node:path";

/** A reply, and what it took. */
export interface JudgeReply {
  /** What the judge wrote. */
  text: string;
  /** The model that says it has replied: of a name that moves, the version. */
  model: string;
  /** As the service counts them; 0 where it doesn't say. */
  tokens: { input: number; output: number };
}

/** Replies by what was asked. */
export interface JudgeCache extends Disposable {
  /** How many are there. */
  readonly size: number;
  /** The reply to this request, if it was ever given. */
  find(request: string): JudgeReply | undefined;
  /** Keeps a reply; when this returns, it is on the disk. */
  keep(request: string, reply: JudgeReply): Promise<void>;
}

/**
 * Opens the replies in a file for this process alone, and makes it if need be.
 *
 * @throws {CannotError} naming the line that is no reply, or when another process has it.
 */
export async function openJudgeCache(path: string): Promise<JudgeCache> {
  const held = await holdFolder(dirname(path), {
    file: `.${basename(path)}.lock`,
    remedy: "Wait for it: both would pay for the same replies",
  });
  try {
    const text = await exists(path) ? await readText(path) : "";
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const replies = new Map(
      whole.split("\n").slice(0, -1).map((line, i) => parseLine(line, path, i + 1)),
    );
    const file = await Deno.open(path, { write: true, create: true });
    await file.truncate(whole.length); // all of it is ASCII
    await file.seek(0, Deno.SeekMode.End);
    return cacheOn(file, replies, held);
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

function cacheOn(
  file: Deno.FsFile,
  replies: Map<string, JudgeReply>,
  held: Disposable,
): JudgeCache {
  let writing = Promise.resolve();
  const write = async (line: string) => {
    const bytes = new TextEncoder().encode(line);
    for (let written = 0; written < bytes.length;) {
      written += await file.write(bytes.subarray(written));
    }
    await file.syncData();
  };
  return {
    get size() {
      return replies.size;
    },
    find: (request) => replies.get(digest(request)),
    async keep(request, reply) {
      const key = digest(request);
      writing = writing.then(() => write(`${inAscii({ request: key, ...reply })}\n`));
      await writing;
      replies.set(key, reply);
    },
    [Symbol.dispose]() {
      file.close();
      held[Symbol.dispose]();
    },
  };
}

function digest(request: string): string {
  return createHash("sha256").update(request).digest("hex");
}

// So that a line can be cut anywhere and the file is still text.
function inAscii(value: object): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function parseLine(line: string, path: string, number: number): [string, JudgeReply] {
  try {
    const { request, text, model, tokens: { input, output } } = JSON.parse(line);
    if (
      [request, text, model].every((field) => typeof field === "string") &&
      [input, output].every((count) => typeof count === "number")
    ) return [request, { text, model, tokens: { input, output } }];
  } catch { /* said below */ }
  throw new CannotError(
    `read "${path}" line ${number}`,
    "it is no judge's reply",
    "Remove the line, which is then asked and paid for again",
  );
}
