// A folder of Dolma documents with what was said of their sentences:
//   documents/    files of documents
//   attributes/   files of the same names, here or in one folder for each tagger

import { CannotError } from "../../base/errors.ts";
import type { ReadingOptions } from "../lines.ts";
import { readDolma, type TaggedDocument } from "./dolma.ts";

/** A file of documents, and the files of what was said of them. */
export interface TaggedFile {
  /** What the files are called. */
  name: string;
  /** The path of the documents. */
  documents: string;
  /** The paths of their attributes, one for each tagger or more. */
  attributes: string[];
}

/**
 * The files of a folder of documents with attributes, in the order of their names.
 *
 * @throws {CannotError} naming the folder that is missing, or the file of documents without attributes.
 */
export async function taggedFiles(folder: string): Promise<TaggedFile[]> {
  const attributes = await attributeFolders(`${folder}/attributes`);
  return (await filesIn(`${folder}/documents`)).map((name) => {
    const documents = `${folder}/documents/${name}`;
    const files = attributes.filter(({ files }) => files.has(name)).map(({ path }) =>
      `${path}/${name}`
    );
    if (files.length > 0) return { name, documents, attributes: files };
    throw new CannotError(
      `use "${documents}"`,
      `no file of "${folder}/attributes" or of a folder in it is called ${name}`,
      "Label the documents with `deno task label`",
    );
  });
}

/**
 * The documents of a folder with the attributes of all their taggers, file by file in the order of their names.
 *
 * @throws {CannotError} naming the folder that is missing, or the file of documents without attributes.
 */
export async function* readDolmaFolder(
  folder: string,
  options: ReadingOptions = {},
): AsyncGenerator<TaggedDocument> {
  for (const { documents, attributes } of await taggedFiles(folder)) {
    yield* readDolma(documents, attributes, options);
  }
}

async function attributeFolders(folder: string): Promise<{ path: string; files: Set<string> }[]> {
  const paths = [folder];
  for (const { name, isDirectory } of await entriesOf(folder)) {
    if (isDirectory) paths.push(`${folder}/${name}`);
  }
  return await Promise.all(
    paths.map(async (path) => ({ path, files: new Set(await filesIn(path)) })),
  );
}

/** The names of the files in a folder, in order. @throws {CannotError} when it cannot be read. */
export async function filesIn(folder: string): Promise<string[]> {
  return (await entriesOf(folder)).filter(({ isFile }) => isFile).map(({ name }) => name);
}

/** The names of the files in a folder that may hold texts: no hidden ones, nor those about it. */
export async function textFilesIn(folder: string): Promise<string[]> {
  return (await filesIn(folder)).filter((name) => !/^\.|\.md$/i.test(name));
}

// Links count as what they lead to.
async function entriesOf(
  folder: string,
): Promise<{ name: string; isFile: boolean; isDirectory: boolean }[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    return await Promise.all(
      names.sort().map(async (name) => {
        const { isFile, isDirectory } = await Deno.stat(`${folder}/${name}`);
        return { name, isFile, isDirectory };
      }),
    );
  } catch (cause) {
    const remedy = "Give a folder of files in Dolma's formats, in documents/ and attributes/";
    throw new CannotError(`read "${folder}"`, (cause as Error).message, remedy, { cause });
  }
}
