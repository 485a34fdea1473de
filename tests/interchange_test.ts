// What goes to other programs of evaluation, held to what their sources read and write: lm-evaluation-harness 0.4
// (loggers/evaluation_tracker.py, utils.py) and open-unlearning (src/evals/base.py, metrics/utils.py).

import {
  lmEvaluationFiles,
  openUnlearningFiles,
  textsByModel,
  type WrittenText,
} from "../src/eval/interchange.ts";
import { rouge1Recall } from "../src/eval/rouge.ts";
import { assert, assertClose, assertEquals } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";

const texts: WrittenText[] = [
  {
    ...{ method: "base", seed: null, prompt: "Who?", text: "Oda", gold: "Oda Venn" },
    named: true,
    recall: null,
  },
  {
    ...{ method: "masked", seed: 0, prompt: "Who?", text: "the miller", gold: "Oda Venn" },
    named: false,
    recall: 0.5,
  },
  {
    ...{ method: "masked", seed: 0, prompt: "Où?", text: "by the\nmill", gold: "by the\nmill" },
    named: true,
    recall: null,
  },
];
const date = new Date("2026-01-02T03:04:05.678Z");

async function sha256(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))
    .toHex();
}

Deno.test("results are taken apart by method and seed, in their order", () => {
  const found = textsByModel([...texts, { ...texts[1]!, amount: 0.5, method: "../up" }]);
  assertEquals(found.map(({ model, texts }) => [model, texts.length]), [
    ["base", 1],
    ["masked-seed0", 2],
    [".._up-amount0.5-seed0", 1],
  ]);
});

Deno.test("samples and results have the names, fields and hashes of lm-evaluation-harness", async () => {
  const model = textsByModel(texts)[1]!;
  const files = lmEvaluationFiles(model, { task: "my_task", date });
  const stamp = "2026-01-02T03-04-05.678";
  const [resultsFile, samplesFile] = [
    `masked-seed0/results_${stamp}.json`,
    `masked-seed0/samples_my_task_${stamp}.jsonl`,
  ];
  assertEquals(Object.keys(files), [resultsFile, samplesFile]);
  // As get_file_task_name and get_file_datetime read a name.
  const name = samplesFile.split("/")[1]!;
  assertEquals(name.slice(name.indexOf("_") + 1, name.lastIndexOf("_")), "my_task");
  assertEquals(name.slice(name.lastIndexOf("_") + 1).replace(".jsonl", ""), stamp);

  const samples = files[samplesFile]!.trimEnd().split("\n").map((line) => JSON.parse(line));
  const doc = { prompt: "Où?", target: "by the\nmill" };
  assertEquals(samples[1], {
    ...{ doc_id: 1, doc, target: "by the\nmill", filter: "none" },
    arguments: { gen_args_0: { arg_0: "Où?", arg_1: {} } },
    resps: [["by the\nmill"]],
    filtered_resps: ["by the\nmill"],
    metrics: ["exact_match", "rougeL", "named"],
    // json.dumps(doc, indent=2, ensure_ascii=False)
    doc_hash: await sha256('{\n  "prompt": "Où?",\n  "target": "by the\\nmill"\n}'),
    prompt_hash: await sha256("Où?"),
    target_hash: await sha256("by the\nmill"),
    ...{ exact_match: 1, rougeL: 1, named: 1 },
  });
  const report = JSON.parse(files[resultsFile]!);
  const own = report.results.my_task;
  assertEquals([own["exact_match,none"], own["named,none"], own["recall,none"]], [0.5, 0.5, 0.5]);
  assertClose(own["named_stderr,none"], 0.5, 1e-12);
  assertEquals(own["recall_stderr,none"], 0);
  assertEquals(report["n-samples"].my_task, { original: 2, effective: 2 });
  const hashes = samples.map((s) => s.doc_hash + s.prompt_hash + s.target_hash).join("");
  assertEquals(report.task_hashes.my_task, await sha256(hashes));
  // What make_table needs.
  for (const field of ["results", "versions", "n-shot"]) assert("my_task" in report[field], field);
});

Deno.test("values by index, aggregates and the summary are open-unlearning's", () => {
  const files = openUnlearningFiles(textsByModel(texts)[1]!, { split: "retain" });
  const logs = JSON.parse(files["masked-seed0/TOFU_EVAL.json"]!);
  assertEquals(Object.keys(logs), ["named", "recall", "retain_Q_A_ROUGE"]);
  assertEquals(logs.retain_Q_A_ROUGE, {
    agg_value: 0.5,
    value_by_index: {
      0: {
        ...{ rouge1_recall: 0, rougeL_f1: 0, rougeL_recall: 0 },
        ...{ input: "Who?", ground_truth: "Oda Venn", generation: "the miller" },
      },
      1: {
        ...{ rouge1_recall: 1, rougeL_f1: 1, rougeL_recall: 1 },
        ...{ input: "Où?", ground_truth: "by the\nmill", generation: "by the\nmill" },
      },
    },
  });
  assertEquals(logs.recall, { agg_value: 0.5, value_by_index: { 0: { score: 0.5 } } });
  const summary = JSON.parse(files["masked-seed0/TOFU_SUMMARY.json"]!);
  assertEquals(summary, { named: 0.5, recall: 0.5, retain_Q_A_ROUGE: 0.5 });
});

Deno.test("texts without an answer of reference have no ROUGE, and ROUGE-1 counts words as often as they are in both", () => {
  const bare = { model: "m", texts: [{ prompt: "a", text: "b", toxicity: 0.25 }] };
  const logs = JSON.parse(openUnlearningFiles(bare, { split: "forget" })["m/TOFU_EVAL.json"]!);
  assertEquals(logs, { toxicity: { agg_value: 0.25, value_by_index: { 0: { score: 0.25 } } } });
  assertEquals(rouge1Recall("the mill", "The mill, the mill."), 0.5);
  assertEquals(rouge1Recall("mill the the the", "the mill"), 1);
  assertEquals([rouge1Recall("", "a"), rouge1Recall("a", "")], [0, 0]);
});

Deno.test("the task writes a folder for each program and model, once", async () => {
  const folder = await Deno.makeTempDir();
  const results = {
    ...{ config: {}, seeds: {}, adapter: null, commandLine: [], metrics: {}, timing: {} },
    versions: { deno: "", v8: "", project: "" },
  };
  const write = (generations: unknown[]) =>
    Deno.writeTextFile(`${folder}/results.json`, JSON.stringify({ ...results, generations }));
  const args = ["eval", "--results", folder, "--out", `${folder}/out`];
  await write([]);
  const empty = await runTask("export", args);
  assertEquals(empty.code, 1);
  assert(empty.text.includes("no model wrote anything in it"), empty.text);
  await write(texts);
  const { code, stdout, text } = await runTask("export", [...args, "--json"]);
  assertEquals(code, 0, text);
  const { files, models } = JSON.parse(stdout);
  assertEquals([models, files.length], [["base", "masked-seed0"], 8]);
  for (const file of files) assert((await Deno.stat(`${folder}/out/${file}`)).isFile);
  const again = await runTask("export", args);
  assert(again.code === 1 && again.text.includes("it is there already"), again.text);
  await Deno.remove(folder, { recursive: true });
});
