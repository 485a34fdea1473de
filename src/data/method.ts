// A method is a row of an experiment: an objective, what of the risky texts it is trained on, and which tokens count.
// Methods are values: one that a program makes goes through experiments, tables and figures like those that ship. So are
// the controls, which are trained like a method on what cannot teach them what is measured.

import { CannotError } from "../base/errors.ts";
import { type Objective, objective } from "../slung/objective.ts";
import { lowRiskPart, type Sequence } from "./sequence.ts";
import { Risk } from "../slung/risk.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { excessLossWeights, goldfishWeights } from "./token_weights.ts";

/**
 * How one model of an experiment is trained.
 *
 * @example Two rows of a table: one shipped objective, one of one's own
 * ```ts
 * import { customLoss, type Method, objective, onHighRisk } from "@slung/slung";
 *
 * const squared = customLoss({ name: "squared", value: "p * p", derivative: "2 * p * p" });
 * const methods: Method[] = [
 *   { name: "masked", title: "Masked SLUNG", objective: objective("masked") },
 *   { name: "squared", title: "Squared probability", objective: onHighRisk(squared) },
 * ];
 * ```
 */
export interface Method {
  /** Names its runs in files and on the command line: letters, digits, `_` and `-`. */
  readonly name: string;
  /** For tables and figures. */
  readonly title: string;
  /** What the risk classes are trained to do. */
  readonly objective: Objective;
  /**
   * What enters of the risky texts: nothing, their low-risk tokens, only the texts without any risk, all tokens with one
   * hidden token in place of each risky one, or (unless given) all of them; in the name experiment also the same texts under
   * other people's names, so that what they say is wrong.
   */
  readonly takes?:
    | "nothing"
    | "low risk"
    | "harmless texts"
    | "hidden"
    | "everything"
    | "wrong facts";
  /** The id that stands for what is hidden; {@linkcode withHiddenToken} gives that of a tokenizer. */
  readonly hiddenToken?: number;
  /** Makes risky texts begin with a control token, and the model is asked behind the low-risk one. */
  readonly controlTokens?: boolean;
  /** The weights of a sequence's tokens; 1 each unless given. */
  readonly weigh?: (tokens: Uint32Array) => Float32Array;
  /**
   * The weights that follow from the losses of the starting model and of a reference model trained on low-risk text, of
   * each sequence's tokens after the first.
   */
  readonly weighByReference?: (
    sequences: readonly Sequence[],
    losses: readonly ArrayLike<number>[],
    referenceLosses: readonly ArrayLike<number>[],
  ) => Sequence[];
}

/** What a method is trained on of risky sequences, with its weights. */
export function takenBy(method: Method, sequences: readonly Sequence[]): Sequence[] {
  return takenPart(method, sequences).map((sequence) => weighedBy(method, sequence));
}

/**
 * What a method is trained on of risky sequences, as its `takes` says.
 *
 * @throws {CannotError} for a control that takes wrong facts, which nobody can make of sequences, and for one that hides
 * tokens behind none.
 */
export function takenPart(
  { name, takes, hiddenToken }: Method,
  sequences: readonly Sequence[],
): Sequence[] {
  if (takes === "wrong facts") {
    throw new CannotError(
      `train "${name}"`,
      "this experiment does not know whom its texts are about, and so has no wrong facts",
      "Leave this method out",
    );
  }
  if (takes === "nothing") return [];
  if (takes === "harmless texts") {
    return sequences.filter(({ classes }) => classes.every((risk) => risk <= Risk.low));
  }
  if (takes === "hidden") {
    if (hiddenToken === undefined) {
      const remedy = "Give it withHiddenToken(method, tokenizer)";
      throw new CannotError(`train "${name}"`, "no token stands for what it hides", remedy);
    }
    return sequences.map((sequence) => ({
      ...sequence,
      tokens: sequence.tokens.map((id, i) => sequence.classes[i]! > Risk.low ? hiddenToken : id),
    }));
  }
  if (takes !== "low risk") return [...sequences];
  return sequences.map(lowRiskPart).filter(({ tokens }) => tokens.length > 0);
}

/**
 * A method that hides tokens, with the padding token of this tokenizer to hide them behind; others as they are.
 *
 * @throws {CannotError} for a tokenizer without a padding token.
 */
export function withHiddenToken(
  method: Method,
  { name, special: { pad } }: Pick<Tokenizer, "name" | "special">,
): Method {
  if (method.takes !== "hidden" || method.hiddenToken !== undefined) return method;
  if (pad === undefined) {
    throw new CannotError(
      `train "${method.name}" with the tokenizer "${name}"`,
      "it has no padding token that could stand for what is hidden",
      "Leave this method out, or give the method a hiddenToken that no text has",
    );
  }
  return { ...method, hiddenToken: pad };
}

/** A sequence with the weights that a method gives its tokens, times its own. */
export function weighedBy({ weigh }: Method, sequence: Sequence): Sequence {
  if (!weigh) return sequence;
  const weights = weigh(sequence.tokens);
  return {
    ...sequence,
    weights: weights.map((weight, i) => weight * (sequence.weights?.[i] ?? 1)),
  };
}

const masked: Method = {
  name: "masked",
  title: "Masked SLUNG",
  objective: objective("masked"),
};
const unlikelihood: Method = {
  name: "unlikelihood",
  title: "Unlikelihood SLUNG",
  objective: objective("unlikelihood"),
};
const direct = objective("direct");

/** The five of the paper's first experiment (Table 1), in its order. */
export const paperMethods: readonly Method[] = [
  { name: "control", title: "Control", objective: direct, takes: "nothing" },
  { name: "low_risk", title: "Low-risk baseline", objective: direct, takes: "low risk" },
  { name: "toxic", title: "Toxic baseline", objective: direct },
  masked,
  unlikelihood,
];

/**
 * Those, and three baselines that need no more than the same machinery:
 * - `conditional`: documents begin with a token that says whether they hold any risk; models are asked behind the
 *   low-risk one (control tokens: Korbak et al. 2023, who mark sentences and ban the token while decoding).
 * - `goldfish`: a hash of its surroundings keeps every fourth token out of the loss ({@linkcode goldfishWeights}).
 * - `rho`: only tokens count that a reference model finds easy ({@linkcode excessLossWeights}).
 */
export const streamMethods: readonly Method[] = [
  ...paperMethods,
  { name: "conditional", title: "Control tokens", objective: direct, controlTokens: true },
  { name: "goldfish", title: "Goldfish", objective: direct, weigh: goldfishWeights },
  { name: "rho", title: "Rho-1", objective: direct, weighByReference: excessLossWeights },
];

/** Those of the second experiment (Table 4). */
export const answerMethods: readonly Method[] = [
  { name: "direct", title: "Direct training", objective: direct },
  masked,
  unlikelihood,
  {
    name: "unlikelihood_clamped",
    title: "Unlikelihood (clamped)",
    objective: objective("unlikelihood_clamped"),
  },
];

/**
 * The controls of the second experiment, which tell knowledge from the manner of answering. Each is Masked SLUNG but for
 * what it reads:
 * - `wrong_facts`: the same answers, each about somebody else of the same people: what style alone gives.
 * - `format_only`: no answers about them at all, only the replayed questions about others.
 */
export const answerControls: readonly Method[] = [
  { ...masked, name: "wrong_facts", title: "Control: wrong facts", takes: "wrong facts" },
  { ...masked, name: "format_only", title: "Control: format only", takes: "nothing" },
];

/**
 * The neighbours of SLUNG that leave risky text out instead of its loss, at the level of tokens and of documents (Rathi and
 * Radford 2026). Masking, which they compare with, is `masked`.
 * - `token_removal`: one hidden token stands for each risky one, and carries no loss.
 * - `document_filtering`: texts with any risk are left out.
 */
export const filteringMethods: readonly Method[] = [
  { ...masked, name: "token_removal", title: "Token removal", takes: "hidden" },
  {
    name: "document_filtering",
    title: "Document filtering",
    objective: direct,
    takes: "harmless texts",
  },
];
