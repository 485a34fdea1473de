// Shards read by position: a document is two or three small reads, and nothing else of the corpus is in memory.

import { CannotError } from "../../base/errors.ts";
import { riskNames } from "../../slung/objective.ts";
import { lengthAt, type Sequence, type SequenceSource, sliceSequence } from "../sequence.ts";
import {
  bytesOf,
  partFiles,
  readManifest,
  shardIdentity,
  type ShardManifest,
  type ShardPart,
} from "./format.ts";

/** The documents of a folder of shards, each with its EOS, and its BOS if the tokenizer has one. */
export interface Shards extends SequenceSource, Disposable {
  /** Where they are. */
  readonly folder: string;
  /** What they hold. */
  readonly manifest: ShardManifest;
  /** Document `index`, counted over all parts. @throws {CannotError} when its file is damaged or cannot be read. */
  at(index: number): Sequence;
  /** Its tokens. */
  lengthOf(index: number): number;
  /** Of all shards with the same tokens, classes and documents. */
  readonly identity: string;
}

/**
 * Opens a folder of shards for reading.
 *
 * @throws {CannotError} naming the file that is missing, damaged or of another length than the manifest says.
 */
export async function openShards(folder: string): Promise<Shards> {
  const manifest = await readManifest(folder);
  for (const part of manifest.parts) await checkSizes(folder, part, manifest);
  return new OpenShards(folder, manifest);
}

async function checkSizes(
  folder: string,
  { number, tokens, documents }: ShardPart,
  { dtype }: ShardManifest,
): Promise<void> {
  const names = partFiles(number);
  const sizes = { tokens: tokens * bytesOf(dtype), classes: tokens, documents: 8 * documents };
  for (const kind of ["tokens", "classes", "documents"] as const) {
    const path = `${folder}/${names[kind]}`;
    const { size } = await Deno.stat(path).catch((cause) => {
      throw new CannotError(`read "${path}"`, cause.message, "Copy the shards again", { cause });
    });
    if (size === sizes[kind]) continue;
    throw new CannotError(
      `read "${path}"`,
      `it has ${size} bytes, and the manifest says ${sizes[kind]}`,
      "Copy the shards again",
    );
  }
}

const mostOpen = 48; // files at one time; systems allow some hundred

class OpenShards implements Shards {
  readonly folder: string;
  readonly manifest: ShardManifest;
  readonly length: number;
  readonly identity: string;
  readonly #ends: number[] = []; // documents up to the end of each part
  readonly #files = new Map<string, Deno.FsFile>(); // the one used last stands at the end

  constructor(folder: string, manifest: ShardManifest) {
    this.folder = folder;
    this.manifest = manifest;
    this.length = manifest.documents;
    this.identity = shardIdentity(manifest);
    let documents = 0;
    for (const part of manifest.parts) this.#ends.push(documents += part.documents);
  }

  lengthOf(index: number): number {
    const { start, end } = this.#placeOf(index);
    return end - start;
  }

  at(index: number): Sequence {
    const { part, start, end } = this.#placeOf(index);
    const { tokens, classes } = partFiles(part.number);
    const width = bytesOf(this.manifest.dtype);
    const bytes = this.#read(tokens, start * width, (end - start) * width);
    const ids = width === 2
      ? Uint32Array.from(new Uint16Array(bytes.buffer))
      : new Uint32Array(bytes.buffer);
    return { tokens: ids, classes: this.#classes(classes, start, end - start) };
  }

  #classes(name: string, start: number, length: number): Uint8Array<ArrayBuffer> {
    const classes = this.#read(name, start, length);
    const at = classes.findIndex((risk) => risk >= riskNames.length);
    if (at < 0) return classes;
    throw new CannotError(
      `read token ${start + at} of "${this.folder}/${name}"`,
      `its class is ${classes[at]}, and the last one is ${riskNames.length - 1}`,
      "Copy the shards again",
    );
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  /** The part of a document, and its first token and the one behind its last there. */
  #placeOf(index: number): { part: ShardPart; start: number; end: number } {
    if (!(Number.isInteger(index) && index >= 0 && index < this.length)) {
      throw new RangeError(`document ${index} of ${this.length}`);
    }
    const number = this.#ends.findIndex((end) => end > index);
    const part = this.manifest.parts[number]!;
    const { documents } = partFiles(part.number);
    const local = index - (this.#ends[number]! - part.documents);
    const [start, end] = local === 0
      ? [0, ...this.#numbers(documents, 0, 1)]
      : this.#numbers(documents, local - 1, 2);
    if (start! < end! && end! <= part.tokens) return { part, start: start!, end: end! };
    throw new CannotError(
      `read document ${local} of "${this.folder}/${documents}"`,
      `it goes from token ${start} to ${end} of ${part.tokens}`,
      "Copy the shards again",
    );
  }

  #numbers(name: string, first: number, count: number): number[] {
    const bytes = this.#read(name, 8 * first, 8 * count);
    return Array.from(new BigUint64Array(bytes.buffer), Number);
  }

  #read(name: string, start: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    const path = `${this.folder}/${name}`;
    const fail = (why: string, cause?: unknown) =>
      new CannotError(`read "${path}"`, why, "Copy the shards again", { cause });
    let done = 0;
    try {
      const file = this.#open(path);
      file.seekSync(start, Deno.SeekMode.Start);
      while (done < length) {
        const count = file.readSync(bytes.subarray(done));
        if (count === null) break;
        done += count;
      }
    } catch (cause) {
      throw fail((cause as Error).message, cause);
    }
    if (done < length) throw fail(`it ends at byte ${start + done}`);
    return bytes;
  }

  #open(path: string): Deno.FsFile {
    const file = this.#files.get(path) ?? Deno.openSync(path);
    this.#files.delete(path);
    this.#files.set(path, file);
    if (this.#files.size > mostOpen) {
      const [oldest, unused] = this.#files.entries().next().value!;
      this.#files.delete(oldest);
      unused.close();
    }
    return file;
  }
}

/** The documents without their last token, EOS: what the experiments mix. */
export function withoutEnds(documents: SequenceSource): SequenceSource {
  const { length, identity } = documents;
  return {
    length,
    identity: identity === undefined ? undefined : `${identity} without EOS`,
    lengthOf: (index) => lengthAt(documents, index) - 1,
    at: (index) => sliceSequence(documents.at(index)!, 0, -1),
  };
}
