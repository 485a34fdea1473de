// What an experiment keeps of a run, with a checksum of itself: a number that was edited by hand, or a file of another
// program, would else stand in a table as if it had been measured.

import { createHash } from "node:crypto";
import { CannotError } from "../base/errors.ts";
import { readJson, writeFileAtomic } from "../base/files.ts";

/** Writes a value as JSON, with its checksum. @throws {CannotError} naming the file, when it cannot be written. */
export async function writeSealed(path: string, value: unknown): Promise<void> {
  const json = JSON.stringify(value);
  await writeFileAtomic(path, `{"sha256":"${checksum(json)}","value":${json}}`);
}

/**
 * Reads what {@linkcode writeSealed} wrote.
 *
 * @throws {CannotError} naming the file, when it cannot be read or holds something else than was written.
 */
export async function readSealed(path: string): Promise<unknown> {
  const { sha256, value } = Object(await readJson(path)) as { sha256?: unknown; value?: unknown };
  if (value !== undefined && sha256 === checksum(JSON.stringify(value))) return value;
  throw new CannotError(
    `use the results in "${path}"`,
    sha256 === undefined ? "they have no checksum" : "their checksum is that of others",
    "They were damaged or edited: remove the file, and they are computed again",
  );
}

function checksum(json: string): string {
  return createHash("sha256").update(json).digest("hex");
}
