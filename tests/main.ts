// deno task test: all tests, in two processes that take groups of files in turn, since a process in which several workers
// open adapters at once (`deno test --parallel`) crashes. Where files or options are named, one process that is given them. Types are checked once.

import { stripVTControlCharacters } from "node:util";

const [flags, given] = parted(Deno.args);
const locked = flags.filter((flag) => /^--(lock=|frozen)/.test(flag));

if (given.length > 0) {
  const { code } = await test(given, "inherit").status;
  Deno.exit(code);
}

const processes = 2, groups = 16;
const began = performance.now();
const types = await new Deno.Command("deno", { args: ["check", "--quiet", ...locked, "tests"] })
  .spawn().status;
if (!types.success) Deno.exit(1);
const files = (await Array.fromAsync(Deno.readDir(import.meta.dirname!), ({ name }) => name))
  .filter((name) => name.endsWith("_test.ts")).sort().map((name) => `tests/${name}`);
const waiting = Array.from(
  { length: groups },
  (_, k) => files.filter((_, i) => i % groups === k), // neighbours take alike long
).filter((group) => group.length > 0);
const counts = { passed: 0, failed: 0, ignored: 0 };
const broken: string[][] = [];
await Promise.all(Array.from({ length: processes }, async () => {
  for (let group = waiting.shift(); group; group = waiting.shift()) await run(group);
}));

const { passed, failed, ignored } = counts;
const seconds = Math.round((performance.now() - began) / 1000);
const time = `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
for (const group of broken) console.error(`\nFailed among ${group.join(" ")}`);
console.log(`\n${passed} passed, ${failed} failed, ${ignored} ignored in ${time}`);
Deno.exit(broken.length === 0 ? 0 : 1);

/** What `deno test` is always given, and behind the first `--` what the user gives it. */
function parted(args: readonly string[]): [string[], string[]] {
  const end = args.indexOf("--");
  return [args.slice(0, end), args.slice(end + 1)];
}

function test(args: readonly string[], output: "inherit" | "piped"): Deno.ChildProcess {
  const command = new Deno.Command("deno", {
    args: ["test", "--quiet", ...flags, ...args],
    ...{ stdout: output, stderr: output },
  });
  return command.spawn();
}

/** Runs a group; once more where the process fails although its tests have passed: it crashed while it ended. */
async function run(group: string[], again = false): Promise<void> {
  const { success, stdout, stderr } = await test(["--no-check", ...group], "piped").output();
  const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  console.log(text.trimEnd());
  const summary = stripVTControlCharacters(text).match(/^(?:ok|FAILED) \| .*$/gm)?.at(-1);
  if (!success && summary?.startsWith("ok |") && !again) {
    console.error(`\nThe process crashed behind its last test and runs again: ${group.join(" ")}`);
    return await run(group, true);
  }
  for (const kind of ["passed", "failed", "ignored"] as const) {
    counts[kind] += Number(summary?.match(new RegExp(`(\\d+) ${kind}`))?.[1] ?? 0);
  }
  if (!success || summary === undefined) broken.push(group);
}
