// Control characters in texts, prompts and what a model writes: shown on a terminal, raw in files and pipes.

import { type Command, execute } from "../src/report/command_line.ts";
import { printable, printableLines } from "../src/report/printable.ts";
import { CannotError } from "../src/base/errors.ts";
import type { Options } from "../src/report/options.ts";
import { assertEquals } from "./assert.ts";

const title = "\x1b]0;owned\x07"; // sets the title of a terminal
const hidden = "\x1b[8mhidden\x1b[0m", reversed = "\u202e", old = "\x9b2J"; // one byte for ESC [ in some

Deno.test("on one line, line ends become a sign and every control character its code", () => {
  assertEquals(printable("a\r\nb\nc\td"), "a⏎b⏎c d");
  assertEquals(printable(title + reversed + old), "\\x1b]0;owned\\x07\\u202e\\x9b2J");
  assertEquals(printable("שלום 👩‍👩‍👧 e\u0301"), "שלום 👩‍👩‍👧 e\u0301");
});

Deno.test("in several lines, line ends and tabs stay, and a return alone does not", () => {
  assertEquals(printableLines(`a\r\nb\tc\n${title}`), "a\r\nb\tc\n\\x1b]0;owned\\x07");
  assertEquals(printableLines("all is well\rrm -rf"), "all is well\\x0drm -rf");
  assertEquals(printableLines(hidden), "\\x1b[8mhidden\\x1b[0m");
  assertEquals(printableLines(hidden + title, { colours: true }), `${hidden}\\x1b]0;owned\\x07`);
});

Deno.test("a command prints raw into files and pipes, and shows escapes on terminals and in errors", async () => {
  const command: Command<Options> = {
    name: "echo",
    summary: "Echoes.",
    options: {},
    run(_, terminal) {
      terminal.print(title);
      terminal.note(old);
      throw new CannotError("go on", `it says ${hidden}`, "Stop");
    },
  };
  const said = async (terminals?: { out: boolean; err: boolean }, ...args: string[]) => {
    let out = "", err = "";
    await execute(command, args, {
      out: (text) => out += text,
      err: (text) => err += text,
      ...(terminals && { terminals }),
    });
    return [out, err];
  };
  const shown = "\\x1b]0;owned\\x07\n";
  const errors = "\\x9b2J\nCannot go on: it says \\x1b[8mhidden\\x1b[0m. Stop.\n";
  assertEquals(await said(), [`${title}\n`, errors]);
  assertEquals(await said({ out: true, err: false }), [shown, errors]);
  assertEquals(await said({ out: false, err: true }, "--json"), ["", shown + errors]);
  assertEquals(await said({ out: true, err: false }, "--json"), ["", `${title}\n${errors}`]);
});
