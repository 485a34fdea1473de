// One file of a part while it is written: gathered in memory, a mebibyte at a time, with a checksum, beside its place
// until it is complete.

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { CannotError } from "../../base/errors.ts";

const gathered = 1 << 20; // bytes between writes

/** What is written of the documents of a part into one file. */
export interface PartColumn {
  /** The name of the file in a part. */
  fileOf(part: number): string;
  /** What a document adds to it. */
  bytesOf(document: PartDocument): Uint8Array;
  /** Compressed with gzip, in members of a mebibyte. */
  gzip?: boolean;
}

/** A document on its way into a part. */
export interface PartDocument {
  /** [n] ids, EOS included. */
  tokens: Uint32Array;
  /** [n] risk classes. */
  classes: Uint8Array;
  /** Where it begins in the part, in tokens. */
  start: number;
  /** Unique within its corpus, where it has one. */
  id: string;
  /** Where it comes from, e.g. `reddit`. */
  source: string;
  /** The name of the file that it was read from. */
  file: string;
  /** Which document of that file it is, from 1. */
  place: number;
}

/** A file of a part that is being written. */
export class PartFile {
  readonly #path: string;
  readonly #column: PartColumn;
  readonly #file: Deno.FsFile;
  readonly #hash = createHash("sha256");
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #begun = false;

  /** Begins the file beside its place. @throws {CannotError} naming it, when it cannot be written. */
  constructor(path: string, column: PartColumn) {
    this.#path = path;
    this.#column = column;
    this.#file = attempt(
      path,
      () => Deno.openSync(`${path}.partial`, { write: true, create: true, truncate: true }),
    );
  }

  /** Adds a document. @throws {CannotError} naming the file, when it cannot be written. */
  add(document: PartDocument): void {
    const bytes = this.#column.bytesOf(document);
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= gathered) this.#write();
  }

  /** Completes the file and puts it in its place. Returns its SHA-256. */
  finish(): string {
    this.#write();
    attempt(this.#path, () => {
      this.#file.syncSync();
      this.#file.close();
      Deno.renameSync(`${this.#path}.partial`, this.#path);
    });
    return this.#hash.digest("hex");
  }

  /** Removes what was written. */
  abandon(): void {
    try {
      this.#file.close();
    } catch { /* it was closed */ }
    try {
      Deno.removeSync(`${this.#path}.partial`);
    } catch { /* it stands in its place, and is written again */ }
  }

  #write(): void {
    const bytes = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#waiting) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#waiting = [];
    this.#bytes = 0;
    if (bytes.length === 0 && (this.#begun || !this.#column.gzip)) return;
    this.#begun = true;
    const written = this.#column.gzip ? new Uint8Array(gzipSync(bytes)) : bytes;
    this.#hash.update(written);
    attempt(this.#path, () => {
      for (let done = 0; done < written.length;) {
        done += this.#file.writeSync(written.subarray(done));
      }
    });
  }
}

function attempt<Result>(path: string, run: () => Result): Result {
  try {
    return run();
  } catch (cause) {
    throw new CannotError(
      `write "${path}"`,
      (cause as Error).message,
      "Free some space or choose another folder; finished parts are kept, and the same command goes on",
      { cause },
    );
  }
}
