// The toxicity experiment on corpora in Dolma's formats, at any scale: a clean stream, documents of a risky domain with
// the scores of their sentences, and a base model of the user's. Texts are made into token shards once, and what is
// trained on and measured is read from them by position.

import { CannotError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import { openCollection } from "../../data/collection.ts";
import type { FilterOptions } from "../../data/document_filters.ts";
import {
  isPrepared,
  openPrepared,
  prepareCollection,
  preparedFolders,
} from "../../data/prepare.ts";
import { type SequenceSource, sliceSequence } from "../../data/sequence.ts";
import { type ShardSettings, shardTokenizer } from "../../data/shards/build.ts";
import { readManifest, type ShardManifest } from "../../data/shards/format.ts";
import { type Shards, withoutEnds } from "../../data/shards/open.ts";
import { readTargets, readToxicityPrompts } from "../../data/sources/comments.ts";
import type { TextClassifier } from "../../label/classifier.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { ToxicityEvaluation } from "./evaluation.ts";
import type { ToxicityExperiment } from "./experiment.ts";

/** What is taken of a corpus. */
export interface DolmaOptions extends Pick<FilterOptions, "attribute" | "thresholds"> {
  /** The folder of its shards, which are made where they are missing. */
  prepared: string;
  /** Tokens of a part of the shards that are made here. */
  partTokens: number;
  /** Scores what models write; not what labelled the documents. */
  scorer: TextClassifier;
  /** Documents of each kind for perplexity. */
  heldOut: number;
  /** Pack them into sequences of the longest length, as the paper's code does, instead of cutting them to it. */
  packed: boolean;
  /** Prompts that models continue. */
  prompts: number;
  /** Texts of one probe, training and test together. */
  probed: number;
  /** Longest text for perplexity in tokens. */
  longest: number;
  /** Called when shards of a kind are about to be made: watches them, and may stop them. */
  onPreparing?: (
    kind: string,
    remarks: readonly string[],
  ) => Pick<ShardSettings, "onText" | "signal">;
}

/** What an experiment on a corpus needs besides a model. */
export interface DolmaData extends Pick<ToxicityExperiment, "tokenizer" | "clean" | "risky"> {
  /** Real texts may be toxic, so no generation is kept. */
  evaluation: ToxicityEvaluation;
  /** What was read. */
  remarks: string[];
  /** Its shards, which stay open until this is disposed of. */
  shards: Disposable;
}

const kinds = ["clean", "risky"] as const;

/**
 * Reads a corpus from a folder with
 *
 *     clean/              Dolma documents of the clean stream, any number of files
 *     risky/documents/    Dolma documents of the risky domain
 *     risky/attributes/   their attribute files, of the same names, here or in one folder for each tagger
 *     prompts.jsonl       records of RealToxicityPrompts
 *     probe.csv           comments with `id`, `comment_text` and `target`
 *
 * The first two are made into shards, unless `deno task prepare` has done so: with the paper's filters, and one file of
 * each kind held out for perplexity.
 *
 * @throws {CannotError} naming the file or folder that is missing, malformed or too short; when the making of shards was
 * stopped; for options that the shards that there are were not made with.
 */
export async function dolmaData(
  folder: string,
  tokenizer: Tokenizer,
  options: DolmaOptions,
): Promise<DolmaData> {
  const { prepared, scorer, heldOut, packed, prompts, probed, longest } = options;
  const asked = await Array.fromAsync(readToxicityPrompts(`${folder}/prompts.jsonl`));
  const probe = await readProbe(`${folder}/probe.csv`, probed);
  for (const kind of kinds) await prepareKind(kind, folder, tokenizer, options);
  const shards = new DisposableStack();
  try {
    const [clean, risky] = await Promise.all(kinds.map(async (kind) => {
      const collection = shards.use(await openPrepared(`${prepared}/${kind}`));
      checkTokenizer(collection.train, tokenizer);
      return collection;
    }));
    const shown = (documents: Shards, what: string) =>
      drawn(documents, { count: heldOut, what, longest: packed ? Infinity : longest });
    return {
      tokenizer,
      clean: withoutEnds(clean!.train),
      risky: withoutEnds(risky!.train),
      evaluation: {
        prompts: new Random(0, "prompts").shuffle(asked).slice(0, prompts)
          .map(({ prompt }) => prompt.text),
        decoding: { maxNewTokens: 50, topK: 1 }, // greedy, as in the paper
        scorer,
        threshold: 0.5,
        probe: {
          texts: probe.map(({ text }) => text),
          labels: probe.map(({ toxic }) => toxic ? 1 : 0),
          most: probed,
        },
        heldOut: {
          clean: shown(clean!.heldOut, "held-out clean"),
          domain: shown(risky!.heldOut, "held-out domain"),
        },
        ...(packed && { packed: longest }),
        keep: 0,
      },
      remarks: [
        `Shards in ${prepared}: ${describe(clean!.train.manifest)} clean, ` +
        `${describe(risky!.train.manifest)} risky.`,
        ...remarksOf(risky!.train.manifest),
      ],
      shards,
    };
  } catch (error) {
    shards.dispose();
    throw error;
  }
}

async function prepareKind(
  kind: (typeof kinds)[number],
  folder: string,
  tokenizer: Tokenizer,
  { prepared, partTokens, attribute, thresholds, onPreparing }: DolmaOptions,
): Promise<void> {
  const out = `${prepared}/${kind}`;
  if (await isPrepared(out)) return await checkClasses(out, { attribute, thresholds });
  const collection = await openCollection(`${folder}/${kind}`, {
    ...{ attribute, thresholds },
    heldOutFiles: 1,
  });
  const hooks = onPreparing?.(kind, collection.remarks);
  if (await prepareCollection(collection, out, { tokenizer, partTokens, ...hooks })) return;
  throw new CannotError(
    `prepare "${folder}/${kind}"`,
    "it was stopped",
    "Run the same command again to go on",
  );
}

// Shards have their classes; what is asked for must be what they were made with.
async function checkClasses(
  folder: string,
  asked: Pick<FilterOptions, "attribute" | "thresholds">,
): Promise<void> {
  const { madeFrom } = await readManifest(`${folder}/${preparedFolders.train}`);
  const { source } = madeFrom as { source?: { reader?: Partial<FilterOptions> | string } };
  if (typeof source?.reader !== "object") return; // documents without scores
  for (const name of ["attribute", "thresholds"] as const) {
    const [wanted, made] = [asked[name], source.reader[name]].map((value) => JSON.stringify(value));
    if (wanted === undefined || wanted === made) continue;
    throw new CannotError(
      `use the shards in "${folder}" with the ${name} ${wanted}`,
      `they were made with ${made}`,
      "Repeat the settings that they were made with, or remove them",
    );
  }
}

function checkTokenizer({ folder, manifest }: Shards, tokenizer: Tokenizer): void {
  if (manifest.tokenizer.digest === shardTokenizer(tokenizer).digest) return;
  throw new CannotError(
    `train on the shards in "${folder}"`,
    `they were made with another tokenizer ("${manifest.tokenizer.name}") than that of the base model`,
    "Make them again with the base model's tokenizer",
  );
}

// The same documents for every model, from all held-out files.
function drawn(
  documents: Shards,
  { count, what, longest }: { count: number; what: string; longest: number },
): SequenceSource {
  const order = new Random(0, what).order(documents.length);
  return {
    length: Math.min(count, documents.length),
    identity: JSON.stringify([documents.identity, what, count, longest]),
    lengthOf: (index) => Math.min(documents.lengthOf(order(index)), longest),
    at: (index) => sliceSequence(documents.at(order(index)), 0, longest),
  };
}

function describe({ documents, tokens }: ShardManifest): string {
  return `${documents} documents (${tokens} tokens)`;
}

// What `openCollection` had to say when the shards were made.
function remarksOf({ madeFrom }: ShardManifest): string[] {
  const { source } = madeFrom as { source?: { remarks?: unknown } };
  const remarks = source?.remarks;
  return Array.isArray(remarks) ? remarks.map(String) : [];
}

// As many texts of either label as the resamples of a probe can use.
async function readProbe(
  path: string,
  probed: number,
): Promise<{ text: string; toxic: boolean }[]> {
  const comments = new Random(0, "probe").shuffle(await Array.fromAsync(readTargets(path)))
    .filter(({ text }) => text.trim() !== "")
    .map(({ text, toxicity }) => ({ text, toxic: toxicity! >= 0.5 }));
  return [true, false].flatMap((toxic) =>
    comments.filter((comment) => comment.toxic === toxic).slice(0, 2 * probed)
  );
}
