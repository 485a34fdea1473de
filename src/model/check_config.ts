// Whether a configuration describes a model that can exist and be held. Files and notebooks may say anything: every
// field is checked for its kind first, then how they fit together, then how much memory the whole would take.

import { describeBytes } from "../base/bytes.ts";
import { CannotError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { type Allowed, flag, number, oneOf, wholeNumber } from "../base/options.ts";
import { show } from "../base/show.ts";
import { type DecoderConfig, families, projections, type RotaryScaling } from "./config.ts";
import { countParameters } from "./parameter_shapes.ts";
import { turnedWidth } from "./rotary.ts";

const MOST_LAYERS = 1024; // each is recorded as some 40 commands
const MOST_BYTES = 2 ** 36;
const size: Allowed = wholeNumber({ min: 1, max: 2 ** 31 - 1 });
const factor: Allowed = number({ above: 0 });

const allowed: { readonly [Field in keyof DecoderConfig]: Allowed } = {
  family: oneOf(...families),
  vocabularySize: size,
  contextLength: size,
  width: size,
  layers: wholeNumber({ min: 1, max: MOST_LAYERS }),
  heads: size,
  kvHeads: size,
  headWidth: size,
  feedForward: size,
  norm: oneOf("layer", "layer_affine", "rms"),
  normEpsilon: number({ above: 0, below: 1 }),
  residual: oneOf("pre_norm", "post_norm", "parallel"),
  queryKeyNorm: oneOf("none", "all_heads", "each_head"),
  biases: {
    description: `a list of ${projections.join(", ")}`,
    holds: (value) => Array.isArray(value) && value.every((name) => projections.includes(name)),
  },
  activation: oneOf("swiglu", "gelu", "gelu_tanh"),
  positions: {
    description: '"learned", or an object with theta, pairing and share',
    holds: (value) => value === "learned" || isObject(value),
  },
  tiedEmbedding: flag,
};
const allowedOfRotary: Record<string, Allowed> = {
  theta: factor,
  pairing: oneOf("half", "interleaved"),
  share: number({ above: 0, max: 1 }),
  scaling: { description: "an object with a kind", holds: (value) => isObject(value) },
};
const allowedOfScaling: Record<string, Record<string, Allowed>> = {
  linear: { kind: oneOf("linear"), factor },
  llama3: {
    kind: oneOf("llama3"),
    factor,
    lowFrequencyFactor: factor,
    highFrequencyFactor: factor,
    originalContext: size,
  },
};

/**
 * Checks that a configuration describes a model that can exist and be held.
 *
 * @param where What to call the configuration in the error, e.g. `"models/a/config.json"`.
 * @throws {CannotError} naming every inconsistency, not only the first; and for a model of more than 64 GiB, with its
 * size.
 */
export function checkConfig(config: DecoderConfig, where = "the model configuration"): void {
  const problems = problemsOf(config);
  if (problems.length > 0) {
    throw new CannotError(`use ${where}`, problems.join("; "), "Correct these values");
  }
  const parameters = countParameters(config);
  if (4 * parameters <= MOST_BYTES) return;
  throw new CannotError(
    `use ${where}`,
    `its ${parameters.toLocaleString("en")} parameters take ${
      describeBytes(4 * parameters)
    } in f32, ` +
      `and at most ${describeBytes(MOST_BYTES)} are supported`,
    "Use a narrower model, fewer layers or a smaller vocabulary",
  );
}

function problemsOf(config: DecoderConfig): string[] {
  const problems = fieldProblems({ ...config }, allowed);
  const { positions } = config;
  if (isObject(positions)) {
    const optional = positions.scaling === undefined ? ["scaling"] : [];
    problems.push(...fieldProblems({ ...positions }, allowedOfRotary, "positions.", optional));
    if (isObject(positions.scaling)) problems.push(...scalingProblems(positions.scaling));
  }
  if (problems.length > 0) return problems; // the rest divides by these sizes

  const { width, heads, kvHeads, headWidth } = config;
  const expect = (holds: boolean, problem: string) => {
    if (!holds) problems.push(problem);
  };
  expect(width % heads === 0, `width ${width} is not a multiple of heads ${heads}`);
  expect(heads % kvHeads === 0, `heads ${heads} is not a multiple of kvHeads ${kvHeads}`);
  expect(
    headWidth % 4 === 0,
    `headWidth ${headWidth} is not a multiple of 4, and attention reads vectors of 4`,
  );
  if (isObject(positions)) {
    const turned = turnedWidth(positions, headWidth);
    expect(
      turned >= 2 && turned % 2 === 0,
      `positions.share ${positions.share} of headWidth ${headWidth} is ${turned}, not an even number`,
    );
  }
  return problems;
}

function scalingProblems(scaling: RotaryScaling): string[] {
  const path = "positions.scaling.";
  const rules = Object.hasOwn(allowedOfScaling, scaling.kind) && allowedOfScaling[scaling.kind];
  if (!rules) return [`${path}kind is ${show(scaling.kind)}, not one of "linear", "llama3"`];
  const problems = fieldProblems({ ...scaling }, rules, path);
  if (problems.length > 0 || scaling.kind === "linear") return problems;
  return scaling.lowFrequencyFactor < scaling.highFrequencyFactor ? [] : [
    `${path}lowFrequencyFactor ${scaling.lowFrequencyFactor} is not below highFrequencyFactor ` +
    `${scaling.highFrequencyFactor}`,
  ];
}

function fieldProblems(
  fields: Record<string, unknown>,
  rules: Readonly<Record<string, Allowed>>,
  path = "",
  optional: readonly string[] = [],
): string[] {
  const names = Object.keys(rules);
  const unknown = Object.keys(fields).filter((name) => !names.includes(name)).map((name) => {
    const meant = nearest(name, names);
    return `there is no ${path}${name}${meant ? `, perhaps ${meant} is meant` : ""}`;
  });
  const wrong = names.filter((name) => !optional.includes(name))
    .filter((name) => !rules[name]!.holds(fields[name]))
    .map((name) =>
      fields[name] === undefined
        ? `${path}${name} is missing`
        : `${path}${name} is ${show(fields[name])}, not ${rules[name]!.description}`
    );
  return [...unknown, ...wrong];
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
