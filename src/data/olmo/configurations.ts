// What OLMo's trainers are told about an export: keys for a configuration of the legacy trainer (allenai/OLMo), and a
// dataset that OLMo-core opens as it is.

import type { ShardManifest } from "../shards/format.ts";

/** The files of an export, by their paths from its root. */
export interface ExportedFiles {
  /** The folder as the trainer sees it: a path or an address. */
  root: string;
  /** Of the token ids. */
  tokens: readonly string[];
  /** Of the masks, in the same order. */
  masks: readonly string[];
  /** The folder of the tokenizer, where it could be written. */
  tokenizer?: string;
}

/** What else the configurations say. */
export interface ExportFacts {
  /** What the shards hold. */
  manifest: ShardManifest;
  /** The name of the objective that the mask stands for. */
  objective: string;
  /** Tokens of a sequence. */
  sequenceLength: number;
}

/** Keys of `TrainConfig` of allenai/OLMo, as YAML. */
export function legacyConfiguration(
  { root, tokens, masks, tokenizer }: ExportedFiles,
  { manifest, objective, sequenceLength }: ExportFacts,
): string {
  const { dtype, tokenizer: { vocabularySize, eos, pad = eos } } = manifest;
  const listed = (names: readonly string[]) => names.map((name) => `    - ${quoted(root, name)}`);
  return [
    `# The objective "${objective}" for the trainer of allenai/OLMo: put these keys into its configuration.`,
    "# A mask is true where a token is in the loss. This trainer divides the loss by all tokens, masked ones included.",
    "model:",
    `  max_sequence_length: ${sequenceLength}`,
    `  vocab_size: ${vocabularySize}`,
    `  eos_token_id: ${eos}`,
    `  pad_token_id: ${pad}`,
    ...(tokenizer === undefined
      ? []
      : ["tokenizer:", `  identifier: ${quoted(root, `${tokenizer}/tokenizer.json`)}`]),
    "data:",
    `  memmap_dtype: ${dtype}`,
    "  drop_last: true",
    "  paths:",
    ...listed(tokens),
    "  label_mask_paths:",
    ...listed(masks),
    "",
  ].join("\n");
}

/** A `NumpyFSLDatasetConfig` of OLMo-core, for its `from_json`. */
export function coreConfiguration(
  { root, tokens, masks, tokenizer }: ExportedFiles,
  { manifest, sequenceLength }: ExportFacts,
): string {
  const { dtype, tokenizer: { vocabularySize, bos, eos, pad = eos } } = manifest;
  const paths = (names: readonly string[]) => names.map((name) => `${root}/${name}`);
  return JSON.stringify(
    {
      _CLASS_: "olmo_core.data.numpy_dataset.NumpyFSLDatasetConfig",
      tokenizer: {
        _CLASS_: "olmo_core.data.tokenizer.TokenizerConfig",
        vocab_size: vocabularySize,
        eos_token_id: eos,
        pad_token_id: pad,
        ...(bos !== undefined && { bos_token_id: bos }),
        ...(tokenizer !== undefined && { identifier: `${root}/${tokenizer}` }),
      },
      paths: paths(tokens),
      label_mask_paths: paths(masks), // true where a token is in the loss
      sequence_length: sequenceLength,
      dtype,
    },
    null,
    2,
  ) + "\n";
}

/** A path as a YAML scalar: JSON's strings are YAML's. */
function quoted(root: string, name: string): string {
  return JSON.stringify(`${root}/${name}`);
}

/** The files that a configuration names, and the type of their ids; empty lists where it cannot be read. */
export function listedFiles(
  name: string,
  text: string,
): { paths: string[]; label_mask_paths: string[]; dtype: string | undefined } {
  return name.endsWith(".json") ? listedInJson(text) : listedInYaml(text);
}

function listedInJson(text: string): ReturnType<typeof listedFiles> {
  try {
    const { paths, label_mask_paths, dtype } = JSON.parse(text);
    const strings = (value: unknown) => Array.isArray(value) ? value.map(String) : [];
    return { paths: strings(paths), label_mask_paths: strings(label_mask_paths), dtype };
  } catch {
    return { paths: [], label_mask_paths: [], dtype: undefined };
  }
}

// As `legacyConfiguration` writes it: an item a line.
function listedInYaml(text: string): ReturnType<typeof listedFiles> {
  const lists: Record<string, string[]> = { paths: [], label_mask_paths: [] };
  let key = "";
  for (const line of text.split(/\r?\n/)) {
    key = line.match(/^\s*(\w+):\s*$/)?.[1] ?? key;
    const item = line.match(/^\s*-\s*"?([^"]*?)"?\s*$/)?.[1];
    if (item !== undefined) lists[key]?.push(item);
  }
  const dtype = text.match(/^\s*memmap_dtype:\s*(\w+)/m)?.[1];
  return { paths: lists.paths!, label_mask_paths: lists.label_mask_paths!, dtype };
}
