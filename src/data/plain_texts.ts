// Texts that nobody has labelled yet, in the forms in which people have them.

import { CannotError } from "../base/errors.ts";
import { type ReadingOptions, readLines } from "./lines.ts";
import { isRecordFile, readRecords, stringField } from "./records.ts";

/** What is one text of a plain file. */
export const textUnits = ["line", "paragraph", "file"] as const;

/** One of the {@linkcode textUnits}. */
export type TextUnit = (typeof textUnits)[number];

/**
 * Texts of a file: the field `text` of records (`.jsonl`, `.json` and `.csv`, compressed or not, and `.parquet`), or the
 * lines, paragraphs or whole of a plain file; of a folder, those of its files in the order of their names. Blank ones are left out.
 *
 * @param unit Of plain files: `line` unless given, for folders `file`.
 * @throws {CannotError} naming file and line of what is malformed, unless `onMalformed` takes it.
 */
export async function* readPlainTexts(
  path: string,
  unit?: TextUnit,
  options: ReadingOptions = {},
): AsyncGenerator<string> {
  for await (const text of textsOf(path, unit, options)) if (text.trim() !== "") yield text;
}

async function* textsOf(
  path: string,
  unit: TextUnit | undefined,
  options: ReadingOptions,
): AsyncGenerator<string> {
  const files = await filesOfFolder(path);
  if (files) {
    for (const file of files) yield* textsOf(`${path}/${file}`, unit ?? "file", options);
  } else if (isRecordFile(path)) {
    yield* readRecords(path, (fields, where) => stringField(fields, "text", where), options);
  } else if (unit === "file") {
    const lines = await Array.fromAsync(readLines(path, options), ({ text }) => text);
    yield lines.join("\n");
  } else if (unit === "paragraph") {
    yield* paragraphs(path, options);
  } else {
    for await (const { text } of readLines(path, options)) yield text;
  }
}

async function* paragraphs(path: string, options: ReadingOptions): AsyncGenerator<string> {
  let lines: string[] = [];
  for await (const { text } of readLines(path, options)) {
    if (text.trim() !== "") {
      lines.push(text);
      continue;
    }
    yield lines.join("\n");
    lines = [];
  }
  yield lines.join("\n");
}

async function filesOfFolder(path: string): Promise<string[] | undefined> {
  let isFolder: boolean;
  try {
    isFolder = (await Deno.stat(path)).isDirectory;
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? "there is no such file or folder"
      : (cause as Error).message;
    throw new CannotError(`read "${path}"`, why, "Check the path and its permissions", { cause });
  }
  if (!isFolder) return undefined;
  const names = await Array.fromAsync(Deno.readDir(path), ({ name }) => name);
  const files: string[] = [];
  for (const name of names.sort()) {
    if (name.startsWith(".")) continue;
    if ((await Deno.stat(`${path}/${name}`)).isFile) files.push(name); // or a link to one
  }
  return files;
}
