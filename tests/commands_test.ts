// The tasks as they are described: in deno.json, by their own --help, and in the texts for people.

import {
  type Command,
  execute,
  executeTarget,
  flagOf,
  type Targets,
} from "../src/report/command_line.ts";
import type { Options, Ranged } from "../src/report/options.ts";
import { learnedOptions, memoryOptions, speedOptions } from "../tasks/training_options.ts";
import { assert, assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);
const project: { tasks: Record<string, { description: string; command: string }> } = JSON.parse(
  await Deno.readTextFile(new URL("deno.json", root)),
);

// Those that read options of their own.
const commands = new Map<string, Command<Options>>();
const targets = new Map<string, Targets>();
for (const [name, { command }] of Object.entries(project.tasks)) {
  const file = command.match(/ (tasks\/(?!setup\b|lock\b)\w+\.ts)/)?.[1];
  if (!file) continue;
  const given: Command<Options> | Targets = (await import(new URL(file, root).href)).default;
  if (typeof given.run === "function") {
    commands.set(name, given as Command<Options>);
  } else {
    targets.set(name, given as Targets);
    for (const target of Object.values(given as Targets)) commands.set(target.name, target);
  }
}

/** Takes apart what follows `deno task`: the command, which may be two words, and its arguments. */
function split(task: string, args: readonly string[]): [name: string, args: readonly string[]] {
  return targets.has(task) ? [`${task} ${args[0]}`, args.slice(1)] : [task, args];
}

/** What `deno task NAME …` says before it begins, and how it ends, when the work itself is left out. */
async function call(name: string, args: readonly string[]): Promise<[code: number, said: string]> {
  let said = "";
  const hear = (text: string) => said += text;
  const command = { ...commands.get(name)!, run() {} };
  return [await execute(command, args, { out: hear, err: hear }), said];
}

/** The words of a line of shell: quoted ones whole, comments left out. */
function words(line: string): string[] {
  const found = line.replace(/ +#.*$/, "").match(/(?:"[^"]*"|'[^']*'|\S)+/g) ?? [];
  return found.map((word) => word.replace(/["']/g, ""));
}

Deno.test("every task has a description of one line, and a command of its name", () => {
  assertEquals(commands.size, 28);
  for (const [name, { description }] of Object.entries(project.tasks)) {
    assert(description.length > 10 && description.length <= 80, `${name}: ${description}`);
    assert(!description.endsWith("."), `${name}: ${description}`);
  }
  for (const [name, command] of commands) {
    assertEquals(name.replace(":transformers", ""), command.name);
  }
});

Deno.test("the help of every task ends with two examples, whose options exist and parse", async () => {
  for (const [name, { name: shownName, examples = [] }] of commands) {
    assert(examples.length >= 2, `${name} has ${examples.length} examples`);
    const [code, help] = await call(name, ["--help"]);
    assertEquals(code, 0);
    const shown = help.trimEnd().split("\n").slice(-examples.length - 1);
    const lines = examples.map((args) => `  deno task ${shownName} ${args}`.trimEnd());
    assertEquals(shown, ["Examples:", ...lines]);
    for (const example of examples) assertEquals(await call(name, words(example)), [0, ""]);
  }
});

Deno.test("an option of training is the same in every task that trains, but for what it is if left out", () => {
  const tables: [tasks: string[], table: Options][] = [
    [["train", "pretrain", "demo", "tofu", "toxicity"], { ...memoryOptions, ...speedOptions }],
    [["train", "demo", "tofu", "toxicity"], learnedOptions],
    [["train", "notes"], speedOptions],
  ];
  const alike = (option: Options[string] | undefined, name: string) => {
    const { default: _, ...rest } = { ...option } as Options[string] & { default?: unknown };
    return name === "learningRate" ? { ...rest, help: "" } : rest; // toxicity's says what protocols have
  };
  for (const [names, table] of tables) {
    for (const [name, option] of Object.entries(table)) {
      for (const task of names) {
        const own = commands.get(task)!.options[name];
        assertEquals(alike(own, name), alike(option, name), `${task} --${name}`);
      }
    }
  }
});

Deno.test("every command in the texts for people exists, with options that parse", async () => {
  let found = 0;
  for (const file of ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/corpora.md"]) {
    const text = (await Deno.readTextFile(new URL(file, root))).replaceAll("\\\n", " ");
    for (const block of text.matchAll(/^```sh\n([\s\S]*?)^```/gm)) {
      for (const line of block[1]!.split("\n")) {
        const [, name, rest] = line.match(/\bdeno(?:@\S+)? task (\S+)(.*)$/) ?? [];
        if (name === undefined) continue;
        found++;
        assert(name in project.tasks, `${file}: there is no task ${name}`);
        const [command, args] = split(name, words(rest!));
        if (!commands.has(command)) {
          assert(!targets.has(name), `${file}: there is no ${command}`);
          continue;
        }
        const [code, said] = await call(command, args);
        assertEquals(code, 0, `${file}: ${line.trim()}: ${said}`);
      }
    }
  }
  assert(found > 10, `${found} commands found`);
});

// Texts that a careless script, or somebody else's habit of writing numbers, puts behind an option.
const oddNumbers = [
  ...["NaN", "Infinity", "-Infinity", "-1", "0", "0.5", "1e99", "", " ", "0x10", "0b11", "0o7"],
  ...["1_000", "1e3", "1e39", "-0", "+5", "5 ", ".5", "5.", "5,", "\u0661", "4294967296"],
  ...["9007199254740993", "1e-99", "five", "5px", "null", "true"],
];

Deno.test("every number of every task is refused with a reason, or is the decimal that was written, within limits", async () => {
  let tried = 0;
  for (const [name, command] of commands) {
    const needed = Object.entries(command.options).flatMap(([option, { type, ...rest }]) =>
      type !== "flag" && "required" in rest && rest.required ? [flagOf(option), "x"] : []
    );
    for (const [option, described] of Object.entries(command.options)) {
      const isList = described.type === "list";
      const type = isList ? described.of : described.type;
      if (type !== "integer" && type !== "number") continue;
      const { min = -Infinity, max = type === "integer" ? 2 ** 31 - 1 : 1e30 } =
        described as Ranged;
      for (const text of oddNumbers) {
        tried++;
        let said = "";
        let value: unknown;
        const hear = (text: string) => said += text;
        const code = await execute(
          { ...command, run: (values) => void (value = values[option]) },
          [...needed, `${flagOf(option)}=${text}`],
          { out: hear, err: hear },
        );
        const what = `${name} ${flagOf(option)}=${text}: ${said || value}`;
        if (code !== 0) {
          assertEquals(code, 2, what);
          assert(said.startsWith(`Cannot run ${command.name}: ${flagOf(option)} `), what);
          continue;
        }
        const [number] = [value].flat() as number[];
        assert(/^[+-]?[\d.]+(e-?\d+)?$/.test(text) && Object.is(number, Number(text) + 0), what);
        assert(number! >= min && number! <= max && Number.isFinite(Math.fround(number!)), what);
        assert(type === "number" || Number.isSafeInteger(number), what);
      }
    }
  }
  assert(tried > 2500, `${tried} tried`);
});

Deno.test("a misspelt option and a missing one would be found", async () => {
  assertEquals(words(`--prompt "a b" --words x.txt   # two words`), [
    "--prompt",
    "a b",
    "--words",
    "x.txt",
  ]);
  assertEquals((await call("train", words("--data a --out b --epoch 2")))[0], 2);
  assertEquals((await call("train", words("--data a")))[0], 2);
});

Deno.test("a task of several commands runs the one that is named, lists them, and says which is meant", async () => {
  const run = async (...args: string[]): Promise<[code: number, out: string, err: string]> => {
    let out = "", err = "";
    const streams = { out: (text: string) => out += text, err: (text: string) => err += text };
    const code = await executeTarget("export", targets.get("export")!, args, streams);
    return [code, out, err];
  };
  const [code, help] = await run("olmo", "--help");
  assertEquals(code, 0);
  assert(help.startsWith("Usage: deno task export olmo [options]"), help);
  const [listed, list] = await run("--help");
  assertEquals(listed, 0);
  for (const name of Object.keys(targets.get("export")!)) {
    assert(list.includes(`deno task export ${name} --help`), list);
  }
  assertEquals(await run("olmi"), [
    ...[2, "", 'Cannot run export: there is no export "olmi". Perhaps you meant export olmo.\n'],
  ]);
  assertEquals((await run("zzzzzzzz"))[0], 2);
  assertEquals((await run())[2].split(".")[0], "Cannot run export: nothing says what");
});
