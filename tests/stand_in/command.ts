// A command in a process of its own: how the tests see exit codes and streams.

import { CannotError } from "../../src/base/errors.ts";
import { runCommand } from "../../src/report/command_line.ts";

await runCommand({
  name: "count",
  summary: "Counts to a number.",
  options: {
    to: { type: "integer", default: 3, min: 1, help: "Where to stop" },
    fail: { type: "string", choices: ["cannot", "bug"], help: "How to fail" },
  },
  run({ to, fail }, terminal) {
    if (fail === "cannot") throw new CannotError("count", "the numbers ran out", "Bring more");
    if (fail === "bug") throw new TypeError("a bug");
    console.log("a library that prints");
    terminal.print(`counted to ${to}`);
    return { to };
  },
});
