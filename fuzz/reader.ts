// What is fuzzed: a reader, valid files for it, how they are damaged, and what must hold of whatever it accepts.

import type { Random } from "../src/base/random.ts";
import { mutateBytes, mutateJson, mutateLines, mutateText } from "./mutate.ts";

/** A reader of files. */
export interface Reader {
  /** As it is named on the command line. */
  name: string;
  /** Valid files, by name; made once. */
  files(): Promise<Files> | Files;
  /** How each of them is damaged, one at a time. */
  damage: Readonly<Record<string, Damage>>;
  /**
   * Reads the files in a folder.
   *
   * @returns What was accepted and is nonsense, in words; nothing where all is well.
   */
  read(folder: string): Promise<string | undefined>;
}

/** Contents by file name. */
export type Files = Record<string, string | Uint8Array>;

/** A kind of damage, or one of one's own. */
export type Damage =
  | "bytes"
  | "text"
  | "json"
  | "lines"
  | ((content: string | Uint8Array, random: Random) => string | Uint8Array);

/** The files with one of them damaged. */
export function damaged({ damage }: Reader, files: Files, random: Random): Files {
  const name = random.pick(Object.keys(damage)), kind = damage[name]!, content = files[name]!;
  return { ...files, [name]: apply(kind, content, random) };
}

function apply(kind: Damage, content: string | Uint8Array, random: Random): string | Uint8Array {
  if (typeof kind === "function") return kind(content, random);
  if (kind === "bytes") return mutateBytes(bytesOf(content), random);
  const text = typeof content === "string" ? content : new TextDecoder().decode(content);
  if (random.below(10) === 0) return mutateBytes(bytesOf(content), random);
  return { text: mutateText, json: mutateJson, lines: mutateLines }[kind](text, random);
}

/** A content as bytes. */
export function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}
