// The command line of every task: options are data, and their names, types, defaults and help all
// come from that one table. With --json, standard output holds exactly one JSON object, so a task
// can be piped; whatever else is said goes to standard error.
// Arguments are split by node:util, which is always there: no start asks the network for a parser.

import { parseArgs as parseNodeArgs } from "node:util";
import { CannotError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { printableLines, printableMessage } from "./printable.ts";
import type { FlagOption, Option, Options, Ranged, Values } from "./options.ts";

/** Where a command writes. */
export interface Terminal {
  /** Whether the result will be printed as JSON. */
  readonly json: boolean;
  /** Prints the command's own rendering: on standard output, or with `--json` on standard error. */
  print(text: string): void;
  /** Says something on standard error. */
  note(text: string): void;
}

/** A task: its options as data, and what it does with them. */
export interface Command<O extends Options> {
  /** The name of the task, as in `deno task <name>`. */
  name: string;
  /** One sentence for the top of `--help`. */
  summary: string;
  /** The arguments of calls to copy, for the end of `--help`, e.g. `--data stories.jsonl --out runs/stories`. */
  examples?: readonly string[];
  /** Its options, by name. */
  options: O;
  /**
   * The options that arguments without a name belong to, in their order; a list takes all that are left. Without it there
   * may be none.
   */
  operand?: (keyof O & string) | readonly (keyof O & string)[];
  /** Does the work; what it returns is printed by `--json`. `given` holds the options that are not left out. */
  run(
    options: Values<O>,
    terminal: Terminal,
    given: ReadonlySet<string>,
  ): object | void | Promise<object | void>;
}

/** A command as a value, its `run` typed by its options: what a task exports, and `runCommand` runs. */
export function defineCommand<const O extends Options>(command: Command<O>): Command<O> {
  return command;
}

/** Standard output and standard error as two functions, so that tests can listen. */
export interface Streams {
  /** Writes to standard output. */
  out(text: string): void;
  /** Writes to standard error. */
  err(text: string): void;
}

/**
 * Runs a command with the arguments of this process, then ends the process:
 * 0 done, 1 failed (a {@link CannotError} as one line, a bug with its stack), 2 wrong arguments.
 *
 * @example A task
 * ```ts ignore
 * await runCommand({
 *   name: "probe",
 *   summary: "Counts what a model remembers.",
 *   options: {
 *     steps: { type: "integer", default: 200, min: 1, placeholder: "count", help: "Optimiser steps" },
 *     method: { type: "string", choices: ["full", "masked"], default: "masked", help: "The loss" },
 *   },
 *   run({ steps, method }, terminal) {
 *     terminal.print(`${method}: ${steps} steps`);
 *     return { method, steps };
 *   },
 * });
 * ```
 */
export async function runCommand<const O extends Options>(command: Command<O>): Promise<never> {
  Deno.exit(await execute(command, Deno.args, standardStreams));
}

const standardStreams: Streams = {
  out: (text) => writeAllSync(Deno.stdout, text),
  err: (text) => writeAllSync(Deno.stderr, text),
};

/** Several commands of one task, by the word that says which: `{ olmo }` for `deno task export olmo`. */
// deno-lint-ignore no-explicit-any -- each with options of its own
export type Targets = Readonly<Record<string, Command<any>>>;

/**
 * Runs the command that the first argument names, as in `deno task export olmo --out …`, with the other arguments, and
 * ends the process as {@linkcode runCommand} does.
 */
export async function runTarget(
  task: string,
  targets: Targets,
): Promise<never> {
  Deno.exit(await executeTarget(task, targets, Deno.args, standardStreams));
}

/** {@linkcode runTarget} without the process: returns the exit code. */
export async function executeTarget(
  task: string,
  targets: Targets,
  [name, ...args]: readonly string[],
  streams: Streams,
): Promise<number> {
  const names = Object.keys(targets);
  if (name !== undefined && names.includes(name)) {
    return await execute(targets[name]!, args, streams);
  }
  if (name === "--help" || name === "-h") {
    const usages = names.map((each) => `  deno task ${task} ${each} --help\n`);
    streams.out(`Usage: deno task ${task} <${names.join("|")}> [options]\n\n${usages.join("")}`);
    return 0;
  }
  const meant = name === undefined ? undefined : nearest(name, names);
  const error = new CannotError(
    `run ${task}`,
    name === undefined ? "nothing says what" : `there is no ${task} "${name}"`,
    meant
      ? `Perhaps you meant ${task} ${meant}`
      : `Write ${names.map((each) => `${task} ${each}`).join(" or ")}`,
  );
  streams.err(`${printableMessage(error.message)}\n`);
  return 2;
}

/** {@link runCommand} without the process: returns the exit code. */
export async function execute<const O extends Options>(
  command: Command<O>,
  args: readonly string[],
  streams: Streams,
): Promise<number> {
  const options = { ...command.options, ...builtIn };
  let values: Values<O & typeof builtIn>, given: Set<string>;
  try {
    const split = withOperands(splitArguments(args, options), command.operand, options);
    if (split.values.has("help")) {
      streams.out(helpText(command));
      return 0;
    }
    values = checkArguments(command.name, options, split);
    given = new Set(split.values.keys());
  } catch (error) {
    if (!(error instanceof CannotError)) throw error;
    streams.err(`${printableMessage(error.message)}\n`);
    return 2;
  }
  const { json, help: _, ...own } = values;
  const say = (text: string) => text.endsWith("\n") ? text : `${text}\n`;
  const terminal: Terminal = {
    json,
    print: (text) => streams[json ? "err" : "out"](say(printableLines(text))),
    note: (text) => streams.err(say(printableMessage(text))),
  };
  const restore = json ? silenceConsole() : () => {};
  try {
    const result = await command.run(own as unknown as Values<O>, terminal, given);
    if (json) streams.out(`${JSON.stringify(result ?? {}, null, 2)}\n`);
    return 0;
  } catch (error) {
    const said = error instanceof CannotError ? error.message : Deno.inspect(error);
    streams.err(`${printableMessage(said)}\n`);
    return 1;
  } finally {
    restore();
  }
}

const builtIn = {
  json: { type: "flag", help: "Print one JSON object on standard output, and nothing else there" },
  help: { type: "flag", help: "Print this help" },
} as const satisfies Options;

/** The text of `--help`, aligned and wrapped to 100 columns. */
export function helpText<O extends Options>(command: Command<O>): string {
  const rows = Object.entries({ ...command.options, ...builtIn }).map(([name, option]) => {
    const short = name === "help" ? "-h, " : "";
    return { left: `  ${short}${usageOf(name, option)}`, right: describe(option) };
  });
  const indent = Math.max(...rows.map((row) => row.left.length)) + 2;
  const lines = rows.map(({ left, right }) =>
    left.padEnd(indent) + wrap(right, Math.max(100 - indent, 40)).join(`\n${" ".repeat(indent)}`)
  );
  const examples = (command.examples ?? []).map((args) =>
    `  deno task ${command.name} ${args}`.trimEnd()
  );
  return [
    `Usage: deno task ${command.name}${operandUsage(command)} [options]`,
    "",
    command.summary,
    "",
    "Options:",
    ...lines,
    "",
    ...(examples.length > 0 ? ["Examples:", ...examples, ""] : []),
  ].join("\n");
}

function operandUsage<O extends Options>({ operand, options }: Command<O>): string {
  return [operand ?? []].flat().map((name) => {
    const option = options[name]!;
    const shown = ("placeholder" in option && option.placeholder) || name;
    return ` <${shown}${option.type === "list" ? " …" : ""}>`;
  }).join("");
}

// Arguments without a name are the values of operands, as if their names stood before them.
function withOperands(
  split: SplitArguments,
  operand: string | readonly string[] | undefined,
  options: Options,
): SplitArguments {
  const positionals = [...split.positionals], values = new Map(split.values);
  for (const name of [operand ?? []].flat()) {
    const isList = options[name]!.type === "list";
    if (positionals.length === 0 || (values.has(name) && !isList)) continue;
    const taken = positionals.splice(0, isList ? Infinity : 1);
    values.set(name, [...values.get(name) ?? [], ...taken]);
  }
  return { ...split, positionals, values };
}

function describe(option: Option): string {
  if (option.type === "flag") return option.help;
  const facts: string[] = [];
  if ("choices" in option && option.choices) facts.push(`one of ${option.choices.join(", ")}`);
  if ("min" in option && option.min !== undefined) facts.push(`at least ${option.min}`);
  if ("max" in option && option.max !== undefined) facts.push(`at most ${option.max}`);
  if (option.type === "list") {
    facts.push(option.of === "path" ? "one or several" : "repeat or separate with commas");
  }
  if (option.required) facts.push("required");
  const preset = [option.default ?? []].flat().join(",");
  if (preset !== "") facts.push(`default ${preset}`);
  return facts.length === 0 ? option.help : `${option.help} (${facts.join("; ")})`;
}

/** `--steps <integer>`, or `--resume` for a flag. */
function usageOf(name: string, option: Option): string {
  if (option.type === "flag") return flagOf(name);
  const type = itemType(option);
  return `${flagOf(name)} <${option.placeholder ?? (type === "string" ? "text" : type)}>`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

// ---- What both parsers agree on ----
// `--name value`, `--name=value`, `--flag`, `-h`. A value that starts with a dash needs the equals
// sign; a flag takes no value; anything else is an error. Repeats are kept in order.

/** Arguments split but not yet checked. An option given without its value holds `""`. */
export interface SplitArguments {
  /** The texts given for each option, by its name in the table; a flag holds `["true"]`. */
  values: Map<string, string[]>;
  /** Options that are not in the table, as written, without `=value`. */
  unknown: string[];
  /** Arguments that belong to no option. */
  positionals: string[];
}

/** Splits arguments with `node:util`. Not strict, because its own errors would not read like ours. */
export function splitArguments(args: readonly string[], options: Options): SplitArguments {
  const names = namesByFlag(options);
  const types = [...names].map(([flag, name]) => {
    const type = options[name]!.type === "flag" ? "boolean" as const : "string" as const;
    return [flag.slice(2), { type }] as const;
  });
  const given = withoutShortHelp(args);
  const { tokens } = parseNodeArgs({
    args: given,
    options: Object.fromEntries(types),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const split: SplitArguments = { values: new Map(), unknown: [], positionals: [] };
  for (const token of tokens) {
    if (token.kind === "positional") split.positionals.push(token.value);
    if (token.kind !== "option") continue;
    const written = given[token.index]!.split("=")[0]!;
    const name = names.get(token.rawName);
    if (name === undefined) {
      if (split.unknown.at(-1) !== written) split.unknown.push(written); // -abc is three tokens
    } else if (options[name]!.type === "flag") {
      give(split, name, token.inlineValue ? `=${token.value}` : "true");
    } else { // Not strict, it would take the next option for a value.
      const swallowed = !token.inlineValue && token.value?.startsWith("-");
      give(split, name, swallowed ? "" : token.value ?? "");
    }
  }
  return split;
}

function give(split: SplitArguments, name: string, value: string): void {
  const values = split.values.get(name);
  if (values) values.push(value);
  else split.values.set(name, [value]);
}

function withoutShortHelp(args: readonly string[]): string[] {
  return args.map((arg) => arg === "-h" ? "--help" : arg);
}

// ---- Checking ----

/**
 * Checks split arguments against the options and converts them.
 *
 * @throws {CannotError} naming the first option that is unknown, incomplete or out of range.
 */
export function checkArguments<O extends Options>(
  command: string,
  options: O,
  split: SplitArguments,
): Values<O> {
  const reject = (why: string, remedy: string) => new CannotError(`run ${command}`, why, remedy);
  const entries = Object.entries(options);
  // First of all: in `--steps -5`, one parser sees an option -5 and the other does not.
  for (const [name, option] of entries) {
    if (option.type === "flag" || !split.values.get(name)?.includes("")) continue;
    throw reject(
      `${flagOf(name)} has no value`,
      `Write ${usageOf(name, option)}, or ${flagOf(name)}=-1 for a value that starts with a dash`,
    );
  }
  const [unknown] = split.unknown;
  if (unknown !== undefined) {
    const meant = nearest(unknown, Object.keys(options).map(flagOf));
    const hint = meant ? `Perhaps you meant ${meant}; ` : "";
    throw reject(`there is no option ${unknown}`, `${hint}--help lists all options`);
  }
  const values = entries.map(([name, option]) => {
    const texts = split.values.get(name) ?? [];
    return [name, convert(name, option, texts, reject)] as const;
  });
  if (split.positionals.length > 0) {
    throw reject(
      `the argument "${split.positionals[0]}" belongs to no option`,
      "Write options as --name value; --help lists them",
    );
  }
  return Object.fromEntries(values) as Values<O>;
}

type Reject = (why: string, remedy: string) => CannotError;

function convert(
  name: string,
  option: Option,
  texts: readonly string[],
  reject: Reject,
): boolean | string | number | (string | number)[] | undefined {
  const flag = flagOf(name);
  if (option.type === "flag") {
    const extra = texts.find((text) => text.startsWith("="));
    if (extra === undefined) return texts.length > 0;
    throw reject(
      `${flag} takes no value, but "${extra.slice(1)}" was given`,
      `Write ${flag} alone`,
    );
  }
  if (texts.length === 0) {
    if (option.required) throw reject(`${flag} is required`, `Add ${usageOf(name, option)}`);
    if (option.type !== "list") return option.default;
    return [...option.default ?? []];
  }
  if (option.type !== "list") return convertItem(flag, option, texts.at(-1)!, reject);
  if (option.of === "path") return texts.map(fromWhereTheUserStands); // a comma may be part of one
  const items = texts.flatMap((text) => text.split(",")).map((text) =>
    convertItem(flag, option, text, reject)
  );
  const again = option.distinct ? items.findIndex((item, i) => items.indexOf(item) < i) : -1;
  if (again < 0) return items;
  throw reject(`${flag} has ${items[again]} twice`, "Give each once");
}

function convertItem(
  flag: string,
  option: Exclude<Option, FlagOption>,
  text: string,
  reject: Reject,
): string | number {
  const type = itemType(option);
  if (option.type === "path") {
    const isName = option.names?.includes(text) || option.isName?.(text);
    return isName ? text : fromWhereTheUserStands(text);
  }
  if (type === "string") {
    const choices = "choices" in option ? option.choices : undefined;
    if (!choices || choices.includes(text)) return text;
    const meant = nearest(text, choices);
    throw reject(
      `${flag} cannot be "${text}"`,
      `Choose one of ${choices.join(", ")}${meant ? `, perhaps ${meant}` : ""}`,
    );
  }
  const value = decimal.test(text) ? Number(text) + 0 : NaN; // −0 is 0
  if (!Number.isFinite(value)) {
    throw reject(`${flag} must be a number, not "${text}"`, `Write e.g. ${flag} 10`);
  }
  if (type === "integer" && !Number.isSafeInteger(value)) {
    throw reject(`${flag} must be a whole number, not "${text}"`, `Write e.g. ${flag} 10`);
  }
  const most = type === "integer" ? mostOfIntegers : mostOfNumbers;
  const { min = -most, max = most } = option as Ranged;
  if (value < min) throw reject(`${flag} must be at least ${min}, not ${value}`, "Raise it");
  if (value > max) throw reject(`${flag} must be at most ${max}, not ${value}`, "Lower it");
  return value;
}

// What people write: "0x10", "1_000" and "" are no numbers here. What is larger than these is beyond any use, and beyond
// the integers and floats of a GPU, unless an option says otherwise.
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const mostOfIntegers = 2 ** 31 - 1, mostOfNumbers = 1e30;

function itemType(
  option: Exclude<Option, FlagOption>,
): "string" | "path" | "number" | "integer" {
  return option.type === "list" ? option.of ?? "string" : option.type;
}

/** A path as it was typed, seen from the folder in which `deno task` works, which is the project's root. */
export function fromWhereTheUserStands(path: string): string {
  const from = Deno.env.get("INIT_CWD");
  if (from === undefined || from === Deno.cwd() || /^([/\\]|[A-Za-z]:)/.test(path)) return path;
  return `${from}/${path}`;
}

/** How an option is given on the command line: `perStep` as `--per-step`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function namesByFlag(options: Options): Map<string, string> {
  return new Map(Object.keys(options).map((name) => [flagOf(name), name]));
}

/** Libraries print with console.log; under --json that would spoil the one object. */
function silenceConsole(): () => void {
  const { log, info, debug } = console;
  console.log = console.info = console.debug = console.error;
  return () => Object.assign(console, { log, info, debug });
}

function writeAllSync(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}
