// The protocols of `deno task toxicity` by name: which options each takes, and the data that it reads.

import { CannotError } from "../src/base/errors.ts";
import { exists } from "../src/base/files.ts";
import {
  commentsProtocol,
  dolmaProtocol,
  inventedProtocol,
  type ToxicityProtocol,
  type ToxicitySizes,
} from "../src/experiments/toxicity/protocols.ts";
import { openNamedClassifier } from "../src/label/open_classifier.ts";
import { paperThresholds } from "../src/label/sentences.ts";
import type { DecoderConfig } from "../src/model/config.ts";
import { readPretrained } from "../src/model/pretrained.ts";
import type { Model } from "../src/model/weights.ts";
import { flagOf, type Terminal } from "../src/report/command_line.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import { checkVocabulary } from "../src/tokenizers/tokenizer.ts";
import { showProgress } from "./collections.ts";
import { readConfig } from "./shared.ts";

/** Their names. */
export const protocols = ["invented", "invented-scratch", "comments", "dolma", "paper"] as const;

/** Whether a protocol reads corpora in Dolma's formats and takes any base. */
export function readsCorpora(protocol: (typeof protocols)[number]): boolean {
  return protocol === "dolma" || protocol === "paper";
}

// Options of those protocols alone.
const onlyDolma = [
  "scorer",
  "perSecond",
  "prepared",
  "attribute",
  "low",
  "high",
  "heldOut",
  "perplexity",
  "perStep",
] as const;

/** The options that decide data and sizes. */
export interface ProtocolOptions extends ToxicitySizes {
  protocol: (typeof protocols)[number];
  data?: string | undefined;
  base?: string | undefined;
  scorer?: string | undefined;
  perSecond?: number | undefined;
  prepared?: string | undefined;
  attribute?: string | undefined;
  low?: number | undefined;
  high?: number | undefined;
  heldOut?: number | undefined;
  perplexity?: "documents" | "packed" | undefined;
  perStep?: number | undefined;
}

/** A protocol, with its base model where that was needed to read the data. */
export type Prepared = ToxicityProtocol & { base?: Model };

function given(
  { protocol }: ProtocolOptions,
  value: string | undefined,
  option: string,
  what: string,
): string {
  if (value !== undefined) return value;
  throw new CannotError(`prepare the protocol ${protocol}`, `it takes ${what}`, `Give ${option}`);
}

/** What a protocol that reads corpora cannot do without. */
function neededForCorpora(
  options: ProtocolOptions,
): { data: string; base: string; scorer: string } {
  return {
    data: given(options, options.data, "--data", "real data"),
    base: given(options, options.base, "--base", "a base model and its tokenizer"),
    scorer: given(options, options.scorer, "--scorer", "a classifier for what the models write"),
  };
}

/**
 * Refuses what cannot be read, before corpora are, and reads the configuration of the base; its weights need not be there.
 *
 * @throws {CannotError} naming what is missing.
 */
export async function expectCorpora(options: ProtocolOptions): Promise<DecoderConfig> {
  const { data, base } = neededForCorpora(options);
  if (!await exists(data)) {
    throw new CannotError(`read "${data}"`, "there is no such folder", "Check the path");
  }
  const config = await readConfig(base);
  checkVocabulary(await openTokenizer(base), config.vocabularySize);
  return config;
}

/**
 * Reads the data of a protocol.
 *
 * @param out Where the results of the experiment go.
 * @throws {CannotError} naming the option that is missing, or of another protocol.
 */
export async function openProtocol(
  options: ProtocolOptions,
  out: string,
  terminal: Terminal,
): Promise<Prepared> {
  const { protocol: name, data, base } = options;
  const refuse = (why: string, remedy: string) =>
    new CannotError(`prepare the protocol ${name}`, why, remedy);
  if (!readsCorpora(name)) {
    const foreign = onlyDolma.find((option) => options[option] !== undefined);
    if (foreign) throw refuse(`${flagOf(foreign)} is an option of dolma and paper`, "Leave it out");
    if (name === "invented") return inventedProtocol(sizesOf(options));
    if (name === "comments") {
      return await commentsProtocol(given(options, data, "--data", "real data"), options);
    }
    if (base === undefined) return inventedProtocol({ ...sizesOf(options), fromScratch: true });
    throw refuse("it starts from fresh weights", "Leave --base out");
  }
  const { data: folder, base: model, scorer } = neededForCorpora(options);
  const pretrained = await readPretrained(model);
  const { low, high, attribute } = options;
  let progress: ReturnType<typeof showProgress> | undefined;
  try {
    const protocol = await dolmaProtocol(folder, pretrained, {
      ...options,
      scorer: await openNamedClassifier(scorer, options.perSecond),
      prepared: options.prepared ?? `${out}/prepared`,
      attribute,
      thresholds: low === undefined && high === undefined
        ? undefined
        : { low: low ?? paperThresholds.low, high: high ?? paperThresholds.high },
      heldOut: options.heldOut ?? 200,
      packed: options.perplexity === "packed",
      perStep: options.perStep ?? 16,
      onPreparing(kind, remarks) {
        progress?.[Symbol.dispose]();
        terminal.note(
          `Making shards of the ${kind} documents; \`deno task prepare\` offers more`,
        );
        for (const remark of remarks) terminal.note(remark);
        progress = showProgress(`MB of ${kind}`);
        return { onText: progress.onText };
      },
    });
    return { ...protocol, base: pretrained.source };
  } finally {
    progress?.[Symbol.dispose]();
  }
}

function sizesOf({ tokens, share, acrossDocuments, learningRate }: ToxicitySizes): ToxicitySizes {
  return { tokens, share, acrossDocuments, learningRate };
}
