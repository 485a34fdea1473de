// The tasks as they are described: in deno.json, by their own --help, and in the texts for people.

import { type Command, execute } from "../src/report/command_line.ts";
import type { Options } from "../src/report/options.ts";
import { assert, assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);
const project: { tasks: Record<string, { description: string; command: string }> } = JSON.parse(
  await Deno.readTextFile(new URL("deno.json", root)),
);

// Those that read options of their own.
const commands = new Map<string, Command<Options>>();
for (const [name, { command }] of Object.entries(project.tasks)) {
  const file = command.match(/ (tasks\/(?!setup\b|lock\b)\w+\.ts)/)?.[1];
  if (file) commands.set(name, (await import(new URL(file, root).href)).default);
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
  assertEquals(commands.size, 14);
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
        if (!commands.has(name)) continue;
        const [code, said] = await call(name, words(rest!));
        assertEquals(code, 0, `${file}: ${line.trim()}: ${said}`);
      }
    }
  }
  assert(found > 10, `${found} commands found`);
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
