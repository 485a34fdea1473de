// Options are checked where they enter: a notebook runs without types, and an option that is misspelt
// or impossible would change a result without a word, or end in an error that does not name it.
// A function lists every option that its type has, each with what it may be:
//
//   checkOptions("generate", options, {
//     maxNewTokens: required(wholeNumber({ min: 0 })),
//     temperature: number({ min: 0 }),
//     finished: callback,
//   });
//
// The compiler insists that none is left out, and that those which the type requires are `required`.

import { CannotError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { show } from "./show.ts";

/** What an option may be. */
export interface Allowed {
  /** What to give, in words, e.g. `a whole number, at least 1`. */
  readonly description: string;
  /** Whether a value, which is not `undefined`, is allowed. */
  readonly holds: (value: unknown) => boolean;
}

/** What an option may be that has to be given. */
export interface AllowedAndRequired extends Allowed {
  /** Tells it from an {@linkcode Allowed}. */
  readonly required: true;
}

/** What each option of a type may be. */
export type AllowedOptions<Options> = {
  readonly [Name in keyof Options]-?: undefined extends Options[Name] ? Allowed
    : AllowedAndRequired;
};

/**
 * Checks the options that a function was given.
 *
 * @param what The function, for the error, e.g. `generate`.
 * @param path What leads to them where they are part of other options, e.g. `schedule.`.
 * @throws {CannotError} naming the first option that is unknown (with the one that was probably meant), missing or
 * not allowed, its value, and what is allowed.
 */
export function checkOptions<Options extends object>(
  what: string,
  options: Options,
  allowed: AllowedOptions<Options>,
  path = "",
): void {
  const fail = (why: string, remedy: string) => new CannotError(what, why, remedy);
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const name = path === "" ? "its options are" : `option "${path.slice(0, -1)}" is`;
    throw fail(`${name} ${show(options)}`, "Give an object, e.g. { name: value }");
  }
  const names = Object.keys(allowed);
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    const meant = nearest(name, names);
    throw fail(
      `there is no option "${path}${name}"`,
      meant ? `Perhaps you meant "${path}${meant}"` : `Its options are ${names.join(", ")}`,
    );
  }
  for (const [name, rule] of Object.entries<Allowed>(allowed)) {
    const value = (options as Record<string, unknown>)[name];
    const isRequired = "required" in rule;
    if (value === undefined ? !isRequired : rule.holds(value)) continue;
    throw fail(
      `option "${path}${name}" is ${value === undefined ? "missing" : show(value)}`,
      `Give ${rule.description}${isRequired ? "" : ", or leave it out"}`,
    );
  }
}

/** The same, and it has to be given. */
export function required(allowed: Allowed): AllowedAndRequired {
  return { ...allowed, required: true };
}

/** The same, and it may be left out. */
export function optional({ description, holds }: Allowed): Allowed {
  return { description, holds };
}

/** The limits of a number. */
export interface Limits {
  /** The smallest that is allowed. */
  min?: number;
  /** The largest that is allowed. */
  max?: number;
  /** It must be larger than this. */
  above?: number;
  /** It must be smaller than this. */
  below?: number;
}

/** A finite number. */
export function number(limits: Limits = {}): Allowed {
  return {
    description: `a number${describeLimits(limits)}`,
    holds: (value) => Number.isFinite(value) && isWithin(value as number, limits),
  };
}

/** A whole number that a double holds exactly. */
export function wholeNumber(limits: Limits = {}): Allowed {
  return {
    description: `a whole number${describeLimits(limits)}`,
    holds: (value) => Number.isSafeInteger(value) && isWithin(value as number, limits),
  };
}

/** How many digits a number is printed with. */
export const decimals: Allowed = wholeNumber({ min: 0, max: 20 });

/** The seed of a random stream: every one of its 2^32 values gives another stream. */
export const seedNumber: Allowed = wholeNumber({ min: 0, max: 2 ** 32 - 1 });

/** One of a few values. */
export function oneOf(...choices: readonly (string | number | boolean | null)[]): Allowed {
  return {
    description: `one of ${choices.map(show).join(", ")}`,
    holds: (value) => choices.includes(value as string),
  };
}

/** A list of values of one kind, which may be an array or a typed array. */
export function listOf(item: Allowed, length?: number): Allowed {
  const count = length === undefined ? "" : ` of ${length}`;
  return {
    description: `a list${count}, each ${item.description}`,
    holds: (value) =>
      (Array.isArray(value) || ArrayBuffer.isView(value) && !(value instanceof DataView)) &&
      (length === undefined || (value as unknown[]).length === length) &&
      (value as unknown[]).every(item.holds),
  };
}

/** A text. */
export const text: Allowed = {
  description: "a text",
  holds: (value) => typeof value === "string",
};

/** True or false. */
export const flag: Allowed = {
  description: "true or false",
  holds: (value) => typeof value === "boolean",
};

/** A function. */
export const callback: Allowed = {
  description: "a function",
  holds: (value) => typeof value === "function",
};

/** An object, checked by whoever reads it. */
export const object: Allowed = {
  description: "an object",
  holds: (value) => typeof value === "object" && value !== null,
};

function isWithin(value: number, { min, max, above, below }: Limits): boolean {
  return value >= (min ?? -Infinity) && value <= (max ?? Infinity) &&
    value > (above ?? -Infinity) && value < (below ?? Infinity);
}

function describeLimits({ min, max, above, below }: Limits): string {
  const limits = Object.entries({ "at least": min, above, "at most": max, below })
    .filter(([, limit]) => limit !== undefined)
    .map(([words, limit]) => `${words} ${limit}`);
  return limits.length === 0 ? "" : `, ${limits.join(" and ")}`;
}
