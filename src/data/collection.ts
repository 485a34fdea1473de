// A collection of texts as a source of shards, in whatever form it comes:
//   a folder with documents/ and attributes/   Dolma's formats; sentences have the class of their score
//   a folder of files, or one file             Dolma documents, which are low risk throughout; or texts with spans
// A sample of it is drawn by a seed from all of its files, and held-out text comes from other files than training.

import { CannotError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import {
  chooseFilters,
  type DocumentFilters,
  type FilterOptions,
  reasonAgainst,
  reasonAgainstHarmless,
} from "./document_filters.ts";
import type { ReadingOptions } from "./lines.ts";
import { type Fields, readRecords, stringField } from "./records.ts";
import type { SourceText, TextSource } from "./shards/build.ts";
import { digestFile } from "./shards/digest.ts";
import { readDolma, riskSpansOf, type TaggedDocument } from "./sources/dolma.ts";
import { taggedFiles, textFilesIn } from "./sources/dolma_folder.ts";
import type { OffsetUnit } from "./offsets.ts";
import { streamRiskyTexts } from "./span_files.ts";
import { isOffsetsLine } from "./span_record.ts";

/** What is taken of a collection. */
export interface CollectionOptions extends FilterOptions {
  /** The share of its documents that is drawn; 1 unless given. */
  sample?: number | undefined;
  /** Decides which ones, and which files are held out; 0 unless given. */
  seed?: number | undefined;
  /** Files that are held out; none unless given. Of a single file, one document in twenty is. */
  heldOutFiles?: number | undefined;
  /** What the offsets of spans count where the texts do not say; `utf16` unless given. */
  offsets?: OffsetUnit | undefined;
  /** Gets each malformed line, which is then left out; without it the first one is thrown. */
  onMalformed?: ReadingOptions["onMalformed"];
}

/** A collection that is ready to be made into shards. */
export interface Collection {
  /** What is trained on. */
  train: TextSource;
  /** What is held out: of documents with scores under the paper's selection, the harmless ones. */
  heldOut: TextSource | undefined;
  /** What there is to know about it, a sentence each. */
  remarks: string[];
}

/** A file of a collection. */
interface CollectionFile {
  name: string;
  /** The documents, then their attributes. */
  paths: string[];
  bytes: number;
  /** Digests of the ends of its paths. */
  ends: string[];
}

const heldOutShare = 1 / 20; // of the documents of a single file

/**
 * Opens a collection.
 *
 * @throws {CannotError} naming the file or folder that is missing, and the scores or files that there are not.
 */
export async function openCollection(
  path: string,
  options: CollectionOptions = {},
): Promise<Collection> {
  const { seed = 0, heldOutFiles = 0 } = options;
  const { files, tagged } = await filesOf(path);
  const reader = tagged ? await taggedReader(files, options) : await plainReader(files, options);
  const single = files.length === 1 && heldOutFiles > 0;
  if (!single && heldOutFiles >= files.length) {
    throw new CannotError(
      `hold out ${heldOutFiles} files of "${path}"`,
      `it has ${files.length}`,
      "Hold out fewer, so that some are left to train on",
    );
  }
  const shuffled = new Random(seed, "held-out files").shuffle(files);
  const heldOut = single ? files : files.filter((file) => shuffled.indexOf(file) < heldOutFiles);
  const trained = single ? files : files.filter((file) => !heldOut.includes(file));
  const remarks = [...reader.remarks];
  if (heldOutFiles > 0) {
    remarks.push(
      single
        ? `There is one file: one document in ${1 / heldOutShare} of it is held out.`
        : `Held out: ${heldOut.map(({ name }) => name).join(", ")}.`,
    );
  }
  const sourceOf = (files: readonly CollectionFile[], purpose: Purpose): TextSource => ({
    identity: {
      files: files.map(({ name, bytes, ends }) => [name, bytes, ends]),
      ...{ purpose, seed, sample: options.sample ?? 1, single, reader: reader.identity, remarks },
    },
    files,
    read: (file, onRead) =>
      drawn(files[file]!, reader.read(files[file]!, purpose, onRead), {
        ...options,
        purpose: single ? purpose : undefined,
      }),
  });
  return {
    train: sourceOf(trained, "train"),
    heldOut: heldOutFiles > 0 ? sourceOf(heldOut, "held out") : undefined,
    remarks,
  };
}

type Purpose = "train" | "held out";

interface Reader {
  /** What decides what it makes of a file, as JSON. */
  identity: unknown;
  remarks: string[];
  read(
    file: CollectionFile,
    purpose: Purpose,
    onRead: ReadingOptions["onRead"],
  ): AsyncGenerator<SourceText>;
}

async function filesOf(path: string): Promise<{ files: CollectionFile[]; tagged: boolean }> {
  const isFolder = async (path: string) =>
    await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
  const paths = !await isFolder(path)
    ? [{ name: path.split(/[/\\]/).at(-1)!, paths: [path] }]
    : await isFolder(`${path}/documents`)
    ? (await taggedFiles(path)).map(({ name, documents, attributes }) => ({
      name,
      paths: [documents, ...attributes],
    }))
    : (await textFilesIn(path)).map((name) => ({ name, paths: [`${path}/${name}`] }));
  if (paths.length === 0) {
    const remedy = "Give a folder with .jsonl, .csv or .parquet files directly in it";
    throw new CannotError(`read "${path}"`, "it holds no files", remedy);
  }
  const files: CollectionFile[] = [];
  for (const file of paths) {
    const digests = await Promise.all(file.paths.map(digestFile));
    files.push({ ...file, bytes: digests[0]!.size, ends: digests.map(({ ends }) => ends) });
  }
  return { files, tagged: paths[0]!.paths.length > 1 };
}

/** Documents with the scores of taggers. */
async function taggedReader(
  files: readonly CollectionFile[],
  options: CollectionOptions,
): Promise<Reader> {
  const { filters, remarks } = chooseFilters(await attributesOf(files, options), options);
  return {
    identity: filters,
    remarks,
    read: (file, purpose, onRead) =>
      withMalformed(options, (onMalformed) => {
        const [documents, ...attributes] = file.paths;
        return readDolma(documents!, attributes, { onMalformed, onRead });
      }, (tagged) => {
        const against = purpose === "train" ? reasonAgainst : reasonAgainstHarmless;
        const leftOut = against(tagged, filters);
        return leftOut === undefined ? labelled(tagged, filters) : { leftOut };
      }),
  };
}

function labelled(tagged: TaggedDocument, { attribute, thresholds }: DocumentFilters): SourceText {
  const { id, text, source } = tagged.document;
  const spans = riskSpansOf(tagged, attribute, thresholds);
  return { text: { text, spans, rule: "sentence" }, id, source };
}

// Of the first document that has any: taggers treat the files of a corpus alike.
async function attributesOf(
  files: readonly CollectionFile[],
  { onMalformed }: CollectionOptions,
): Promise<string[]> {
  for (const { paths: [documents, ...attributes] } of files) {
    const tagged = readDolma(documents!, attributes, { onMalformed: onMalformed && (() => {}) });
    for await (const { attributes } of tagged) {
      const names = Object.keys(attributes);
      if (names.length > 0) return names;
    }
  }
  return [];
}

/** Documents alone, or texts with spans. */
async function plainReader(
  files: readonly CollectionFile[],
  options: CollectionOptions,
): Promise<Reader> {
  const { offsets = "utf16", onMalformed } = options;
  const withSpans = await holdsSpans(files[0]!.paths[0]!, onMalformed && (() => {}));
  return {
    identity: withSpans ? { spans: offsets } : "documents",
    remarks: [
      withSpans
        ? "Texts with spans: what no span covers is low risk."
        : "Documents without scores: all of their tokens are low risk.",
    ],
    read({ name, paths: [path] }, _, onRead) {
      let place = 0;
      return withMalformed<SourceText>(options, async function* (onMalformed) {
        if (!withSpans) return yield* readRecords(path!, documentOf, { onMalformed, onRead });
        for await (const text of streamRiskyTexts(path!, { onMalformed, onRead, offsets })) {
          yield { text, id: `${name}:${++place}`, source: "" };
        }
      }, (text) => "text" in text && text.text.text.trim() === "" ? { leftOut: "blank" } : text);
    },
  };
}

function documentOf(fields: Fields, where: string): SourceText {
  const { id, source } = fields;
  const text = stringField(fields, "text", where);
  return {
    text: { text, spans: [] },
    id: typeof id === "string" || typeof id === "number" ? String(id) : "",
    source: typeof source === "string" ? source : "",
  };
}

async function holdsSpans(
  path: string,
  onMalformed: ReadingOptions["onMalformed"],
): Promise<boolean> {
  const looksSo = (fields: Fields) => isOffsetsLine(fields) || "spans" in fields;
  for await (const found of readRecords(path, looksSo, { onMalformed })) return found;
  return false;
}

/** What `read` yields, changed, and a text that is left out for every malformed line. */
async function* withMalformed<Item>(
  { onMalformed }: CollectionOptions,
  read: (onMalformed: ReadingOptions["onMalformed"]) => AsyncIterable<Item>,
  change: (item: Item) => SourceText,
): AsyncGenerator<SourceText> {
  let malformed = 0;
  const counted = onMalformed && ((error: CannotError) => {
    malformed++;
    onMalformed(error);
  });
  for await (const item of read(counted)) {
    for (; malformed > 0; malformed--) yield { leftOut: "malformed" };
    yield change(item);
  }
  for (; malformed > 0; malformed--) yield { leftOut: "malformed" };
}

/** The texts of a file that are in the sample and, where one file has to do for both, of one purpose. */
async function* drawn(
  { name }: CollectionFile,
  texts: AsyncIterable<SourceText>,
  { sample = 1, seed = 0, purpose }: CollectionOptions & { purpose: Purpose | undefined },
): AsyncGenerator<SourceText> {
  const random = new Random(seed, `sample of ${name}`);
  for await (const text of texts) {
    const isDrawn = random.uniform() < sample;
    const isHeldOut = random.uniform() < heldOutShare;
    if (!isDrawn) yield { leftOut: "not in the sample" };
    else if (purpose !== undefined && isHeldOut !== (purpose === "held out")) {
      yield { leftOut: purpose === "train" ? "held out" : "trained on" };
    } else yield text;
  }
}
