// Shards as OLMo's own trainers read them: what `shards/` writes, and beside it
//
//   labels_mask_part_0000.npy    one byte a token, 1 where it is in the loss (NumPy's bool), no header
//   token_ids_part_0000.csv.gz   documents: start, end, id, source, file and place in it
//   olmo.yaml                    for the legacy trainer (allenai/OLMo)
//   olmo_core_dataset.json       for OLMo-core
//   tokenizer/                   where it can be written
//
// Both trainers know cross-entropy or nothing for a token, so an objective goes out as a mask. The risk classes are in a
// file that no pattern for tokens or masks finds: read as a mask, they would train on the risk.

import { CannotError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import { crossEntropy, type Objective, riskNames } from "../../slung/objective.ts";
import { buildShards, type ShardSettings, type TextSource } from "../shards/build.ts";
import { partDigits, type ShardManifest } from "../shards/format.ts";
import type { PartColumn, PartDocument } from "../shards/part_file.ts";
import { coreConfiguration, type ExportedFiles, legacyConfiguration } from "./configurations.ts";

/** How an export is made. */
export interface OlmoExportSettings extends Omit<ShardSettings, "columns"> {
  /** Its classes with cross-entropy are trained, those without a term are not. */
  objective: Objective;
  /** Tokens of a sequence, for the configurations. */
  sequenceLength: number;
  /** The folder as the trainer will see it, for the paths in the configurations; the folder itself unless given. */
  root?: string | undefined;
}

/** The names of the files that an export adds to the shards. */
export const exportedNames = {
  mask: (part: number) => `labels_mask_part_${partDigits(part)}.npy`,
  bounds: (part: number) => `token_ids_part_${partDigits(part)}.csv.gz`,
  legacy: "olmo.yaml",
  core: "olmo_core_dataset.json",
  tokenizer: "tokenizer",
} as const;

/**
 * Exports texts for OLMo's trainers, or goes on with it.
 *
 * @returns What was exported; `undefined` when it was stopped, or while other processes have not finished theirs.
 * @throws {CannotError} as `buildShards` does; for an objective that is no mask, or whose mask is all or nothing.
 */
export async function exportOlmo(
  folder: string,
  source: TextSource,
  settings: OlmoExportSettings,
): Promise<ShardManifest | undefined> {
  const { objective, sequenceLength, tokenizer } = settings;
  const trained = trainedClasses(objective);
  const columns = [maskColumn(trained), boundsColumn];
  const named: TextSource = { ...source, identity: { source: source.identity, trained } };
  const manifest = await buildShards(folder, named, { ...settings, columns });
  if (manifest === undefined) return undefined;
  checkMask(folder, manifest, trained);
  await tokenizer.save?.(`${folder}/${exportedNames.tokenizer}`);
  const files: ExportedFiles = {
    root: settings.root ?? await Deno.realPath(folder),
    tokens: manifest.parts.map(({ number }) => `token_ids_part_${partDigits(number)}.npy`),
    masks: manifest.parts.map(({ number }) => exportedNames.mask(number)),
    ...(tokenizer.save && { tokenizer: exportedNames.tokenizer }),
  };
  const facts = { manifest, objective: objective.name, sequenceLength };
  await writeFileAtomic(`${folder}/${exportedNames.legacy}`, legacyConfiguration(files, facts));
  await writeFileAtomic(`${folder}/${exportedNames.core}`, coreConfiguration(files, facts));
  return manifest;
}

/**
 * Whether each risk class is in the loss.
 *
 * @throws {CannotError} for a term that is not cross-entropy, or when all classes are trained or none is.
 */
export function trainedClasses({ name, terms }: Objective): boolean[] {
  const refuse = (why: string, remedy: string) =>
    new CannotError(`export the objective "${name}" as a mask`, why, remedy);
  const trained = terms.map((term, risk) => {
    if (term === undefined) return false;
    if (term.value === crossEntropy.value && term.slope === crossEntropy.slope) return true;
    throw refuse(
      `${
        riskNames[risk]
      } risk has the loss "${term.name}", and OLMo's trainers know cross-entropy alone`,
      "Export masked; a patched trainer finds the classes beside the mask",
    );
  });
  if (trained.includes(true) && trained.includes(false)) return trained;
  throw refuse(
    trained.includes(true) ? "it would mask nothing" : "it would mask everything",
    "Export masked, or make shards without a mask with `deno task prepare`",
  );
}

function maskColumn(trained: readonly boolean[]): PartColumn {
  const values = Uint8Array.from(trained, Number);
  return {
    fileOf: exportedNames.mask,
    bytesOf: ({ classes }) => classes.map((risk) => values[risk]!),
  };
}

const boundsColumn: PartColumn = {
  fileOf: exportedNames.bounds,
  bytesOf: (document) => new TextEncoder().encode(boundsLine(document)),
  gzip: true,
};

/** A document in Dolma's order of columns; no text breaks the line, since trainers read line by line. */
function boundsLine({ start, tokens, id, source, file, place }: PartDocument): string {
  const texts = [id, source, file].map((text) => {
    const line = text.replace(/[\r\n]+/g, " ");
    return /[",]/.test(line) ? `"${line.replaceAll('"', '""')}"` : line;
  });
  return `${[start, start + tokens.length, ...texts, place].join(",")}\n`;
}

function checkMask(
  folder: string,
  { tokensByClass }: ShardManifest,
  trained: readonly boolean[],
): void {
  const count = (wanted: boolean) =>
    tokensByClass.reduce((sum, tokens, risk) => trained[risk] === wanted ? sum + tokens : sum, 0);
  if (count(true) > 0 && count(false) > 0) return;
  throw new CannotError(
    `export "${folder}"`,
    count(true) === 0
      ? "its mask is false everywhere"
      : "its mask is true everywhere: no token is risky",
    "Check the spans or scores of the texts and the thresholds, and remove this folder",
  );
}
