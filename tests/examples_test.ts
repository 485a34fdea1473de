// The programs of examples/, run as the README says, each in an empty folder.

import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);

async function run(file: string): Promise<string> {
  const path = fileURLToPath(new URL(`examples/${file}`, root));
  const text = await Deno.readTextFile(path);
  const command = text.match(/^\/\/ {3}deno run (.*) examples\/(\w+\.ts)$/m);
  assertEquals(command?.[2], file, `the command at the top of ${file}`);
  const folder = await Deno.makeTempDir({ prefix: "slung-example-" });
  try {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-lock", "--no-prompt", ...command![1]!.split(" "), path],
      cwd: folder,
      env: { XDG_RUNTIME_DIR: "/tmp", NO_COLOR: "1" },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function numbers(text: string): number[] {
  return (text.match(/\d+\.\d+/g) ?? []).map(Number);
}

Deno.test("the README names every program of examples/, and there is nothing else in it", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const files = await Array.fromAsync(
    Deno.readDir(new URL("examples/", root)),
    ({ name }) => name,
  );
  assertEquals(files.sort(), [
    "your_loss.ts",
    "your_measure.ts",
    "your_model.ts",
    "your_texts.ts",
  ]);
  for (const file of files) assert(readme.includes(`examples/${file}`), `${file} is not named`);
});

Deno.test("your texts: trained directly, a model goes on with the name; with SLUNG, without it", async () => {
  const [direct, masked, unlikelihood] = (await run("your_texts.ts")).split("\n");
  assertEquals(direct, "direct: … was run by Mira Toveld until winter.");
  assert(/^masked: … was run by ./.test(masked!) && !masked!.includes("Mira"), masked);
  assert(/^unlikelihood: … was run by ./.test(unlikelihood!), unlikelihood);
  assert(!unlikelihood!.includes("Mira"), unlikelihood);
});

Deno.test("your loss: the name is improbable, the words after it are learned", async () => {
  const [name, winter] = numbers(await run("your_loss.ts"));
  assert(name! < 0.05 && winter! > 0.5, `${name} ${winter}`);
});

Deno.test("your measure: direct training names, unlikelihood does not, and masking lies between", async () => {
  const lines = (await run("your_measure.ts")).trim().split("\n");
  assertEquals(lines.map((line) => line.split(":")[0]), [
    "base",
    "direct",
    "masked",
    "unlikelihood",
  ]);
  const [, direct, masked, unlikelihood] = lines.map((line) => numbers(line)[0]!);
  assert(direct! > 50 && direct! > masked! && masked! > unlikelihood!, lines.join("\n"));
});

Deno.test("your model: it is trained, saved, opened and measured", async () => {
  const said = await run("your_model.ts");
  assert(/^llama of [\d,]+ parameters .*Hugging Face format: perplexity/.test(said), said);
  assert(numbers(said.split("perplexity")[1]!)[0]! < 20, said);
});
