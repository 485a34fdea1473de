// A folder of Dolma documents with what was said of their sentences:
//   documents/    files of documents
//   attributes/   files of the same names, here or in one folder for each tagger

import { CannotError } from "../../base/errors.ts";
import type { ReadingOptions } from "../lines.ts";
import { type DolmaDocument, readDolma, readDolmaDocuments, type TaggedDocument } from "./dolma.ts";

/**
 * The documents of a folder with the attributes of all their taggers, file by file in the order of their names.
 *
 * @throws {CannotError} naming the folder that is missing, or the file of documents without attributes.
 */
export async function* readDolmaFolder(
  folder: string,
  options: ReadingOptions = {},
): AsyncGenerator<TaggedDocument> {
  const attributes = await attributeFolders(`${folder}/attributes`);
  for (const name of await filesIn(`${folder}/documents`)) {
    const documents = `${folder}/documents/${name}`;
    const files = attributes.filter(({ files }) => files.has(name)).map(({ path }) =>
      `${path}/${name}`
    );
    if (files.length === 0) {
      throw new CannotError(
        `use "${documents}"`,
        `no file of "${folder}/attributes" or of a folder in it is called ${name}`,
        "Label the documents with `deno task label`",
      );
    }
    yield* readDolma(documents, files, options);
  }
}

/** All documents of the files in a folder, in the order of their names. */
export async function* readDocumentsIn(folder: string): AsyncGenerator<DolmaDocument> {
  for (const name of await filesIn(folder)) yield* readDolmaDocuments(`${folder}/${name}`);
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

async function filesIn(folder: string): Promise<string[]> {
  return (await entriesOf(folder)).filter(({ isFile }) => isFile).map(({ name }) => name);
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
