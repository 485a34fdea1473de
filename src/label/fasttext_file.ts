// The files of Facebook's fastText, `.bin` and quantised `.ftz`, supervised models only:
// magic, version, arguments, dictionary (words, then labels), input matrix, output matrix, all
// little-endian. A quantised matrix holds one byte for every few columns, an index into 256
// centroids (Jégou et al., 2011), and is expanded here. Files come from strangers: every length is
// checked against the bytes that are left before anything is allocated.

import { CannotError } from "../base/errors.ts";

/** How a model turns logits into probabilities, as numbered in the file. */
export const Loss = {
  hierarchicalSoftmax: 1,
  negativeSampling: 2,
  softmax: 3,
  oneVsAll: 4,
} as const;
/** One of {@linkcode Loss}. */
export type Loss = (typeof Loss)[keyof typeof Loss];

/** A supervised model as its file describes it. */
export interface FastTextFile {
  loss: Loss;
  /** Longest n-gram of words; 1 for none. */
  wordNgrams: number;
  /** Rows that n-grams are hashed into, before pruning. */
  bucket: number;
  /** Shortest and longest n-gram of characters; none when `maxn` is 0. */
  minn: number;
  maxn: number;
  /** Words, then labels, as UTF-8; entry i is bytes[offsets[i]] to bytes[offsets[i + 1]]. */
  entries: { bytes: Uint8Array; offsets: Uint32Array };
  /** How many of the entries are words. */
  wordCount: number;
  labels: string[];
  /** Training examples of each label; they shape the tree of the hierarchical softmax. */
  labelCounts: number[];
  /** Row of each n-gram bucket that was kept, when the dictionary was pruned. */
  pruned: Map<number, number> | undefined;
  /** Columns of `rows`. */
  width: number;
  /** What each word, then each n-gram bucket, adds: [rows, width]. */
  rows: Float32Array;
  /** Hidden values to logits, [labels, width]; absent when `rows` are already multiplied by it. */
  output: Float32Array | undefined;
}

const MAGIC = 793712314;
const NEWEST_VERSION = 12;
const SUPERVISED = 3;
const CENTROIDS = 256;
const CHUNK_ROWS = 4096;

/**
 * Reads a supervised fastText model. Where it has fewer labels than dimensions, the input matrix is
 * multiplied by the output matrix while it is read: the model is linear up to its logits, so this
 * changes nothing but the memory, which for Dolma's two labels and 100 dimensions falls fiftyfold.
 *
 * @throws {CannotError} naming the file, when it is not such a model, is truncated or contradicts
 * itself.
 */
export function readFastText(path: string): FastTextFile {
  using file = new FileCursor(path);
  if (file.remaining < 8 || file.int32("its magic number") !== MAGIC) {
    throw malformed(path, "it does not begin with fastText's magic number");
  }
  const version = file.int32("its version");
  if (version > NEWEST_VERSION) {
    throw malformed(path, `its version is ${version}, newer than ${NEWEST_VERSION}`);
  }
  const settings = readArguments(file, version);
  const dictionary = readDictionary(file, settings.dim);
  const quantised = file.boolean("the kind of its input matrix");
  const input = openMatrix(file, quantised, "input matrix");
  const expected = dictionary.wordCount +
    (dictionary.pruned ? dictionary.pruned.size : settings.bucket);
  check(path, input, settings.dim, expected, "input matrix");
  if (!quantised && dictionary.pruned) {
    throw malformed(path, "its dictionary is pruned, but its matrix is not quantised");
  }
  file.seek(input.end);
  const quantisedOutput = file.boolean("the kind of its output matrix") && quantised;
  const outputMatrix = openMatrix(file, quantisedOutput, "output matrix");
  check(path, outputMatrix, settings.dim, dictionary.labels.length, "output matrix");
  const output = readRows(outputMatrix, (rows) => rows);
  const fewLabels = dictionary.labels.length < settings.dim;
  const rows = readRows(input, (rows) => fewLabels ? project(rows, output, settings.dim) : rows);
  return {
    ...settings,
    ...dictionary,
    rows,
    width: fewLabels ? dictionary.labels.length : settings.dim,
    output: fewLabels ? undefined : output,
  };
}

interface Arguments extends Pick<FastTextFile, "loss" | "wordNgrams" | "bucket" | "minn" | "maxn"> {
  dim: number;
}

function readArguments(file: FileCursor, version: number): Arguments {
  const what = "its arguments";
  const dim = file.int32(what);
  file.skip(4 * 4, what); // window, epochs, smallest word count, negatives
  const wordNgrams = file.int32(what);
  const loss = file.int32(what), model = file.int32(what);
  const bucket = file.int32(what), minn = file.int32(what), maxn = file.int32(what);
  file.skip(4 + 8, what); // learning rate updates, sampling threshold
  if (model !== SUPERVISED) {
    throw new CannotError(
      `use "${file.path}" as a classifier`,
      "it holds word vectors, not a supervised model",
      "Give a model made by fastText's train_supervised",
    );
  }
  const knownLoss = Object.values(Loss).find((known) => known === loss);
  if (knownLoss === undefined) throw malformed(file.path, `its loss is ${loss}, not 1 to 4`);
  const fault = dim < 1
    ? `it has ${dim} dimensions`
    : bucket < 0
    ? `it has ${bucket} buckets`
    : bucket === 0 && (wordNgrams > 1 || (maxn > 0 && version > 11))
    ? "it has n-grams, but no buckets for them"
    : undefined;
  if (fault !== undefined) throw malformed(file.path, fault);
  // Supervised models of version 11 were trained without character n-grams whatever they say.
  return { dim, loss: knownLoss, wordNgrams, bucket, minn, maxn: version === 11 ? 0 : maxn };
}

type Dictionary = Pick<
  FastTextFile,
  "entries" | "wordCount" | "labels" | "labelCounts" | "pruned"
>;

function readDictionary(file: FileCursor, dim: number): Dictionary {
  const what = "its dictionary";
  const size = file.int32(what), wordCount = file.int32(what), labelCount = file.int32(what);
  file.skip(8, what); // training tokens
  const prunedCount = file.int64(what);
  if (wordCount < 0 || labelCount < 1 || size !== wordCount + labelCount) {
    throw malformed(file.path, `its ${size} entries are ${wordCount} words, ${labelCount} labels`);
  }
  if (size * 10 + Math.max(prunedCount, 0) * 8 + labelCount * dim > file.remaining) {
    throw malformed(file.path, `it claims ${size} dictionary entries, more than it can hold`);
  }
  let bytes = new Uint8Array(1 << 16), used = 0;
  const offsets = new Uint32Array(size + 1);
  const labels: string[] = [], labelCounts: number[] = [];
  for (let i = 0; i < size; i++) {
    const entry = file.terminated(what);
    const count = file.int64(what), isLabel = file.boolean(what);
    if (isLabel !== i >= wordCount) throw malformed(file.path, "its labels stand among its words");
    if (isLabel) {
      labels.push(new TextDecoder().decode(entry));
      labelCounts.push(count);
    }
    if (used + entry.length > bytes.length) {
      const larger = new Uint8Array(2 * (used + entry.length));
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(entry, used);
    offsets[i + 1] = used += entry.length;
  }
  const read = { entries: { bytes, offsets }, wordCount, labels, labelCounts };
  if (prunedCount < 0) return { ...read, pruned: undefined };
  const pruned = new Map<number, number>();
  for (let i = 0; i < prunedCount; i++) {
    const from = file.int32(what), to = file.int32(what);
    if (to < 0 || to >= prunedCount) throw malformed(file.path, `n-gram ${from} has no row`);
    pruned.set(from, to);
  }
  return { ...read, pruned };
}

interface MatrixInFile {
  rows: number;
  columns: number;
  /** One past its last byte. */
  end: number;
  /** Rows `from` to `to` as float32. */
  read(from: number, to: number): Float32Array;
}

function openMatrix(file: FileCursor, quantised: boolean, name: string): MatrixInFile {
  return quantised ? openQuantised(file, name) : openDense(file, name);
}

function openDense(file: FileCursor, name: string): MatrixInFile {
  const rows = file.int64(name), columns = file.int64(name);
  if (rows < 0 || columns < 1 || rows * columns * 4 > file.remaining) {
    throw malformed(file.path, `its ${name} of ${rows} × ${columns} is longer than the file`);
  }
  const start = file.position;
  return {
    rows,
    columns,
    end: start + rows * columns * 4,
    read(from, to) {
      file.seek(start + from * columns * 4);
      return file.float32((to - from) * columns, name);
    },
  };
}

function openQuantised(file: FileCursor, name: string): MatrixInFile {
  const hasNorms = file.boolean(name);
  const rows = file.int64(name), columns = file.int64(name), codeBytes = file.int32(name);
  if (rows < 0 || columns < 1 || codeBytes < 0) {
    throw malformed(file.path, `its ${name} is ${rows} × ${columns} with ${codeBytes} codes`);
  }
  const codes = file.bytes(codeBytes, name);
  const quantiser = readQuantiser(file, name);
  const { parts } = quantiser;
  const mismatch = malformed(file.path, `the codes of its ${name} do not fit its size`);
  if (quantiser.columns !== columns || codeBytes !== rows * parts) throw mismatch;
  const norms = hasNorms ? file.bytes(rows, name) : undefined;
  const normQuantiser = hasNorms ? readQuantiser(file, name) : undefined;
  if (normQuantiser !== undefined && normQuantiser.columns !== 1) throw mismatch;
  return {
    rows,
    columns,
    end: file.position,
    read(from, to) {
      const values = new Float32Array((to - from) * columns);
      for (let row = from, at = 0; row < to; row++) {
        const norm = norms ? normQuantiser!.centroids[norms[row]!]! : 1;
        for (let part = 0; part < parts; part++) {
          const width = part === parts - 1 ? quantiser.lastWidth : quantiser.width;
          const centroid = part * CENTROIDS * quantiser.width + codes[row * parts + part]! * width;
          for (let k = 0; k < width; k++) values[at++] = norm * quantiser.centroids[centroid + k]!;
        }
      }
      return values;
    },
  };
}

interface Quantiser {
  columns: number;
  /** Pieces that a row is cut into, all `width` columns wide but the last. */
  parts: number;
  width: number;
  lastWidth: number;
  /** [parts, 256, width of the part] */
  centroids: Float32Array;
}

function readQuantiser(file: FileCursor, name: string): Quantiser {
  const columns = file.int32(name), parts = file.int32(name);
  const width = file.int32(name), lastWidth = file.int32(name);
  const sound = columns > 0 && parts > 0 && width > 0 && lastWidth > 0 && lastWidth <= width &&
    (parts - 1) * width + lastWidth === columns;
  if (!sound) {
    const why = `its ${name} cuts ${columns} columns into ${parts} parts of ${width}`;
    throw malformed(file.path, why);
  }
  const centroids = file.float32(columns * CENTROIDS, name);
  return { columns, parts, width, lastWidth, centroids };
}

function check(path: string, matrix: MatrixInFile, dim: number, rows: number, name: string): void {
  if (matrix.columns === dim && matrix.rows === rows) return;
  const found = `${matrix.rows} × ${matrix.columns}`;
  throw malformed(path, `its ${name} is ${found}, but ${rows} × ${dim} is needed`);
}

/** All rows, a few at a time through `transform`, so that a large matrix is never held twice. */
function readRows(
  matrix: MatrixInFile,
  transform: (rows: Float32Array) => Float32Array,
): Float32Array {
  let all: Float32Array | undefined;
  for (let from = 0; from < matrix.rows; from += CHUNK_ROWS) {
    const to = Math.min(from + CHUNK_ROWS, matrix.rows);
    const rows = transform(matrix.read(from, to));
    all ??= new Float32Array(rows.length / (to - from) * matrix.rows);
    all.set(rows, rows.length / (to - from) * from);
  }
  return all ?? new Float32Array();
}

/** rows [n, dim] times the transpose of output [labels, dim]. */
function project(rows: Float32Array, output: Float32Array, dim: number): Float32Array {
  const labels = output.length / dim, count = rows.length / dim;
  const projected = new Float32Array(count * labels);
  for (let i = 0; i < count; i++) {
    for (let label = 0; label < labels; label++) {
      let sum = 0;
      for (let k = 0; k < dim; k++) sum += rows[i * dim + k]! * output[label * dim + k]!;
      projected[i * labels + label] = sum;
    }
  }
  return projected;
}

/** Reads a file of which the first gigabyte may be a matrix: through a window, with seeking. */
class FileCursor implements Disposable {
  readonly path: string;
  readonly #file: Deno.FsFile;
  readonly #size: number;
  readonly #window = new Uint8Array(1 << 16);
  readonly #view = new DataView(this.#window.buffer);
  #at = 0; // in the window
  #filled = 0;
  #windowStart = 0; // in the file

  constructor(path: string) {
    this.path = path;
    try {
      this.#file = Deno.openSync(path);
      this.#size = this.#file.statSync().size;
    } catch (cause) {
      const missing = cause instanceof Deno.errors.NotFound;
      const why = missing ? "there is no such file" : (cause as Error).message;
      throw new CannotError(`read "${path}"`, why, "Check the path and its permissions", { cause });
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  get position(): number {
    return this.#windowStart + this.#at;
  }

  get remaining(): number {
    return this.#size - this.position;
  }

  seek(position: number): void {
    this.#file.seekSync(position, Deno.SeekMode.Start);
    this.#windowStart = position;
    this.#at = this.#filled = 0;
  }

  skip(count: number, what: string): void {
    this.#need(count, what);
  }

  int32(what: string): number {
    return this.#view.getInt32(this.#need(4, what), true);
  }

  /** A count; one beyond 2^53 cannot be right and fails its check like any other that is too long. */
  int64(what: string): number {
    return Number(this.#view.getBigInt64(this.#need(8, what), true));
  }

  boolean(what: string): boolean {
    return this.#window[this.#need(1, what)] !== 0;
  }

  /** The bytes up to a zero byte, which is passed over; valid until the next read. */
  terminated(what: string): Uint8Array {
    let end = this.#window.subarray(0, this.#filled).indexOf(0, this.#at);
    if (end < 0) {
      this.#fill();
      end = this.#window.subarray(0, this.#filled).indexOf(0, this.#at);
    }
    if (end < 0) throw malformed(this.path, `${what} has an entry without an end`);
    const found = this.#window.subarray(this.#at, end);
    this.#at = end + 1;
    return found;
  }

  bytes(count: number, what: string): Uint8Array<ArrayBuffer> {
    if (count > this.remaining) throw truncated(this.path, what);
    const bytes = new Uint8Array(count);
    const buffered = Math.min(count, this.#filled - this.#at);
    bytes.set(this.#window.subarray(this.#at, this.#at + buffered));
    for (let done = buffered; done < count;) {
      const read = this.#file.readSync(bytes.subarray(done));
      if (read === null) throw truncated(this.path, what);
      done += read;
    }
    const position = this.position + count;
    if (buffered === count) this.#at += count;
    else {
      this.#windowStart = position;
      this.#at = this.#filled = 0;
    }
    return bytes;
  }

  float32(count: number, what: string): Float32Array {
    return new Float32Array(this.bytes(4 * count, what).buffer);
  }

  /** Where `count` bytes begin in the window, having passed over them. */
  #need(count: number, what: string): number {
    if (this.#filled - this.#at < count) this.#fill();
    if (this.#filled - this.#at < count) throw truncated(this.path, what);
    const at = this.#at;
    this.#at += count;
    return at;
  }

  #fill(): void {
    this.#windowStart += this.#at;
    this.#window.copyWithin(0, this.#at, this.#filled);
    this.#filled -= this.#at;
    this.#at = 0;
    while (this.#filled < this.#window.length) {
      const read = this.#file.readSync(this.#window.subarray(this.#filled));
      if (read === null) break;
      this.#filled += read;
    }
  }
}

function truncated(path: string, what: string): CannotError {
  return malformed(path, `it ends within ${what}`);
}

function malformed(path: string, why: string): CannotError {
  return new CannotError(`read the fastText model "${path}"`, why, "Download or train it again");
}
