// Tasks with names of the hub in place of paths: with the permissions that deno.json gives them, and in this process against
// a hub of ours.

import { type Command, execute } from "../src/report/command_line.ts";
import type { Options } from "../src/report/options.ts";
import { sha256, type StandInHub, standInHub } from "./stand_in/hub.ts";
import { presets } from "../src/model/families.ts";
import { toHuggingFace } from "../src/model/formats/huggingface/config.ts";
import estimate from "../tasks/estimate.ts";
import prepare from "../tasks/prepare.ts";
import tofu from "../tasks/tofu.ts";
import { writeLabelRecords } from "../src/data/label_records.ts";
import { assert, assertEquals } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";

const shipped = new URL("../models/invented-base/", import.meta.url);

/** A cache with the shipped model in it under a name, as Python leaves one. */
async function cacheWithModel(repo: string, commit: string): Promise<string> {
  const home = await Deno.makeTempDir({ prefix: "slung-hub-" });
  const root = `${home}/hub/models--${repo.replace("/", "--")}`;
  for (const folder of ["blobs", "refs", `snapshots/${commit}`]) {
    await Deno.mkdir(`${root}/${folder}`, { recursive: true });
  }
  await Deno.writeTextFile(`${root}/refs/main`, commit);
  for await (const { name } of Deno.readDir(shipped)) {
    const bytes = await Deno.readFile(new URL(name, shipped));
    await Deno.writeFile(`${root}/blobs/${sha256(bytes)}`, bytes);
    await Deno.symlink(`../../blobs/${sha256(bytes)}`, `${root}/snapshots/${commit}/${name}`);
  }
  return home;
}

Deno.test("perplexity opens a model by its name from what Python fetched, without a network", async () => {
  const commit = "fedcba9876".repeat(4);
  const home = await cacheWithModel("oda/mill", commit);
  const env = { HF_HOME: home, HF_HUB_OFFLINE: "1" };
  const text = `${home}/text.txt`;
  await Deno.writeTextFile(text, "The old mill stood by the river.");
  const args = ["--text", text, "--json"];
  const named = await runTask("perplexity", ["--model", "oda/mill", ...args], { env });
  assertEquals(named.code, 0, named.text);
  assert(
    named.stderr.includes(
      "oda/mill is as fetched earlier (fedcba9876fe), since HF_HUB_OFFLINE is set.",
    ),
    named.stderr,
  );
  const result = JSON.parse(named.stdout);
  assertEquals(result.model, `${home}/hub/models--oda--mill/snapshots/${commit}`);
  const path = await runTask("perplexity", ["--model", "models/invented-base", ...args]);
  assertEquals(result.nll, JSON.parse(path.stdout).nll);

  const missing = await runTask("perplexity", ["--model", "oda/other", ...args], { env });
  assertEquals(missing.code, 1);
  assertEquals(
    missing.stderr,
    `Cannot fetch oda/other: HF_HUB_OFFLINE is set, and it is not in ${home}/hub. ` +
      "Unset HF_HUB_OFFLINE once, to fetch it.\n",
  );
  await Deno.remove(home, { recursive: true });
});

Deno.test("a hub elsewhere is refused with the flag that allows it, and the token is not said", async () => {
  const home = await Deno.makeTempDir();
  const env = { HF_HOME: home, HF_TOKEN: "hf_secretSecret", HF_ENDPOINT: "https://mirror.test/hf" };
  const { code, text } = await runTask(
    "generate",
    ["--model", "oda/mill", "--prompt", "a"],
    { env },
  );
  assertEquals(code, 1);
  assertEquals(
    text,
    "Cannot fetch oda/mill: this program may not reach mirror.test, which HF_ENDPOINT names. " +
      "Add it to --allow-net, for a task in deno.json, or unset HF_ENDPOINT.\n",
  );
  await Deno.remove(home, { recursive: true });
});

/** Runs `prepare` in this process with the hub in its environment. */
function prepareWithHub(
  hub: StandInHub,
  home: string,
  args: string[],
): Promise<{ code: number; said: string }> {
  return runWithHub(prepare, hub, home, args);
}

async function runWithHub<O extends Options>(
  command: Command<O>,
  hub: StandInHub,
  home: string,
  args: string[],
): Promise<{ code: number; said: string }> {
  const variables: Record<string, string> = {
    ...{ HF_ENDPOINT: hub.endpoint, HF_HOME: home, HF_TOKEN: "hf_secretSecret" },
    ...{ HF_HUB_CACHE: "", HF_HUB_OFFLINE: "" },
  };
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  let said = "";
  const hear = (text: string) => said += text;
  try {
    return { code: await execute(command, args, { out: hear, err: hear }), said };
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

Deno.test("prepare makes shards of a data set's parquet file with a model's tokenizer, both by name", async () => {
  await using hub = standInHub();
  const home = await Deno.makeTempDir();
  const records = async function* () {
    for (let i = 0; i < 30; i++) {
      yield {
        text: `The mill number ${i} stood still.`,
        spans: [{ start: 4, end: 8, risk: 3 as const }],
      };
    }
  };
  await writeLabelRecords(`${home}/a.parquet`, records());
  hub.commit("datasets/oda/stories", {
    "data/train.parquet": await Deno.readFile(`${home}/a.parquet`),
    "README.md": "x",
  }, "v1");
  hub.commit("oda/mill", {
    "model.safetensors": "none of this is asked for",
    "tokenizer.json": await Deno.readFile(new URL("tokenizer.json", shipped)),
  });
  const { code, said } = await prepareWithHub(hub, home, [
    ...["--data", "datasets/oda/stories@v1/data/train.parquet", "--tokenizer", "oda/mill"],
    ...["--out", `${home}/prepared`, "--held-out-files", "0", "--json"],
  ]);
  assertEquals(code, 0, said);
  assert(/Fetching [\d.]+ KiB in 1 file of oda\/mill \(\w{12}\) into/.test(said), said);
  assert(!said.includes("ecretSecret"), said);
  const { collection: { train } } = JSON.parse(said.slice(said.indexOf("{\n")));
  assertEquals(train.documents, 30);
  assert(train.tokensByClass[3] > 0, said);
  assert(!hub.seen.some(({ what }) => what === "model.safetensors"));
  await Deno.remove(home, { recursive: true });
});

Deno.test("what lies here is a path, whatever it looks like; what does not is asked for by name", async () => {
  await using hub = standInHub();
  const home = await Deno.makeTempDir();
  const { code, said } = await prepareWithHub(hub, home, [
    ...["--data", "models/invented-base", "--tokenizer", "models/invented", "--out", `${home}/o`],
  ]);
  assertEquals(code, 1);
  assertEquals(
    said,
    "Cannot fetch models/invented: the hub has no such model, and here is no such folder " +
      "(HTTP 401). Check the name; a private one must be open to the account of HF_TOKEN.\n",
  );
  assertEquals(hub.seen.map(({ what }) => what), ["models/invented"]);
  await Deno.remove(home, { recursive: true });
});

Deno.test("estimate asks the hub for a configuration and for no weights, and finds it again without a network", async () => {
  await using hub = standInHub();
  const home = await Deno.makeTempDir();
  const commit = hub.commit("oda/mill", {
    "config.json": JSON.stringify(toHuggingFace(presets.olmo1B)),
    "model.safetensors": "none of this is asked for",
    "tokenizer.json": "nor of this",
  }, "step7");
  const step = "--seq 64 --quick --memory 8 --lora 8 --precision f16 --recompute --json".split(" ");
  const ask = (model: string) => runWithHub(estimate, hub, home, ["--model", model, ...step]);
  const report = ({ said }: { said: string }) => JSON.parse(said.slice(said.indexOf("{\n")));

  const named = await ask("oda/mill@step7");
  assertEquals(named.code, 0, named.said);
  assertEquals(
    hub.seen.map(({ what }) => what).sort(),
    [
      ...[sha256(new TextEncoder().encode(JSON.stringify(toHuggingFace(presets.olmo1B))))],
      ...["config.json", "oda/mill"],
    ].sort(),
  );
  const { model, ...numbers } = report(named);
  assertEquals(model, `${home}/hub/models--oda--mill/snapshots/${commit}`);
  const { model: preset, ...same } = report(await ask("olmo1B"));
  assertEquals([preset, numbers], ["olmo1B", same]);

  const asked = hub.seen.length;
  hub.fault = () => new Response("no", { status: 503 });
  const { model: _, ...again } = report(await ask(`oda/mill@${commit}`));
  assertEquals([again, hub.seen.length], [numbers, asked]); // a commit that is here is not asked for
  hub.fault = () => undefined;

  hub.commit("oda/only-lora", { "adapter_config.json": "{}" });
  const lacking = await ask("oda/only-lora");
  assertEquals(lacking.code, 1);
  assert(
    lacking.said.includes("Cannot fetch oda/only-lora: it has no config.json, but adapter_config"),
    lacking.said,
  );
  await Deno.remove(home, { recursive: true });
});

Deno.test("a dry run of tofu by a model's name fetches configuration and tokenizer, and no weights", async () => {
  await using hub = standInHub();
  const home = await Deno.makeTempDir();
  const files = ["config.json", "tokenizer.json", "tokenizer_config.json"].map(async (name) =>
    [name, await Deno.readFile(new URL(name, shipped))] as const
  );
  hub.commit("oda/mill", {
    ...Object.fromEntries(await Promise.all(files)),
    "model.safetensors": "none of this is asked for",
  });
  const rows = Array.from({ length: 40 }, (_, i) => ({
    question: `What did Oda Venn make in year ${i}?`,
    answer: `Oda Venn made ${i} boats.`,
  })).map((row) => `${JSON.stringify(row)}\n`);
  await Deno.writeTextFile(`${home}/full.jsonl`, rows.join(""));
  await Deno.writeTextFile(`${home}/targets.jsonl`, rows.slice(0, 20).join(""));
  const { code, said } = await runWithHub(tofu, hub, home, [
    ...["--protocol", "paper", "--data", `${home}/full.jsonl`, "--base-authors", "1"],
    ...["--targets", `${home}/targets.jsonl`],
    ...["--base", "oda/mill", "--precision", "f32", "--dry-run", "--out", `${home}/run`],
  ]);
  assertEquals(code, 0, said);
  assert(said.includes("TOFU, protocol paper"), said);
  assert(hub.seen.some(({ what }) => what === "tokenizer.json"));
  assert(!hub.seen.some(({ what }) => what === "model.safetensors"));
  await Deno.remove(home, { recursive: true });
});
