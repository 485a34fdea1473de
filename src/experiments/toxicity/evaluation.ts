// What is measured of every model of the toxicity experiment:
//   generation      toxicity of continuations of held-out prompts
//   understanding   AUROC of linear probes of the last hidden state
//   perplexity      of held-out clean text and of held-out harmless text of the risky domain
// A model that learned control tokens is asked behind the low-risk one. One that was tuned on chats goes on from plain
// prompts and is probed inside the chat template, as by the authors' code, and outside of it as well.

import { CannotError } from "../../base/errors.ts";
import type { Interval } from "../../base/interval.ts";
import { packedSource } from "../../data/packing.ts";
import {
  joinSequences,
  lowRiskSequence,
  type Sequence,
  type SequenceSource,
  sliceSequence,
} from "../../data/sequence.ts";
import { chatPrompt } from "../../data/sources/chat.ts";
import { encodePrompt, prefixLength } from "../../data/spans.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { hiddenStates, meanEmbeddings } from "../../eval/hidden_states.ts";
import type { Completion } from "../../eval/name_generation.ts";
import type { ProbeExamples } from "../../eval/probe.ts";
import { chanceAuroc, type ExchangeOptions } from "../../eval/probe_chance.ts";
import { probeAuroc, type ProbeOptions, type ProbeResult } from "../../eval/probe_samples.ts";
import { scoreSequences } from "../../eval/score.ts";
import { mean } from "../../eval/statistics.ts";
import {
  completePrompts,
  type Decoding,
  scoreCompletions,
  type ToxicityReport,
  type ToxicityScorer,
} from "../../eval/toxicity_generation.ts";
import { decodingOf } from "../../model/decoding.ts";
import type { LanguageModel } from "../../model/language_model.ts";
import type { Model } from "../../model/weights.ts";
import { digestSequences } from "../../train/fingerprint.ts";
import type { Measure, Subject } from "../runner.ts";

/** How a model is judged. */
export interface ToxicityEvaluation {
  /** Texts to continue. */
  prompts: readonly string[];
  /** How they are continued. */
  decoding: Omit<Decoding, "eos" | "seed">;
  /** Judges the continuations; it must not be what labelled the training data, unless that is exact. */
  scorer: ToxicityScorer;
  /** Score from which a continuation counts as toxic. */
  threshold: number;
  /** Texts with labels (1 is toxic), how probes are drawn from them, and how labels are exchanged to see what chance gives. */
  probe:
    & { texts: readonly string[]; labels: readonly number[]; exchange?: ExchangeOptions }
    & Omit<ProbeOptions, "seed" | "texts">;
  /** Text for perplexity, with EOS: of the clean stream, and harmless text of the risky domain. */
  heldOut: { clean: SequenceSource; domain: SequenceSource };
  /**
   * Tokens of the sequences in which held-out text is scored when its documents are packed one behind the other, as in the
   * paper's code; unless given, every document is scored alone.
   */
  packed?: number | undefined;
  /** Continuations to show in the results; real ones may be toxic, so 0 there. */
  keep: number;
}

/** What a model generates and what it understands. */
export interface ToxicityResults {
  /** Its continuations of each prompt. */
  completions: Completion[][];
  /** Their toxicity, without the continuations that are not to be shown. */
  toxicity: ToxicityReport;
  /** What the last hidden state tells, with its controls. */
  probe: ProbedModel;
  /** Of held-out text. */
  perplexity: { clean: number; domain: number };
}

/** Probes of a model, and controls that tell what their AUROC is worth. */
export interface ProbedModel extends Pick<ProbeResult, "auroc" | "resamples" | "examples"> {
  /** Share of the other label's examples that those of each group (or each example) are told from; null if never tested. */
  placements: (number | null)[];
  /** AUROC of probes of exchanged labels: what chance gives, and the bounds of 95 % of it where they were drawn often. */
  chance: Interval;
  /** AUROC of probes of the mean token embedding: what words without context give. */
  embeddings: number;
  /** AUROC of the same texts outside the chat template; of tuned models alone, which are asked inside it. */
  plain?: number;
}

/** How texts reach a model: behind tokens that every text stands behind, or inside a chat template. */
interface Encoder {
  encode(text: string): Uint32Array;
  /** Tokens at the beginning that a text which is too long keeps. */
  prefix: number;
}

/**
 * The measures, for `runExperiment`.
 *
 * @param lowRiskToken The control token behind which models that know it are asked.
 */
export async function toxicityMeasures(
  evaluation: ToxicityEvaluation,
  tokenizer: Tokenizer,
  lowRiskToken: number,
): Promise<Measure<ToxicityResults>[]> {
  const { prompts, decoding, scorer, threshold, heldOut, packed, keep } = evaluation;
  const { texts, labels, exchange, ...probing } = evaluation.probe;
  const { eos } = tokenizer.special;
  const prefixOf = ({ run, stage }: Subject<ToxicityResults>): number[] =>
    run.method?.controlTokens && stage === "trained" ? [lowRiskToken] : [];
  const plainOf = (subject: Subject<ToxicityResults>): Encoder =>
    behind(tokenizer, Uint32Array.from(prefixOf(subject)));
  const own: { [Name in keyof ToxicityResults]: NamedMeasure<ToxicityResults[Name]> } = {
    completions: {
      identity: { prompts: encodedAll(tokenizer, prompts), decoding, eos },
      measure: async (subject) =>
        await completePrompts(await subject.model(), tokenizer, prompts, {
          ...decoding,
          encode: plainOf(subject).encode,
          seed: subject.run.seed,
          ...(eos !== undefined && { eos }),
        }),
    },
    toxicity: {
      identity: { prompts, decoding, eos, scorer: scorer.name, threshold, keep },
      async measure({ results, run: { seed } }) {
        const report = await scoreCompletions(results.completions!, { scorer, threshold, seed });
        return { ...report, completions: report.completions.slice(0, keep) };
      },
    },
    probe: {
      identity: { texts: encodedAll(tokenizer, texts), labels, probing, exchange },
      async measure(subject) {
        const model = await subject.model();
        const options = { ...probing, texts, seed: 0 };
        const most = model.config.contextLength;
        const endsOf = ({ encode, prefix }: Encoder) =>
          texts.map((text) => lastTokens(encode(text), most, prefix));
        const statesOf = async (encoder: Encoder): Promise<ProbeExamples> => (
          { features: await hiddenStates(model, endsOf(encoder)), labels }
        );
        const plain = plainOf(subject), isTuned = subject.stage === "tuned";
        const asked = isTuned ? asUser(tokenizer) : plain;
        const states = await statesOf(asked);
        const { auroc, resamples, examples, placements } = probeAuroc(states, options);
        const embedded = { features: await meanEmbeddings(model, endsOf(asked)), labels };
        return {
          ...{ auroc, resamples, examples },
          placements: meanOfGroups(placements, probing.groups),
          chance: chanceAuroc(states, { ...options, ...exchange }),
          embeddings: probeAuroc(embedded, options).auroc,
          ...(isTuned && { plain: probeAuroc(await statesOf(plain), options).auroc }),
        };
      },
    },
    perplexity: {
      identity: [
        await digestSequences(heldOut.clean),
        await digestSequences(heldOut.domain),
        ...(packed === undefined ? [] : [packed]),
      ],
      async measure(subject) {
        const prefix = prefixOf(subject), model = await subject.model();
        const own = (documents: SequenceSource) =>
          packed === undefined
            ? perplexityOf(model, documents, prefix)
            : perplexityOf(model, packedFor(documents, packed, prefix.length), prefix);
        return { clean: await own(heldOut.clean), domain: await own(heldOut.domain) };
      },
    },
  };
  return Object.entries(own).map(([name, measure]) =>
    ({ name, ...measure }) as Measure<ToxicityResults>
  );
}

interface NamedMeasure<Result> {
  identity: unknown;
  measure(subject: Subject<ToxicityResults>): Promise<Result>;
}

function meanOfGroups(
  values: readonly (number | null)[],
  groups: ArrayLike<string | number> | undefined,
): (number | null)[] {
  return [...Map.groupBy(values.keys(), (i) => groups ? groups[i] : i).values()].map((members) => {
    const own = members.map((i) => values[i]!).filter((value) => value !== null);
    return own.length > 0 ? mean(own) : null;
  });
}

function encodedAll(tokenizer: Tokenizer, texts: readonly string[]): number[][] {
  return texts.map((text) => [...tokenizer.encode(text).ids]);
}

function behind(tokenizer: Tokenizer, tokens: Uint32Array): Encoder {
  const before = lowRiskSequence(tokens);
  return {
    encode: (text) =>
      joinSequences([before, lowRiskSequence(encodePrompt(tokenizer, text))]).tokens,
    prefix: tokens.length + prefixLength(tokenizer),
  };
}

function asUser(tokenizer: Tokenizer): Encoder {
  const { bos, eos } = tokenizer.special;
  const first = bos ?? eos;
  return {
    encode: (content) =>
      chatPrompt(
        tokenizer,
        [{ role: "user", content }],
        first === undefined ? {} : { bos: first },
      ),
    prefix: first === undefined ? 0 : 1,
  };
}

// The last tokens of a text that is longer than the context, as in the reference, behind what it has to begin with.
function lastTokens(tokens: Uint32Array, most: number, prefix: number): Uint32Array {
  if (tokens.length <= most) return tokens;
  const whole = lowRiskSequence(tokens);
  const end = tokens.length - (most - prefix);
  return joinSequences([sliceSequence(whole, 0, prefix), sliceSequence(whole, end)]).tokens;
}

// Every packed sequence stands behind the prefix, for which it leaves room.
function packedFor(documents: SequenceSource, length: number, prefix: number): SequenceSource {
  return packedSource(documents, { length: length - prefix, acrossDocuments: true });
}

const scoredTogether = 256; // sequences, which bounds the memory

// A prefix is seen but not counted.
async function perplexityOf(
  model: LanguageModel,
  documents: SequenceSource,
  prefix: readonly number[],
): Promise<number> {
  const before = lowRiskSequence(Uint32Array.from(prefix));
  let sum = 0, count = 0;
  for (let first = 0; first < documents.length; first += scoredTogether) {
    const block: Sequence[] = [];
    for (let i = first; i < Math.min(first + scoredTogether, documents.length); i++) {
      block.push(joinSequences([before, documents.at(i)!]));
    }
    for (const document of await scoreSequences(model, block)) {
      for (const logProbability of document.subarray(prefix.length)) {
        sum += logProbability;
        count++;
      }
    }
  }
  return Math.exp(-sum / count);
}

/** Refuses what would end the evaluation of the first model, before it is trained. @throws {CannotError} naming it. */
export function checkEvaluation(
  { prompts, decoding, heldOut, packed, probe }: ToxicityEvaluation,
  tokenizer: Tokenizer,
  { config }: Model,
): void {
  const refuse = (why: string, remedy: string) => {
    throw new CannotError("evaluate the models", why, remedy);
  };
  const { samples = 1, maxNewTokens } = decoding;
  if (samples > 1 && decodingOf(decoding).topK === 1) {
    refuse(`greedy decoding gives all ${samples} samples alike`, "Draw among several tokens");
  }
  if (prompts.length < 2) refuse(`there are ${prompts.length} prompts`, "Give at least two");
  const room = config.contextLength - maxNewTokens - 1;
  prompts.forEach((prompt, i) => {
    const { length } = tokenizer.encode(prompt).ids;
    if (length > 0 && length <= room) return;
    refuse(`prompt ${i} has ${length} tokens, not 1 to ${room}`, "Leave it out or shorten it");
  });
  for (const [kind, documents] of Object.entries(heldOut)) {
    if (documents.length > 0) continue;
    refuse(`there is no held-out text of the ${kind} kind for perplexity`, "Give some documents");
  }
  for (const [kind, documents] of Object.entries(heldOut)) {
    if (packed === undefined || packedFor(documents, packed, 1).length > 0) continue;
    const why =
      `the held-out text of the ${kind} kind does not fill one sequence of ${packed} tokens`;
    refuse(why, "Give more documents, or measure their perplexity one by one");
  }
  if (new Set(probe.labels).size < 2) {
    refuse("all texts of the probe have the same label", "Give texts of both labels");
  }
}
