// What has to be known of a family to read and write its folders: one mapping of its configuration, one of its tensors.
// A new family is a name in `config.ts`, a row in `families.ts`, a file in `families/`, and a golden folder
// (tests/golden/make_families.py).

import type { DecoderConfig } from "../../config.ts";
import type { Naming } from "../naming.ts";
import type { Fields } from "./fields.ts";

/** How Hugging Face's `transformers` stores a family. */
export interface FamilyFormat {
  /** Its class for language modelling, listed under `architectures`. */
  architecture: string;
  /** Reads a configuration; absent fields have the defaults of `transformers`. */
  read(fields: Fields): DecoderConfig;
  /**
   * The fields that describe a configuration, as far as the family can: what comes out need not be read back as what
   * went in, which `toHuggingFace` checks.
   */
  write(config: DecoderConfig): Record<string, unknown>;
  /** What its tensors are called; as ours, where absent. */
  naming?: Naming;
}
