// What is a name on the hub and what is a path, and which files of a repository are wanted for what.

import {
  checkPath,
  describeName,
  type HubName,
  isDatasetName,
  isModelName,
  parseHubName,
} from "../src/hub/name.ts";
import { absentFiles, missingIn, wantedFiles } from "../src/hub/wanted.ts";
import { assertEquals, assertThrows } from "./assert.ts";
import { besideOnHub } from "../tasks/hub.ts";

const names: [text: string, name: HubName | undefined][] = [
  ["oda/mill", { kind: "model", repo: "oda/mill", revision: "main", path: "" }],
  ["oda/mill@step7-tokens3B", {
    kind: "model",
    repo: "oda/mill",
    revision: "step7-tokens3B",
    path: "",
  }],
  ["oda/Mill-1.5_b@refs/pr/12", {
    kind: "model",
    repo: "oda/Mill-1.5_b",
    revision: "refs/pr/12",
    path: "",
  }],
  ["oda/mill@a%2Fb", { kind: "model", repo: "oda/mill", revision: "a/b", path: "" }],
  ["hf://oda/mill/lora", { kind: "model", repo: "oda/mill", revision: "main", path: "lora" }],
  ["datasets/oda/s", { kind: "dataset", repo: "oda/s", revision: "main", path: "" }],
  ["datasets/oda/s/", { kind: "dataset", repo: "oda/s", revision: "main", path: "" }],
  ["datasets/oda/s@v1/a b/c.csv", {
    kind: "dataset",
    repo: "oda/s",
    revision: "v1",
    path: "a b/c.csv",
  }],
  ["hf://datasets/oda/s/a", { kind: "dataset", repo: "oda/s", revision: "main", path: "a" }],
  ["hf://datasets/oda/s@~parquet/default", {
    ...{ kind: "dataset", repo: "oda/s", revision: "refs/convert/parquet", path: "default" },
  }],
  ...[
    ...["mill", "./oda/mill", "../oda/mill", "/oda/mill", "path/to/mill", "oda/mill/", "C:/mill"],
    ...["oda/mill@", "oda/mill@../x", "oda/mill@a%2F..%2Fb", "oda/..", "datasets/oda", "oda\\mill"],
    ...["datasets/oda/s/../../x", "datasets/oda/s/a:b", "oda/mill\n", "", "hf://mill", "a b/c"],
  ].map((text) => [text, undefined] as [string, undefined]),
];

Deno.test("names are told from paths, and none leads out of a folder", () => {
  for (const [text, name] of names) {
    assertEquals(parseHubName(text), text === "oda/mill/" ? names[0]![1] : name, text);
    assertEquals([isModelName(text), isDatasetName(text)], [
      parseHubName(text)?.kind === "model",
      parseHubName(text)?.kind === "dataset",
    ]);
  }
  assertEquals(describeName(parseHubName("hf://datasets/oda/s@v1/a")!), "datasets/oda/s@v1/a");
  assertEquals(describeName(parseHubName("oda/mill@main")!), "oda/mill");
  const mill = parseHubName("oda/mill")!;
  for (const path of ["a/b.json", "..a/b..", ".gitattributes"]) checkPath(path, mill);
  for (const path of ["", "/a", "a//b", "a/../b", "..", "a\\..\\b", "C:a", "a\0"]) {
    assertThrows(
      () => checkPath(path, mill),
      "which would leave the cache. Do not use this repository.",
    );
  }
});

Deno.test("a file beside a named one is named as well, one beside a path is not", () => {
  assertEquals(
    besideOnHub("datasets/oda/s@v1/a/full.json", "b.json"),
    "datasets/oda/s@v1/a/b.json",
  );
  assertEquals(besideOnHub("path/to/full.json", "b.json"), undefined);
  assertEquals(besideOnHub(undefined, "b.json"), undefined);
});

Deno.test("of several formats of the same weights one is wanted, and of tokenizers the one that is read", () => {
  const mill = parseHubName("oda/mill")!;
  const wanted = (...paths: string[]) => wantedFiles(paths, "model", mill);
  const configs = ["config.json", "generation_config.json"];
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const index = "model.safetensors.index.json";
  assertEquals(
    wanted(...configs, ...shards, index, "model.safetensors", "model.fp16.safetensors"),
    [
      ...configs,
      "model.safetensors",
    ],
  );
  assertEquals(wanted(...configs, ...shards, index, "consolidated.safetensors", "a/config.json"), [
    ...configs,
    index,
    ...shards,
  ]);
  assertEquals(
    wanted("config.json", "tok512.bin", "vocab.json", "merges.txt", index, "1.safetensors"),
    [
      ...["config.json", "tok512.bin", "vocab.json", index, "1.safetensors"],
    ],
  );
  assertThrows(() => wanted("model.safetensors"), "it has no config.json, but model.safetensors");
  assertThrows(() => wanted("config.json", "a.safetensors"), "it has no model.safetensors");
  assertThrows(() => wanted(), "it has no model.safetensors, whole or in shards, but no files");
  assertThrows(
    () => wanted(..."abcdefgh"),
    "it has no model.safetensors, whole or in shards, but a, b, c, d, e, f and 2 more.",
  );
  assertThrows(
    () => wantedFiles(["a"], "tokenizer", mill),
    "it has no tokenizer.json, but a. Name a repo",
  );
  assertEquals(wantedFiles(["tokenizer.json", "vocab.json"], "tokenizer", mill), [
    "tokenizer.json",
  ]);
  assertEquals(absentFiles(["x/tokenizer.json"], "model", { ...mill, path: "x" }), [
    "x/generation_config.json",
    "x/tokenizer_config.json",
  ]);
  const data = parseHubName("datasets/oda/s/a")!;
  const files = ["a/b.jsonl", "a/c.PARQUET", "a/.d.jsonl", "a/e.txt", "ab.csv", "a/f/g.json.zst"];
  assertEquals(wantedFiles(files, "data", data), ["a/b.jsonl", "a/c.PARQUET", "a/f/g.json.zst"]);
  assertEquals(wantedFiles(files, "data", { ...data, path: "a/e.txt" }), ["a/e.txt"]);
  assertThrows(
    () => wantedFiles(["a/e.txt"], "data", data),
    "it has no .jsonl, .json, .csv or .parquet there, but a/e.txt",
  );
  assertThrows(
    () => wantedFiles(["b/e.jsonl"], "data", data),
    "it has no such file or folder, but b/e.jsonl",
  );
  assertEquals(wantedFiles(["b.json"], "data", { ...data, path: "" }), ["b.json"]);
});

Deno.test("what a folder lacks is named: a shard of the index, a configuration, half of an adapter", async () => {
  const folder = await Deno.makeTempDir();
  const add = (name: string, text = "") => Deno.writeTextFile(`${folder}/${name}`, text);
  const missing = () => missingIn(folder, "model");
  assertEquals(await missing(), "config.json");
  await add("config.json");
  assertEquals(await missing(), "model.safetensors");
  await add(
    "model.safetensors.index.json",
    '{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}',
  );
  await add("1.safetensors");
  assertEquals(await missing(), "2.safetensors");
  await add("2.safetensors");
  assertEquals(await missing(), undefined);
  const known = (names: string[]) =>
    missingIn(folder, "model", (file) => Promise.resolve(names.includes(file)));
  assertEquals(await known([]), "generation_config.json");
  assertEquals(await known(["generation_config.json", "tokenizer_config.json"]), "tokenizer.json");
  assertEquals(await missingIn(folder, "tokenizer"), "tokenizer.json");
  assertEquals(await missingIn(`${folder}/nowhere`, "tokenizer"), "tokenizer.json");
  await add("tok512.bin");
  assertEquals(await missingIn(folder, "tokenizer"), undefined);
  assertEquals(await missingIn(folder, "adapter"), "adapter_config.json");
  await add("adapter_config.json");
  assertEquals(await missingIn(folder, "adapter"), "adapter_model.safetensors");
  assertEquals(await missingIn(`${folder}/nowhere`, "data"), "it");
  await Deno.remove(folder, { recursive: true });
});
