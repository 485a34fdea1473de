// Looks for everything about shards that OLMo's trainers accept without a word and that ruins the run: they read whatever
// bytes there are. Each file is read once, a mebibyte at a time; every fault that is found is told, with its remedy.

import { CannotError } from "../../base/errors.ts";
import { exists, readText } from "../../base/files.ts";
import { Risk } from "../../slung/risk.ts";
import { manifestFile, readManifest, type TokenType } from "../shards/format.ts";
import { listedFiles } from "./configurations.ts";
import { exportedNames } from "./export.ts";
import { type Looked, remedies, type Verification } from "./verification.ts";
import { verifyPart } from "./verify_part.ts";

export type { Fault, Verification } from "./verification.ts";

/** What is known about shards that have no manifest. */
export interface VerifyOptions {
  /** The type of the ids. */
  dtype?: TokenType | undefined;
  /** One more than the highest id that the model knows. */
  vocabularySize?: number | undefined;
  /** The id that ends documents. */
  eos?: number | undefined;
  /** Called with the bytes read so far. */
  onRead?: ((bytes: number, total: number) => void) | undefined;
}

/**
 * Verifies a folder of shards for OLMo's trainers.
 *
 * @throws {CannotError} when it cannot be read, or has no manifest and the type of the ids is not given.
 */
export async function verifyOlmo(
  folder: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const sizes = await sizesIn(folder);
  const manifest = await exists(`${folder}/${manifestFile}`)
    ? await readManifest(folder)
    : undefined;
  const found: Verification = {
    ...{ faults: [], remarks: [], parts: 0, tokens: 0, trained: 0, documents: 0 },
  };
  const looked: Looked = {
    ...{ folder, sizes, manifest, found },
    dtype: options.dtype ?? manifest?.dtype ?? unknownType(folder),
    eos: options.eos ?? manifest?.tokenizer.eos,
    vocabularySize: options.vocabularySize ?? manifest?.tokenizer.vocabularySize ?? 2 ** 32,
    masked: [0, 0, 0, 0],
    learned: [0, 0, 0, 0],
    fault: (file, why, remedy) => void found.faults.push({ file, why, remedy }),
    onBytes: progressOver(sizes, options.onRead),
  };
  checkNames(looked);
  const parts = numbersOf(sizes, /^token_ids_part_(\d+)\.npy$/);
  for (const digits of parts) await verifyPart(looked, Number(digits), digits);
  checkMasks(looked);
  await checkConfigurations(looked, parts);
  return found;
}

async function sizesIn(folder: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (!isDirectory) sizes.set(name, (await Deno.stat(`${folder}/${name}`)).size);
    }
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CannotError(`verify "${folder}"`, why, "Name the folder of an export", { cause });
  }
  return sizes;
}

function unknownType(folder: string): never {
  throw new CannotError(
    `verify "${folder}"`,
    "it has no manifest.json that says what type its ids have",
    "Finish the export, or say the type with --dtype uint16 or --dtype uint32",
  );
}

function progressOver(
  sizes: ReadonlyMap<string, number>,
  onRead: VerifyOptions["onRead"],
): (bytes: number) => void {
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  let read = 0;
  return (bytes) => onRead?.(read += bytes, total);
}

/** The digits in the names that match, in the order in which trainers sort them. */
function numbersOf(sizes: ReadonlyMap<string, number>, pattern: RegExp): string[] {
  return [...sizes.keys()].sort().flatMap((name) => name.match(pattern)?.[1] ?? []);
}

function checkNames({ folder, sizes, manifest, fault }: Looked): void {
  const parts = numbersOf(sizes, /^token_ids_part_(\d+)\.npy$/);
  if (parts.length === 0) {
    fault(folder, "it holds no token_ids_part_*.npy", "Name the folder of an export");
  }
  for (const [before, after] of [["labels_mask_part_", ".npy"], ["token_ids_part_", ".csv.gz"]]) {
    const pattern = new RegExp(`^${before}(\\d+)${after!.replaceAll(".", "\\.")}$`);
    for (const digits of numbersOf(sizes, pattern)) {
      if (parts.includes(digits)) continue;
      const why =
        `there is no token_ids_part_${digits}.npy for it, and trainers pair files by their order`;
      fault(`${before}${digits}${after}`, why, "Remove it, or copy the tokens again");
    }
  }
  for (const { number, files } of manifest?.parts ?? []) {
    for (const name of Object.keys(files)) {
      if (!sizes.has(name)) fault(name, `it is missing, and part ${number} has it`, remedies.again);
    }
  }
}

function checkMasks({ folder, found, masked, learned, fault }: Looked): void {
  const { tokens, trained, faults } = found;
  const right = "Write 1 where a token is in the loss, 0 where it is not: export it again";
  if (tokens > 0 && faults.length === 0 && trained === 0) {
    const why =
      "its masks are false everywhere: nothing is trained on, and OLMo-core divides by zero";
    fault(folder, why, right);
  } else if (tokens > 0 && faults.length === 0 && trained === tokens) {
    fault(folder, "its masks are true everywhere: nothing is masked", right);
  }
  if (learned[Risk.high]! > 0 && masked[Risk.low]! > 0 && learned[Risk.low] === 0) {
    fault(
      folder,
      "its masks train on high risk and not on low: they are the wrong way round",
      right,
    );
    return;
  }
  learned.forEach((count, risk) => {
    if (count === 0 || masked[risk] === 0) return;
    const why = `its masks train on ${count} tokens of class ${risk} and not on ${
      masked[risk]
    } others`;
    fault(folder, why, "Make masks and classes from one objective: export it again");
  });
}

async function checkConfigurations(
  { folder, sizes, dtype, fault }: Looked,
  parts: readonly string[],
): Promise<void> {
  const expected = {
    paths: parts.map((digits) => `token_ids_part_${digits}.npy`),
    label_mask_paths: parts.map((digits) => `labels_mask_part_${digits}.npy`),
  };
  const again = "Export it again: where all is finished, only the configurations are written";
  for (const name of [exportedNames.legacy, exportedNames.core]) {
    if (!sizes.has(name)) continue;
    const listed = listedFiles(name, await readText(`${folder}/${name}`));
    if (listed.dtype !== dtype) {
      fault(
        name,
        `its ids are ${listed.dtype ?? "of no type"}, and those of the files ${dtype}`,
        again,
      );
    }
    for (const key of ["paths", "label_mask_paths"] as const) {
      const files = listed[key].map((path) => path.split("/").at(-1)!);
      const stray = files.find((file) => file.startsWith("risk_classes"));
      if (stray !== undefined) {
        fault(name, `${key} names ${stray}, a file of classes`, remedies.mask);
      } else if (files.join() !== expected[key].join()) {
        const why = `${key} does not name the ${parts.length} files that are there, in their order`;
        fault(name, why, again);
      }
    }
  }
}
