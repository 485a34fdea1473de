// Stands in for @std/cli/parse-args where JSR is out of reach: the documented behaviour of parseArgs
// for the four options that the command line passes (string, boolean, collect, unknown), with the
// habits in which it differs from node:util: `--flag true` is one option, `--flag=text` is true,
// `--name=` is an option named "name=", and no value may start with a dash.

interface ParseOptions {
  string: string[];
  boolean: string[];
  collect: string[];
  unknown: (arg: string, key?: string, value?: unknown) => unknown;
}

/** Splits arguments as @std/cli does. */
export function parseArgs(
  args: string[],
  options: ParseOptions,
): { [name: string]: unknown; _: (string | number)[] } {
  const { string, boolean, collect, unknown } = options;
  const parsed: { [name: string]: unknown; _: (string | number)[] } = { _: [] };
  for (const key of collect) parsed[key] = [];

  const set = (key: string, value: string | boolean, arg: string) => {
    if (!string.includes(key) && !boolean.includes(key) && unknown(arg, key, value) === false) {
      return;
    }
    if (collect.includes(key)) (parsed[key] as unknown[]).push(value);
    else parsed[key] = value;
  };

  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  const after = end < 0 ? [] : args.slice(end + 1);

  for (let i = 0; i < before.length; i++) {
    const arg = before[i]!;
    const next = before[i + 1];
    const [, dashes, key, value] = /^(--?)(.+?)(?:=(.+))?$/s.exec(arg) ?? [];
    if (dashes === undefined || key === undefined) {
      if (unknown(arg) !== false) parsed._.push(arg);
    } else if (dashes === "-") {
      for (const letter of key) set(letter, true, arg);
    } else if (value !== undefined) {
      set(key, boolean.includes(key) ? value !== "false" : value, arg);
    } else if (next && !next.startsWith("-") && !boolean.includes(key)) {
      i++;
      set(key, next, arg);
    } else if (next === "true" || next === "false") {
      i++;
      set(key, next === "true", arg);
    } else {
      set(key, string.includes(key) ? "" : true, arg);
    }
  }
  parsed._.push(...after);
  return parsed;
}
