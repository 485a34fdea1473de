// Code of the documentation, type-checked and run as a user would run it: in a project of its own, which knows this one by
// its import map alone, with a model and a file of texts beside it. What an example says it prints is compared.

const root = new URL("../", import.meta.url);

/** A piece of code from the documentation. */
export interface Example {
  /** Where it stands. */
  name: string;
  /** A module. */
  code: string;
}

/** The code between ```` ```ts ```` and ```` ``` ```` in a text. */
export function codeBlocks(text: string): string[] {
  return Array.from(text.matchAll(/^```ts\n([\s\S]*?)^```/gm), ([, code]) => code!);
}

/** Lines that an example says it prints: `console.log(…); // like this`. */
export function saidOutput(code: string): string[] {
  return Array.from(code.matchAll(/^\s*console\.log\(.*\);? \/\/ (.*)$/gm), ([, said]) => said!);
}

/** The entry of an import map for every door of this project. */
export async function doors(): Promise<Record<string, string>> {
  const { name, exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  return Object.fromEntries(
    Object.entries<string>(exports).map((
      [door, file],
    ) => [name + door.slice(1), new URL(file, root).href]),
  );
}

/** Type-checks and runs examples one after the other in one process, on one device. */
export async function runExamples(examples: readonly Example[]): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "slung-examples-" });
  try {
    const { compilerOptions } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
    const config = { imports: await doors(), compilerOptions };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(config));
    await Deno.writeTextFile(`${folder}/stories.jsonl`, stories);
    for (const [i, { code }] of examples.entries()) {
      await Deno.writeTextFile(`${folder}/example_${i}.ts`, `${code}\nexport {};\n`);
    }
    await Deno.writeTextFile(`${folder}/main.ts`, program(examples));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--check", "--quiet", "--no-lock", "--no-prompt", ...permissions, "main.ts"],
      cwd: folder,
      env: { NO_COLOR: "1", XDG_RUNTIME_DIR: "/tmp" },
    }).output();
    if (!success) throw new Error(named(new TextDecoder().decode(stderr), examples));
    const runs: Run[] = JSON.parse(new TextDecoder().decode(stdout));
    const faults = examples.flatMap(({ name, code }, i) => {
      const { printed, error } = runs[i]!, said = saidOutput(code);
      if (error !== undefined) return [`${name} failed: ${error}`];
      if (said.length === 0 || said.join("\n") === printed.join("\n")) return [];
      return [`${name} says that it prints ${said.join(", ")}, but prints ${printed.join(", ")}`];
    });
    if (faults.length > 0) throw new Error(faults.join("\n"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface Run {
  printed: string[];
  error?: string;
}

const permissions = ["--allow-read", "--allow-write"];

const stories = [
  {
    text: "The old mill was run by Mira Toveld until winter.",
    spans: [{ start: 24, end: 35, risk: "high" }],
  },
  { text: "The river froze, and the wheel stood still.", spans: [] },
].map((line) => JSON.stringify(line) + "\n").join("");

// Kernels are compiled once for all examples: each opens what it takes for a device of its own.
function program(examples: readonly Example[]): string {
  return `
import { Gpu, initialise, saveModel, smallOlmo, trainBytePair } from "@slung/slung";

const tokenizer = trainBytePair(["The old mill by the old mill race turned all winter."], 280);
const config = smallOlmo({ width: 16, layers: 1, heads: 2, vocabularySize: 320, contextLength: 96 });
await tokenizer.save?.("path/to/model");
await saveModel("path/to/model", config, initialise(config, 0), { special: tokenizer.special });

const gpu = await Gpu.open();
gpu[Symbol.dispose] = () => {};
Gpu.open = () => Promise.resolve(gpu);

const { log } = console;
const runs: { printed: string[]; error?: string }[] = [];
const run = async (example: () => Promise<unknown>) => {
  const printed: string[] = [];
  console.error = () => {};
  console.log = (...values) =>
    printed.push(values.map((value) => typeof value === "string" ? value : Deno.inspect(value)).join(" "));
  const error = await example().then(() => undefined, String);
  runs.push({ printed, ...(error !== undefined && { error }) });
};
${examples.map((_, i) => `await run(() => import("./example_${i}.ts"));`).join("\n")}
log(JSON.stringify(runs));
Deno.exit();
`;
}

function named(message: string, examples: readonly Example[]): string {
  return message.replace(/example_(\d+)\.ts/g, (file, i) => `${file} (${examples[i]!.name})`);
}
