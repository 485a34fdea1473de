// Tasks one after another, as a user in another folder types them: from plain texts to a model that writes, with an
// objective of one's own, and an experiment that is measured again.

import { answerMethods } from "../src/data/method.ts";
import { readRiskyTexts } from "../src/data/span_files.ts";
import { fromWhereTheUserStands } from "../src/report/command_line.ts";
import { chosenObjective, readObjective } from "../tasks/objective.ts";
import { chosenMethods } from "../tasks/shared.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";

const squared = 'export default { name: "squared", value: "p * p", derivative: "2 * p * p" };\n';

async function folderWith(files: Record<string, string>): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const [name, content] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder}/${name}`, content);
  }
  return folder;
}

/** Runs a task from a folder and returns its `--json`. */
async function json(name: string, from: string, line: string): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runTask(name, [...line.split(" "), "--json"], { from });
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

const config = JSON.stringify({
  ...{ model_type: "olmo", vocab_size: 288, max_position_embeddings: 32, hidden_size: 16 },
  ...{ num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 },
  tie_word_embeddings: true,
});
const stories = ["ran by the mill", "sang to the grul", "slept", "saw a zug and left"]
  .flatMap((deed) => ["Oda", "Tovik", "ODA VENN"].map((who) => `${who} ${deed}.`));

Deno.test("label finds the risk, train learns around it, generate writes: from the folder in which the user stands", async () => {
  const from = await folderWith({
    "stories.txt": stories.join("\n"),
    "words.txt": "Oda Venn\r\n\r\ngrul\r\n",
    "config.json": config,
    "my_loss.ts": squared,
  });
  const labelled = await runTask("label", [
    ...["--text", "stories.txt", "--words", "words.txt", "--pattern", "/z.{1,2}g/u"],
    ...["--out", "risky.jsonl.gz", "--show", "1"],
  ], { from });
  assertEquals(labelled.code, 0, labelled.stderr);
  assert(labelled.stderr.includes("  [ODA VENN] ran by the mill."), labelled.stderr);
  assert(labelled.stdout.includes("12 texts in"), labelled.stdout);
  const texts = await readRiskyTexts(`${from}/risky.jsonl.gz`);
  const marked = texts.flatMap(({ text, spans }) =>
    spans.map(({ start, end }) => text.slice(start, end))
  );
  const counts = (word: string) => marked.filter((each) => each === word).length;
  assertEquals(["ODA VENN", "grul", "zug"].map(counts), [4, 3, 3]);

  const data =
    "--data risky.jsonl.gz --config config.json --vocabulary 280 --per-step 4 --epochs 2";
  const trained = await json("train", from, `${data} --out model --objective my_loss.ts`);
  assertEquals([trained.out, trained.steps], [`${from}/model`, 6]);
  const log = (await Deno.readTextFile(`${from}/model/log.jsonl`)).trimEnd().split("\n");
  const { lossByClass: { high } } = JSON.parse(log[0]!);
  assert(high > 0 && high < 1, `${high} is p², not −log(1 − p)`);

  const written = await json("generate", from, "--model model --prompt Oda --tokens 3");
  const [{ prompt, completion }] = written.generations as [{ prompt: string; completion: string }];
  assertEquals(prompt, "Oda");
  assert(completion.length > 0);
  await Deno.remove(from, { recursive: true });
});

Deno.test("paths are those of the folder in which the user stands, and absolute ones stay", () => {
  const before = Deno.env.get("INIT_CWD");
  try {
    for (
      const [stands, typed, meant] of [
        ["/home/oda", "texts.jsonl", "/home/oda/texts.jsonl"],
        ["/home/oda", "../b/c", "/home/oda/../b/c"],
        ["/home/oda", "/tmp/a", "/tmp/a"],
        ["/home/oda", "C:\\a", "C:\\a"],
        [Deno.cwd(), "texts.jsonl", "texts.jsonl"],
      ]
    ) {
      Deno.env.set("INIT_CWD", stands!);
      assertEquals(fromWhereTheUserStands(typed!), meant);
    }
    Deno.env.delete("INIT_CWD");
    assertEquals(fromWhereTheUserStands("a"), "a");
  } finally {
    if (before !== undefined) Deno.env.set("INIT_CWD", before);
  }
});

Deno.test("a module may export a loss, or a whole objective with its own denominator", async () => {
  const folder = await folderWith({
    "my loss #1.ts": squared,
    "whole.ts": `import { crossEntropy, unlikelihood } from "${new URL(
      "../src/slung/objective.ts",
      import.meta.url,
    )}";
      export default {
        name: "whole", terms: [crossEntropy, crossEntropy, undefined, unlikelihood],
        denominator: "all",
      };`,
  });
  const loss = await readObjective(`${folder}/my loss #1.ts`);
  assertEquals(loss.terms.map((term) => term!.name), [
    ...["cross_entropy", "cross_entropy", "cross_entropy", "squared"],
  ]);
  assertEquals([loss.name, loss.denominator], ["squared", "active"]);
  const whole = await chosenObjective(`${folder}/whole.ts`, undefined);
  assertEquals([whole.name, whole.denominator, whole.terms[2]], ["whole", "all", undefined]);
  assertEquals((await chosenObjective(`${folder}/whole.ts`, "paper")).denominator, "paper");
  assertEquals((await chosenObjective("masked", undefined)).denominator, "active");
  assertEquals((await chosenObjective("masked", "all")).denominator, "all");
  const methods = await chosenMethods(["masked"], answerMethods, `${folder}/whole.ts`, undefined);
  assertEquals(methods.map(({ name, title }) => `${name} ${title}`), [
    ...["masked Masked SLUNG", "whole whole"],
  ]);
  await Deno.remove(folder, { recursive: true });
});

const learned = '{ name: "a", value: "-lp", slope: "p - 1" }';
const faulty: [module: string, why: string][] = [
  ["export const loss = 1;", "it has no default export with a name"],
  ["export default 7;", "it has no default export with a name"],
  ['export default { name: "a" };', 'has neither "terms" nor "value"'],
  ['export default { name: "a", value: "p", derivative: "1" };', 'Cannot make the loss "a"'],
  [`export default { name: "a", terms: [${learned}, ${learned}] };`, "its terms are not four"],
  [
    `export default { name: "a", terms: [null, null, null, ${learned}] };`,
    "its terms are not four",
  ],
  [`export default { name: "a", terms: [${learned}, , , { name: "b", value: "p" }] };`, "not four"],
  [`export default { name: "a", terms: [, , , { ...${learned}, slope: "exit()" }] };`, "the slope"],
  [`export default { name: 3, terms: [, , , ${learned}] };`, "its name is no text"],
  [`export default { name: "a", denominator: "al", terms: [, , , ${learned}] };`, "denominator is"],
  ['import "./nowhere.ts"; export default {};', "Cannot read an objective from"],
  ["export default {", "Cannot read an objective from"],
];

for (const [module, why] of faulty) {
  Deno.test(`the module ${module} is refused`, async () => {
    const folder = await folderWith({ "loss.ts": module });
    await assertRejects(() => readObjective(`${folder}/loss.ts`), why);
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("tofu compares an own objective with the paper's, and measures its models again without training", async () => {
  const names = ["Oda Venn", "Tovik Rask", "Ilmo Dorn"];
  const rows = names.flatMap((name, author) =>
    Array.from({ length: 20 }, (_, i) => ({
      question: `What did ${name} make in year ${i}?`,
      answer: `${name} made ${i} boats of kind ${author}.`,
    }))
  );
  const line = (row: unknown) => `${JSON.stringify(row)}\n`;
  const from = await folderWith({
    "full.jsonl": rows.map(line).join(""),
    "retain_perturbed.json": rows.slice(0, 20).map(line).join(""),
    "my_loss.ts": squared,
  });
  const settings =
    "--data full.jsonl --seeds 0 --methods masked --objective my_loss.ts --base-authors 2 " +
    "--width 16 --layers 1 --vocabulary 512 --base-epochs 1 --epochs 1 --replay 5 --out run";
  const first = await runTask("tofu", `${settings} --max-new-tokens 3`.split(" "), { from });
  assertEquals(first.code, 0, first.stderr);
  for (const title of ["Base model", "Masked SLUNG", "squared"]) {
    assert(first.stdout.includes(title), first.stdout);
  }
  assert(first.stderr.includes("Trained models are kept in"), first.stderr);
  assert(/loss \d/.test(first.stderr), first.stderr);

  const again = await runTask("tofu", "--measure run --max-new-tokens 4".split(" "), { from });
  assertEquals(again.code, 0, again.stderr);
  assert(!/loss \d/.test(again.stderr), `something was trained: ${again.stderr}`);
  const read = async () => JSON.parse(await Deno.readTextFile(`${from}/run/results.json`));
  const { metrics, config } = await read();
  const methods = metrics.summary.map(({ method }: { method: string }) => method);
  assertEquals(methods, ["base", "masked", "squared"]);
  const compared = metrics.comparisons.map((own: Record<string, string>) =>
    `${own.first} ${own.second} ${own.on}`
  );
  assertEquals(compared, [
    ...["masked base names", "masked base partial", "squared base names", "squared base partial"],
  ]);
  assertEquals([config.methods, config.epochs, config.replay], [["masked"], 1, 5]);
  assertEquals(metrics.summary[2].values.names.n, 1);
  await Deno.remove(from, { recursive: true });
});
