// Arguments, the values that come of them, and the messages.

import { assert, assertEquals } from "./assert.ts";
import {
  checkArguments,
  type Command,
  execute,
  helpText,
  splitArguments,
} from "../src/report/command_line.ts";
import type { Options } from "../src/report/options.ts";

const options = {
  steps: { type: "integer", default: 200, min: 1, max: 1000, help: "Optimiser steps" },
  learningRate: { type: "number", help: "Peak learning rate" },
  method: { type: "string", choices: ["full", "masked"], default: "masked", help: "The loss" },
  out: { type: "string", placeholder: "folder", help: "Where results go" },
  seeds: { type: "list", of: "integer", distinct: true, default: [1], help: "Seeds" },
  names: { type: "list", help: "Names" },
  resume: { type: "flag", help: "Continue" },
} as const satisfies Options;

const defaults = {
  steps: 200,
  learningRate: undefined,
  method: "masked",
  out: undefined,
  seeds: [1],
  names: [],
  resume: false,
};

const accepted: [string[], Partial<Record<keyof typeof options, unknown>>][] = [
  [[], {}],
  [["--steps", "5"], { steps: 5 }],
  [["--steps=5", "--steps", "7"], { steps: 7 }],
  [["--learning-rate=-1e-3"], { learningRate: -0.001 }],
  [["--resume", "--method", "full"], { resume: true, method: "full" }],
  [["--out", "a=b"], { out: "a=b" }],
  [["--out=a=b"], { out: "a=b" }],
  [["--out", "007"], { out: "007" }],
  [["--out", "true"], { out: "true" }],
  [["--seeds", "1,2", "--seeds=3"], { seeds: [1, 2, 3] }],
  [["--names", "ab", "--names", "cd", "--resume"], { names: ["ab", "cd"], resume: true }],
];

const refused: [string[], string][] = [
  [["--stpes", "5"], "there is no option --stpes. Perhaps you meant --steps"],
  [["--stpes=5"], "there is no option --stpes. Perhaps you meant --steps"],
  [["--learningRate", "1"], "there is no option --learningRate. Perhaps you meant --learning-rate"],
  [["--seeds", "1,0", "--seeds", "1"], "--seeds has 1 twice. Give each once"],
  [["--seeds", "0,0"], "--seeds has 0 twice"],
  [["--zebra"], "there is no option --zebra. --help lists all options."],
  [["-xyz"], "there is no option -xyz."],
  [["--no-resume"], "there is no option --no-resume. Perhaps you meant --resume"],
  [["--constructor"], "there is no option --constructor"],
  [["--steps"], "--steps has no value. Write --steps <integer>"],
  [["--steps="], "--steps has no value"],
  [["--out", ""], "--out has no value. Write --out <folder>"],
  [["--steps", "--resume"], "--steps has no value"],
  [["--steps", "-5"], "--steps has no value. Write --steps <integer>, or --steps=-1"],
  [["--steps", "--steps", "5"], "--steps has no value"],
  [["--steps", "five"], '--steps must be a number, not "five"'],
  [["--steps=5.5"], '--steps must be a whole number, not "5.5"'],
  [["--steps=0"], "--steps must be at least 1, not 0"],
  [["--steps=1001"], "--steps must be at most 1000, not 1001"],
  [["--learning-rate=Infinity"], '--learning-rate must be a number, not "Infinity"'],
  [["--seeds=1,,2"], '--seeds must be a number, not ""'],
  [["--method", "mask"], '--method cannot be "mask". Choose one of full, masked, perhaps masked.'],
  [["--resume=false"], '--resume takes no value, but "false" was given'],
  [["--resume=maybe"], '--resume takes no value, but "maybe" was given'],
  [["--resume", "true"], 'the argument "true" belongs to no option'],
  [["folder"], 'the argument "folder" belongs to no option'],
  [["--", "--steps"], 'the argument "--steps" belongs to no option'],
  [["-"], 'the argument "-" belongs to no option'],
];

Deno.test("every accepted spelling is read to the same values", () => {
  for (const [args, expected] of accepted) {
    const values = checkArguments("probe", options, splitArguments(args, options));
    assertEquals<unknown>(values, { ...defaults, ...expected }, args.join(" "));
  }
});

Deno.test("every mistake is refused with its message", () => {
  for (const [args, part] of refused) {
    let message = "accepted";
    try {
      checkArguments("probe", options, splitArguments(args, options));
    } catch (error) {
      message = (error as Error).message;
    }
    assert(
      message.startsWith("Cannot run probe: ") && message.includes(part),
      `${args.join(" ")}: ${message}`,
    );
  }
});

Deno.test("a required option must be given", async () => {
  const { code, err } = await call({ name: { type: "string", required: true, help: "" } }, []);
  assertEquals(code, 2);
  assertEquals(err, "Cannot run probe: --name is required. Add --name <text>.\n");
});

Deno.test("the types of the options follow from the table", async () => {
  await execute(
    {
      name: "types",
      summary: "",
      options,
      run(values) {
        // These lines are checked by the compiler; a wrong inference does not build.
        const steps: number = values.steps;
        const learningRate: number | undefined = values.learningRate;
        const method: "full" | "masked" = values.method;
        const seeds: number[] = values.seeds;
        const names: string[] = values.names;
        const resume: boolean = values.resume;
        // @ts-expect-error it may be undefined
        const out: string = values.out;
        assertEquals([steps, learningRate, method, seeds, names, resume, out], [
          ...[200, undefined, "masked", [1], [], false, undefined],
        ]);
      },
    },
    [],
    { out() {}, err: (text) => assertEquals(text, "") },
  );
});

Deno.test("help is aligned and lists choices, limits and defaults", () => {
  const text = helpText({ name: "probe", summary: "Counts.", options, run() {} });
  const lines = text.split("\n");
  assertEquals(lines[0], "Usage: deno task probe [options]");
  const starts = lines.filter((line) => /^ {2}-/.test(line)).map((line) =>
    line.search(/(Optimiser|Peak|The loss|Where|Seeds|Names|Continue|Print)\b/)
  );
  assertEquals(starts.length, 9);
  assert(new Set(starts).size === 1 && starts[0]! > 0, "one column of help");
  assert(text.includes("Optimiser steps (at least 1; at most 1000; default 200)"));
  assert(text.includes("--method <text>"));
  assert(text.includes("The loss (one of full, masked; default masked)"));
  assert(text.includes("--out <folder>"));
  assert(text.includes("-h, --help"));
});

Deno.test("help is printed for -h and --help, whatever else is wrong", async () => {
  for (const args of [["-h"], ["--help"], ["--steps", "five", "--help"]]) {
    const { code, out, err } = await call(options, args);
    assertEquals([code, err], [0, ""]);
    assert(out.startsWith("Usage: deno task probe"));
  }
});

Deno.test("without --json a command prints its own rendering", async () => {
  const { code, out, err } = await child(["--to", "4"]);
  assertEquals([code, out, err], [0, "a library that prints\ncounted to 4\n", ""]);
});

Deno.test("with --json standard output is one JSON object and the rest is standard error", async () => {
  const { code, out, err } = await child(["--to", "4", "--json"]);
  assertEquals(code, 0);
  assertEquals(JSON.parse(out).to, 4);
  assertEquals(err, "a library that prints\ncounted to 4\n");
});

Deno.test("errors keep standard output empty: 1 for a failure, 2 for wrong arguments", async () => {
  for (const json of [[], ["--json"]]) {
    assertEquals(await child(["--fail", "cannot", ...json]), {
      code: 1,
      out: "",
      err: "Cannot count: the numbers ran out. Bring more.\n",
    });
    const bug = await child(["--fail=bug", ...json]);
    assertEquals([bug.code, bug.out], [1, ""]);
    assert(bug.err.startsWith("TypeError: a bug") && bug.err.includes("command.ts:"), bug.err);
    const wrong = await child(["--to", "0", ...json]);
    assertEquals([wrong.code, wrong.out], [2, ""]);
    assertEquals(wrong.err, "Cannot run count: --to must be at least 1, not 0. Raise it.\n");
  }
});

async function call(options: Options, args: string[]) {
  let out = "", err = "";
  const command: Command<Options> = { name: "probe", summary: "Counts.", options, run() {} };
  const code = await execute(command, args, {
    out: (text) => out += text,
    err: (text) => err += text,
  });
  return { code, out, err };
}

/** Runs the stand-in command without any permission. */
async function child(args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("deno", { // by name, as --allow-run=deno grants it
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-config", "--no-lock"],
      new URL("stand_in/command.ts", import.meta.url).href,
      ...args,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}
