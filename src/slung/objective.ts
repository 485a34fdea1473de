// SLUNG as data: which loss term each risk class gets, and by what the sum is divided.
//   L = Σ_i w_i · ℓ_c(i)(m_i) / Z     (paper, equation 1; m is the log-odds of the target, see selective_loss.wgsl)
// A class without a term is masked: its tokens stay in the context of the others but are not learned.

import { CannotError } from "../base/errors.ts";
import { checkOptions, oneOf, required } from "../base/options.ts";
import { customLoss, type LossTerm, parse } from "./custom_loss.ts";
import { toWgsl } from "./expression.ts";
import { Risk } from "./risk.ts";

export type { LossTerm } from "./custom_loss.ts";

/** −log p: raises the probability of the token. */
export const crossEntropy: LossTerm = customLoss({
  name: "cross_entropy",
  value: "-lp",
  derivative: "-1",
});

/** −log(1 − p), exact and with a bounded gradient at every p: lowers the probability of the token. */
export const unlikelihood: LossTerm = customLoss({
  name: "unlikelihood",
  value: "-l1mp",
  slope: "p",
});

/**
 * The paper's code: −log(max(1 − p, 1e-9)) with p rounded to f32. Its gradient is zero once p rounds to 1, which is
 * where it is needed most; kept to reproduce the published runs. `customLoss` would refuse it for that.
 */
export const clampedUnlikelihood: LossTerm = {
  name: "unlikelihood_clamped",
  value: "-log(max(1 - p, 1e-9))",
  slope: "select(0, p, 1 - p > 1e-9)",
};

/**
 * What the summed loss is divided by, counted over the whole optimiser step, whatever its micro-batches:
 * - `active`: tokens that carry a term;
 * - `paper`: as the authors' pre-training code, which also counts each sequence's unpredicted first token;
 * - `all`: every target, masked or not;
 * - `weights`: the sum of the weights of tokens that carry a term.
 */
export const denominators = ["active", "paper", "all", "weights"] as const;

/** One of the {@linkcode denominators}. */
export type Denominator = (typeof denominators)[number];

/** A training objective: one optional loss term for each risk class. */
export interface Objective {
  /** For logs and result files. */
  readonly name: string;
  /** Indexed by risk class; `undefined` masks the class. */
  readonly terms: readonly [Term, Term, Term, Term];
  /** Z of the mean over an optimiser step. */
  readonly denominator: Denominator;
}

/** What one risk class gets: a loss, or nothing. */
export type Term = LossTerm | undefined;

/** The names of the built-in objectives. */
export const objectiveNames = ["direct", "masked", "unlikelihood", "unlikelihood_clamped"] as const;

/** The name of a built-in objective. */
export type ObjectiveName = (typeof objectiveNames)[number];

/**
 * A built-in objective with the paper's assignment (Table 1): masked drops possibly and definitely risky tokens,
 * unlikelihood turns only the definitely risky ones around, direct learns everything.
 *
 * @throws {CannotError} for a name that is not among {@linkcode objectiveNames}, or a denominator not among
 * {@linkcode denominators}.
 */
export function objective(name: ObjectiveName, denominator: Denominator = "active"): Objective {
  checkOptions("make an objective", { name, denominator }, {
    name: required(oneOf(...objectiveNames)),
    denominator: required(oneOf(...denominators)),
  });
  const learn = crossEntropy;
  const terms = ({
    direct: [learn, learn, learn, learn],
    masked: [learn, learn, undefined, undefined],
    unlikelihood: [learn, learn, learn, unlikelihood],
    unlikelihood_clamped: [learn, learn, learn, clampedUnlikelihood],
  } as const)[name];
  return { name, terms, denominator };
}

/**
 * The WGSL function `term(class_of_token, m, w)` of an objective, for `kernels/selective_loss.wgsl`.
 *
 * @throws {CannotError} for a term that is not made of expressions; nothing else reaches the kernel.
 */
export function termsToWgsl(terms: Objective["terms"]): string {
  const cases = terms.flatMap((term, risk) => {
    if (!term) return [];
    const { name, ...expressions } = term;
    const wgsl = (part: "value" | "slope") =>
      toWgsl(parse(expressions[part], `the ${part} of the loss "${name}"`));
    return [`    case ${risk}u: { return Term(${wgsl("value")}, ${wgsl("slope")}); }`];
  });
  return [
    "fn term(class_of_token: u32, m: f32, w: f32) -> Term {",
    "  let p = sigmoid(m);",
    "  let lp = -softplus(-m);",
    "  let l1mp = -softplus(m);",
    "  switch class_of_token {",
    ...cases,
    "    default: { return Term(0.0, 0.0); }",
    "  }",
    "}",
  ].join("\n");
}

/** Whether a target of this class and weight contributes to the loss. */
export function isActive(terms: Objective["terms"], risk: number, weight: number): boolean {
  return terms[risk] !== undefined && weight !== 0;
}

/** What one micro-batch adds to the counts from which Z follows. */
export interface TargetCounts {
  /** Targets with a term and a weight other than 0. */
  active: number;
  /** Targets, masked or not. */
  all: number;
  /** Sum of the weights of targets with a term. */
  weights: number;
  /** First tokens of texts in a class with a term: nothing predicts them, but the paper's code counts them. */
  firstTokens: number;
}

/**
 * Z of an optimiser step.
 *
 * @throws {CannotError} when no token carries a loss, or the weights have no positive sum: the step would divide by zero.
 */
export function divisor(
  denominator: Denominator,
  parts: readonly TargetCounts[],
  where = "this step",
): number {
  const sum = (key: keyof TargetCounts) => parts.reduce((total, part) => total + part[key], 0);
  if (sum("active") === 0) {
    throw new CannotError(
      `train on ${where}`,
      sum("all") === 0 ? "the batch is empty" : "every token is masked, so nothing is learned",
      "Check the risk spans, or use a batch that holds low-risk tokens too",
    );
  }
  switch (denominator) {
    case "active":
      return sum("active");
    case "paper":
      return sum("active") + sum("firstTokens");
    case "all":
      return sum("all");
    case "weights": {
      if (sum("weights") > 0) return sum("weights");
      throw new CannotError(
        `divide the loss of ${where} by the sum of its weights`,
        `it is ${sum("weights")}`,
        "Give weights whose sum is positive, or another denominator",
      );
    }
  }
}

/** The risk classes by name, for tables. */
export const riskNames: readonly string[] = Object.entries(Risk)
  .sort(([, left], [, right]) => left - right).map(([name]) => name);
