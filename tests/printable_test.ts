// Control characters in texts, prompts and what a model writes: shown by whatever a task prints, raw in files and --json.

import { type Command, execute } from "../src/report/command_line.ts";
import { colours, printable, printableLines, printableMessage } from "../src/report/printable.ts";
import { CannotError } from "../src/base/errors.ts";
import type { Options } from "../src/report/options.ts";
import { assertEquals } from "./assert.ts";

const title = "\x1b]0;owned\x07"; // sets the title of a terminal
const hidden = "\x1b[8mhidden\x1b[28m", reversed = "\u202e", old = "\x9b2J"; // one byte for ESC [ in some

Deno.test("on one line, line ends become a sign and every control character its code", () => {
  assertEquals(printable("a\r\nb\nc\td"), "a⏎b⏎c d");
  assertEquals(printable(title + reversed + old), "\\x1b]0;owned\\x07\\u202e\\x9b2J");
  assertEquals(printable("שלום 👩‍👩‍👧 e\u0301"), "שלום 👩‍👩‍👧 e\u0301");
});

Deno.test("in several lines, line ends and tabs stay, and a return alone does not", () => {
  assertEquals(printableLines(`a\r\nb\tc\n${title}`), "a\nb\tc\n\\x1b]0;owned\\x07");
  assertEquals(printableLines("all is well\rrm -rf"), "all is well\\x0drm -rf");
  assertEquals(printableLines(hidden), "\\x1b[8mhidden\\x1b[28m");
  const ours = `${colours.high}risky${colours.end}`;
  assertEquals(printableLines(ours + title), `${ours}\\x1b]0;owned\\x07`);
});

Deno.test("a message that quotes what has any length is cut", () => {
  assertEquals(printableMessage("a".repeat(5000)), `${"a".repeat(4000)}…`);
});

Deno.test("a command shows escapes in all that it prints, and gives its result raw", async () => {
  const command: Command<Options> = {
    name: "echo",
    summary: "Echoes.",
    options: {},
    run(_, terminal) {
      terminal.print(title);
      terminal.note(old);
      if (terminal.json) return Promise.resolve({ title });
      throw new CannotError("go on", `it says ${hidden}`, "Stop");
    },
  };
  const said = async (...args: string[]) => {
    let out = "", err = "";
    await execute(command, args, { out: (text) => out += text, err: (text) => err += text });
    return [out, err];
  };
  const shown = "\\x1b]0;owned\\x07\n", note = "\\x9b2J\n";
  const error = "Cannot go on: it says \\x1b[8mhidden\\x1b[28m. Stop.\n";
  assertEquals(await said(), [shown, note + error]);
  const [result, told] = await said("--json");
  assertEquals(JSON.parse(result!), { title });
  assertEquals(told, shown + note);
});
