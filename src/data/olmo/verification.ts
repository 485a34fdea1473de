// What a verification of an export finds, and what it knows on the way.

import type { ShardManifest, TokenType } from "../shards/format.ts";

/** Something that would ruin a run. */
export interface Fault {
  /** The file, or the folder. */
  file: string;
  /** What is wrong with it. */
  why: string;
  /** What to do. */
  remedy: string;
}

/** What was found in an export. */
export interface Verification {
  /** What would ruin a run; empty for a good export. */
  faults: Fault[];
  /** What is only remarkable. */
  remarks: string[];
  /** Files of token ids. */
  parts: number;
  /** Ids in them. */
  tokens: number;
  /** Those that the masks train on. */
  trained: number;
  /** Documents by their bounds. */
  documents: number;
}

/** What is known of an export, and where faults are told. */
export interface Looked {
  readonly folder: string;
  /** Bytes of each file, by name. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly manifest: ShardManifest | undefined;
  readonly dtype: TokenType;
  readonly eos: number | undefined;
  readonly vocabularySize: number;
  /** What was found, added to. */
  readonly found: Verification;
  /** [4] tokens of each class that the masks leave out, and that they train on; added to. */
  readonly masked: number[];
  readonly learned: number[];
  /** Tells a fault. */
  fault(file: string, why: string, remedy: string): void;
  /** Tells bytes that were read. */
  onBytes(count: number): void;
}

/** What to do about faults that several files may have. */
export const remedies = {
  again: "Export it again, or copy it again",
  header: "Write it with tofile or np.memmap, as `deno task export olmo` does; never with np.save",
  mask: "Give the trainer labels_mask_part_*.npy, whose values are 0 and 1",
} as const;
