// What the tasks share that make shards of collections: options, and a line of progress.

import { CannotError } from "../src/base/errors.ts";
import type { CollectionOptions } from "../src/data/collection.ts";
import { offsetUnits } from "../src/data/offsets.ts";
import { type ShardManifest, tokenType } from "../src/data/shards/format.ts";
import type { SliceProgress } from "../src/data/shards/build.ts";
import type { Slice } from "../src/data/shards/progress.ts";
import { paperThresholds } from "../src/label/sentences.ts";
import type { Terminal } from "../src/report/command_line.ts";
import type { Options, Values } from "../src/report/options.ts";
import { createProgress } from "../src/report/progress.ts";
import { riskNames } from "../src/slung/objective.ts";
import { orModelName } from "./hub.ts";
import { specialOption } from "./special.ts";

/** Options that say which documents are taken, and how shards are cut. */
export const collectionOptions = {
  tokenizer: {
    ...orModelName,
    required: true,
    placeholder: "model",
    help: "The tokenizer, or the model whose tokenizer it is: a folder or a name on the hub",
  },
  part: {
    type: "string",
    default: "1/1",
    placeholder: "i/n",
    help: "Be one of n processes side by side, each with every n-th file",
  },
  partSize: {
    type: "integer",
    default: 1024,
    min: 1,
    help: "Megabytes of a token file, after which the next one begins",
  },
  select: {
    type: "string",
    choices: ["paper", "all"],
    default: "paper",
    help: "Of documents with scores: those that the paper takes, or all but for the filters given",
  },
  documentScore: {
    type: "number",
    min: 0,
    help: "Least score of a whole document; 0.99 where there is one",
  },
  english: { type: "number", min: 0, help: "Least score of its English; 0.5 where there is one" },
  sentences: { type: "integer", min: 0, help: "Fewest sentences of a document; 2" },
  low: { type: "number", default: paperThresholds.low, min: 0, help: "Possible risk above this" },
  high: { type: "number", default: paperThresholds.high, min: 0, help: "High risk above this" },
  attribute: {
    type: "string",
    placeholder: "name",
    help: "The scores of sentences; those of label or of Dolma's tagger",
  },
  documentAttribute: {
    type: "string",
    placeholder: "name",
    help: "The score of the whole document; that of Dolma's tagger",
  },
  englishAttribute: {
    type: "string",
    placeholder: "name",
    help: "The score of its English; that of Dolma's tagger",
  },
  sample: {
    type: "number",
    default: 1,
    min: 0,
    max: 1,
    help: "Share of the documents that is drawn, from all files; 0.2 in the paper",
  },
  seed: { type: "integer", default: 0, min: 0, max: 2 ** 32 - 1, help: "Decides what is drawn" },
  offsets: {
    type: "string",
    choices: offsetUnits,
    default: "utf16",
    help: "What the offsets of spans count, where the texts do not say",
  },
  ...specialOption,
  strict: { type: "flag", help: "End at the first malformed line instead of leaving it out" },
} as const satisfies Options;

/** Their values. */
export type CollectionChoice = Values<typeof collectionOptions>;

/** What they say about documents. */
export function documentChoice(choice: CollectionChoice, terminal: Terminal): CollectionOptions {
  const { low, high, strict, ...rest } = choice;
  return {
    ...rest,
    thresholds: { low, high },
    onMalformed: strict ? undefined : ({ message }) => terminal.note(message),
  };
}

/** `2/8` as a slice. @throws {CannotError} for anything else. */
export function sliceOf(part: string): Slice {
  const [number, of] = (part.match(/^(\d+)\/(\d+)$/) ?? []).slice(1).map(Number);
  if (number !== undefined && of !== undefined && number >= 1 && number <= of && of <= 1000) {
    return { number, of };
  }
  throw new CannotError(
    `make part "${part}" of the shards`,
    "it is not i/n with i from 1 to n, and n at most 1000",
    "Write e.g. --part 1/4, --part 2/4, and so on, in one process each",
  );
}

/** Tokens of a part whose token file has about so many megabytes. */
export function partTokens(megabytes: number, vocabularySize: number): number {
  return Math.floor(megabytes * 1e6 / (tokenType(vocabularySize) === "uint16" ? 2 : 4));
}

/** What shards hold, for a line of the result. */
export function describeShards(
  { documents, tokens, tokensByClass, parts, dtype }: ShardManifest,
): string {
  const classes = tokensByClass.flatMap((count, risk) =>
    count === 0 ? [] : [`${count} ${riskNames[risk]}`]
  );
  return `${documents} documents, ${tokens} tokens (${
    classes.join(", ")
  }) in ${parts.length} parts of ${dtype}`;
}

/** Ends the process where it was stopped, and says so where other parts of the shards are still to come. */
export function endIfUnfinished(
  shards: object | undefined,
  { stop, part, out }: { stop: AbortSignal; part: string; out: string },
  terminal: Terminal,
): void {
  if (stop.aborted) {
    terminal.note(`Stopped. Run the same command again to go on in ${out}`);
    Deno.exit(130);
  }
  if (shards === undefined) {
    terminal.print(`Part ${part} of ${out} is finished; other parts are not yet.`);
  }
}

/** Shows on standard error how far shards have come. */
export function showProgress(label: string): Disposable & {
  onText(done: Readonly<SliceProgress>): void;
} {
  let progress: ReturnType<typeof createProgress> | undefined;
  const began = performance.now();
  let before: number | undefined; // tokens of an earlier call
  return {
    onText({ read, bytes, documents, tokens }) {
      before ??= tokens;
      progress ??= createProgress({ total: Math.max(1, Math.ceil(bytes / 1e6)), label });
      const rate = Math.round((tokens - before) / (performance.now() - began) * 1000);
      progress.update(Math.ceil(read / 1e6), `${documents} documents, ${rate} tokens/s`);
    },
    [Symbol.dispose]: () => progress?.[Symbol.dispose](),
  };
}
