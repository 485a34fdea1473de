// Makes shards of texts: streamed, so that memory holds one text and the last mebibyte of each file; resumed after a kill
// from the last finished part; by several processes side by side, each with its own files. The same texts, settings and
// number of slices give the same bytes, whoever makes them and however often they are interrupted.

import { CannotError } from "../../base/errors.ts";
import { makeFolder } from "../../base/files.ts";
import type { EncodeOptions, Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { Sequence } from "../sequence.ts";
import { encodeText, type RiskyText } from "../spans.ts";
import { digestTokenizer } from "./digest.ts";
import {
  type ShardManifest,
  type ShardPart,
  type ShardTokenizer,
  type TokenType,
  tokenType,
} from "./format.ts";
import { partFiles } from "./format.ts";
import { type PartColumn, PartFile } from "./part_file.ts";
import {
  addCounts,
  agree,
  complete,
  finishedParts,
  holdSlice,
  isFinished,
  nextPart,
  notePart,
  noteSlice,
  removeNotes,
  type ShardPlan,
  type Slice,
  type TextPosition,
} from "./progress.ts";

/** A text that goes into shards, or why it does not. */
export type SourceText = { text: RiskyText; id: string; source: string } | { leftOut: string };

/** The texts that shards are made of. */
export interface TextSource {
  /** What decides them, as JSON. */
  identity: unknown;
  /** Their files, each of which one process reads. */
  files: readonly { name: string; bytes: number }[];
  /** Reads one of the files, the same at every time; `onRead` gets the bytes of it that have been read so far. */
  read(file: number, onRead?: (bytes: number) => void): AsyncIterable<SourceText>;
}

/** How much of a slice is done. */
export interface SliceProgress {
  /** Bytes of its files that have been read. */
  read: number;
  /** Bytes of its files. */
  bytes: number;
  /** Documents in shards. */
  documents: number;
  /** Their tokens. */
  tokens: number;
}

/** How shards are made. */
export interface ShardSettings {
  /** Makes the ids. */
  tokenizer: Tokenizer;
  /** Tokens after which a part is complete; a document is never divided. */
  partTokens: number;
  /** Which process this is, if there are several; 1 of 1 unless given. */
  slice?: Slice | undefined;
  /** What a special token becomes that is spelt out in a text; see {@linkcode EncodeOptions}. */
  special?: EncodeOptions["special"] | undefined;
  /** Further files of every part. */
  columns?: readonly PartColumn[];
  /** Called after each text with what this process has done, counted from the beginning of its slice. */
  onText?: ((done: Readonly<SliceProgress>) => void) | undefined;
  /** Aborting stops after the current text; the same call goes on from the last finished part. */
  signal?: AbortSignal | undefined;
}

/**
 * Makes a folder of shards, or goes on with one.
 *
 * @returns What the shards hold; `undefined` when it was stopped, or while other processes have not finished theirs.
 * @throws {CannotError} when the tokenizer has no EOS, a text cannot be read or has a weight, a file cannot be written, the
 * folder holds other shards, or no text is left.
 */
export async function buildShards(
  folder: string,
  source: TextSource,
  settings: ShardSettings,
): Promise<ShardManifest | undefined> {
  const { slice = { number: 1, of: 1 } } = settings;
  const plan = planOf(source, settings, slice);
  await makeFolder(folder);
  const finished = await agree(folder, plan, slice);
  if (finished) {
    await removeNotes(folder);
    return finished;
  }
  using _lock = await holdSlice(folder, slice);
  if (!await isFinished(folder, slice)) {
    const leftOut = await new SliceBuilder(folder, source, settings, slice, plan.dtype).run();
    if (leftOut === undefined) return undefined;
    await noteSlice(folder, slice, leftOut);
  }
  return await complete(folder, plan, slice);
}

/** What a tokenizer is to shards. @throws {CannotError} when it has no EOS. */
export function shardTokenizer(tokenizer: Tokenizer): ShardTokenizer {
  const { name, vocabularySize, special: { bos, eos, pad } } = tokenizer;
  if (eos === undefined) {
    throw new CannotError(
      `make shards with the tokenizer "${name}"`,
      "it has no end-of-text token to put between documents",
      "Use another tokenizer",
    );
  }
  const optional = { ...(bos !== undefined && { bos }), ...(pad !== undefined && { pad }) };
  return { name, digest: digestTokenizer(tokenizer), vocabularySize, eos, ...optional };
}

function planOf(source: TextSource, settings: ShardSettings, { of }: Slice): ShardPlan {
  const { tokenizer, partTokens, special = "tokens", columns = [] } = settings;
  return JSON.parse(JSON.stringify({
    format: "slung-shards",
    version: 1,
    tokenizer: shardTokenizer(tokenizer),
    dtype: tokenType(tokenizer.vocabularySize),
    madeFrom: {
      partTokens,
      slices: of,
      special,
      columns: columns.map(({ fileOf }) => fileOf(0)),
      source: source.identity,
    },
  }));
}

/** The files that every part has. */
function ownColumns(dtype: TokenType): PartColumn[] {
  const view = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
    new Uint8Array(buffer, byteOffset, byteLength); // little-endian, as every machine that Deno runs on
  return [
    {
      fileOf: (part) => partFiles(part).tokens,
      bytesOf: ({ tokens }) => view(dtype === "uint16" ? Uint16Array.from(tokens) : tokens),
    },
    { fileOf: (part) => partFiles(part).classes, bytesOf: ({ classes }) => classes },
    {
      fileOf: (part) => partFiles(part).documents,
      bytesOf: ({ start, tokens }) => view(BigUint64Array.of(BigInt(start + tokens.length))),
    },
  ];
}

/** Makes the parts of one slice. */
class SliceBuilder {
  readonly #columns: readonly PartColumn[];
  #files: PartFile[] = [];
  #part: ShardPart | undefined;
  #parts = 0; // finished
  #leftOut: Record<string, number> = {}; // since the last finished part
  #done: SliceProgress = { read: 0, bytes: 0, documents: 0, tokens: 0 };

  constructor(
    readonly folder: string,
    readonly source: TextSource,
    readonly settings: ShardSettings,
    readonly slice: Slice,
    dtype: TokenType,
  ) {
    this.#columns = [...ownColumns(dtype), ...settings.columns ?? []];
  }

  /** Returns what was left out after the last part; `undefined` when it was stopped. */
  async run(): Promise<Record<string, number> | undefined> {
    const { number, of } = this.slice;
    const own = this.source.files.map((_, file) => file).filter((file) => file % of === number - 1);
    const sizes = own.map((file) => this.source.files[file]!.bytes);
    const bytesBefore = (count: number) =>
      sizes.slice(0, count).reduce((sum, size) => sum + size, 0);
    this.#done.bytes = bytesBefore(own.length);
    let begin: TextPosition = { file: 0, texts: 0 };
    for (const { part, next } of await finishedParts(this.folder, this.slice)) {
      begin = next;
      this.#parts++;
      this.#done.documents += part.documents;
      this.#done.tokens += part.tokens;
    }
    try {
      for (let i = begin.file; i < own.length; i++) {
        let texts = 0;
        const before = bytesBefore(i);
        const onRead = (bytes: number) => this.#done.read = before + bytes;
        for await (const text of this.source.read(own[i]!, onRead)) {
          if (texts++ < (i === begin.file ? begin.texts : 0)) continue;
          if (this.settings.signal?.aborted) return undefined;
          this.#take(text, own[i]!, texts);
          if (this.#part && this.#part.tokens >= this.settings.partTokens) {
            await this.#finishPart({ file: i, texts });
          }
          this.settings.onText?.(this.#done);
        }
      }
      if (this.#part) await this.#finishPart({ file: own.length, texts: 0 });
      return this.#leftOut;
    } finally {
      for (const file of this.#files) file.abandon();
    }
  }

  #take(item: SourceText, file: number, place: number): void {
    if ("leftOut" in item) return addCounts(this.#leftOut, { [item.leftOut]: 1 });
    const { name } = this.source.files[file]!;
    const { tokens, classes } = this.#encode(item.text, `text ${place} of "${name}"`);
    this.#part ??= this.#beginPart();
    const start = this.#part.tokens;
    const { id, source } = item;
    for (const each of this.#files) {
      each.add({ tokens, classes, start, id, source, file: name, place });
    }
    for (const risk of classes) this.#part.tokensByClass[risk]!++;
    this.#part.tokens += tokens.length;
    this.#part.documents++;
    this.#done.documents++;
    this.#done.tokens += tokens.length;
  }

  #encode(text: RiskyText, where: string): Sequence {
    if (text.weight !== undefined && text.weight !== 1) {
      throw new CannotError(
        `put ${where} into shards`,
        `it has the weight ${text.weight}, and shards hold tokens and classes alone`,
        "Remove the weights, or train on the texts themselves",
      );
    }
    const { special } = this.settings;
    return encodeText(this.settings.tokenizer, text, special ? { special } : {});
  }

  #beginPart(): ShardPart {
    const number = nextPart(this.folder, this.slice, this.#parts);
    for (const column of this.#columns) {
      this.#files.push(new PartFile(`${this.folder}/${column.fileOf(number)}`, column));
    }
    return { number, tokens: 0, documents: 0, tokensByClass: [0, 0, 0, 0], files: {} };
  }

  async #finishPart(next: TextPosition): Promise<void> {
    const part = this.#part!;
    const sums = this.#files.map((file, i) =>
      [this.#columns[i]!.fileOf(part.number), file.finish()] as const
    );
    this.#files = [];
    this.#part = undefined;
    const files = Object.fromEntries(sums);
    await notePart(this.folder, { part: { ...part, files }, next, leftOut: this.#leftOut });
    this.#leftOut = {};
    this.#parts++;
  }
}
