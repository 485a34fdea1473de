import { nearest } from "../src/base/nearest.ts";
import {
  type Allowed,
  callback,
  checkOptions,
  flag,
  listOf,
  number,
  object,
  oneOf,
  required,
  seedNumber,
  text,
  wholeNumber,
} from "../src/base/options.ts";
import { Random } from "../src/base/random.ts";
import { assertEquals, assertThrows } from "./assert.ts";

interface Baking {
  minutes: number;
  heat?: number;
  kind?: "bread" | "cake";
  seed?: number;
  taste?: (bite: string) => void;
}

function check(options: unknown): void {
  checkOptions("bake", options as Baking, {
    minutes: required(wholeNumber({ min: 1, max: 600 })),
    heat: number({ above: 0, below: 300 }),
    kind: oneOf("bread", "cake"),
    seed: seedNumber,
    taste: callback,
  });
}

Deno.test("options that are allowed pass, and those that may be absent may be undefined", () => {
  check({ minutes: 1 });
  check({ minutes: 600, heat: 0.5, kind: "cake", seed: 0, taste: () => {} });
  check({ minutes: 1, heat: undefined, kind: undefined });
});

const refused: [string, unknown, string][] = [
  [
    "a value out of range",
    { minutes: 0 },
    'Cannot bake: option "minutes" is 0. Give a whole number, at least 1 and at most 600.',
  ],
  ["a fraction where whole numbers count", { minutes: 2.5 }, 'option "minutes" is 2.5. Give'],
  ["a number that is text", { minutes: "10" }, 'option "minutes" is "10". Give a whole number'],
  [
    "a required option that is missing",
    { heat: 180 },
    'option "minutes" is missing. Give a whole number, at least 1 and at most 600.',
  ],
  ["a required option that is undefined", { minutes: undefined }, 'option "minutes" is missing'],
  [
    "NaN",
    { minutes: 1, heat: NaN },
    'option "heat" is NaN. Give a number, above 0 and below 300, or leave it out.',
  ],
  ["an infinity", { minutes: 1, heat: Infinity }, 'option "heat" is Infinity'],
  ["a limit that is not included", { minutes: 1, heat: 300 }, 'option "heat" is 300'],
  ["null", { minutes: 1, heat: null }, 'option "heat" is null'],
  [
    "another choice",
    { minutes: 1, kind: "tart" },
    'option "kind" is "tart". Give one of "bread", "cake", or leave it out.',
  ],
  ["a negative seed", { minutes: 1, seed: -1 }, 'option "seed" is -1'],
  ["a seed of 2^32", { minutes: 1, seed: 2 ** 32 }, "at least 0 and at most 4294967295"],
  ["what is no function", { minutes: 1, taste: "yes" }, 'option "taste" is "yes". Give a function'],
  [
    "a misspelt name",
    { minuts: 3 },
    'Cannot bake: there is no option "minuts". Perhaps you meant "minutes".',
  ],
  [
    "a name like no other",
    { minutes: 3, colour: "brown" },
    'there is no option "colour". Its options are minutes, heat, kind, seed, taste.',
  ],
  ["an inherited name", { minutes: 3, constructor: 1 }, 'there is no option "constructor"'],
  ["no options at all", undefined, "Cannot bake: its options are undefined. Give an object"],
  ["a list of options", [3], "its options are [3]"],
];
for (const [what, options, message] of refused) {
  Deno.test(`${what} is refused, naming option, value and what is allowed`, () => {
    assertThrows(() => check(options), message);
  });
}

Deno.test("options inside options are named by their path", () => {
  const rules = { warmup: number({ min: 0 }) };
  const nested = (schedule: unknown) =>
    checkOptions("train", schedule as { warmup?: number }, rules, "schedule.");
  assertThrows(() => nested({ warmup: -1 }), 'option "schedule.warmup" is -1. Give a number');
  assertThrows(() => nested({ warmpu: 1 }), 'no option "schedule.warmpu". Perhaps you meant "sch');
  assertThrows(() => nested(3), 'option "schedule" is 3. Give an object');
});

Deno.test("each kind of option allows what it says and nothing else", () => {
  const values = [true, 0, -3, 2.5, 2 ** 53, "", [], [1, 2], new Float32Array(2), {}, () => 1];
  const allowedOf = (allowed: Allowed) => values.filter(allowed.holds);
  assertEquals(allowedOf(number()), [0, -3, 2.5, 2 ** 53]);
  assertEquals(allowedOf(wholeNumber()), [0, -3]);
  assertEquals(allowedOf(number({ min: -3, max: 2 })), [0, -3]);
  assertEquals(allowedOf(text), [""]);
  assertEquals(allowedOf(flag), [true]);
  assertEquals(allowedOf(callback).length, 1);
  assertEquals(allowedOf(oneOf(0, true)), [true, 0]);
  assertEquals(allowedOf(listOf(number())), [[], [1, 2], new Float32Array(2)]);
  assertEquals(allowedOf(listOf(number(), 2)), [[1, 2], new Float32Array(2)]);
  assertEquals(allowedOf(listOf(number({ min: 2 }))), [[]]);
  assertEquals(allowedOf(object), [[], [1, 2], new Float32Array(2), {}]);
  assertEquals(listOf(number(), 2).description, "a list of 2, each a number");
});

Deno.test("a suggestion is only made when it is near", () => {
  assertEquals(nearest("--sede", ["--seed", "--steps"]), "--seed");
  assertEquals(nearest("--x", ["--seed", "--steps"]), undefined);
});

Deno.test("a seed that would share its stream with another is refused", () => {
  for (const seed of [NaN, 0.5, -1, 2 ** 32, Infinity, undefined as unknown as number]) {
    assertThrows(() => new Random(seed), "Cannot draw random numbers: ");
  }
  assertThrows(() => new Random(0.5), 'option "seed" is 0.5. Give a whole number, at least 0');
});

Deno.test("the streams of valid seeds are those that they always were", () => {
  const draw = (seed: number, label?: string) => {
    const random = new Random(seed, label);
    return [random.uint32(), random.uint32()];
  };
  assertEquals(draw(0), [1789933344, 44971166]);
  assertEquals(draw(1, "init"), [3562325653, 1177278858]);
  assertEquals(draw(2 ** 32 - 1), [4104197751, 1825856343]);
});
