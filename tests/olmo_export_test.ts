// The export for OLMo's trainers: its bytes as NumPy reads them, its configurations by the schemas of both trainers, and
// every trap that the trainers would fall into refused by the verification.

import { gunzipSync, gzipSync } from "node:zlib";
import {
  coreConfiguration,
  legacyConfiguration,
  listedFiles,
} from "../src/data/olmo/configurations.ts";
import { exportOlmo, type OlmoExportSettings, trainedClasses } from "../src/data/olmo/export.ts";
import { verifyOlmo, type VerifyOptions } from "../src/data/olmo/verify.ts";
import { allOf } from "../src/data/sequence.ts";
import { openShards } from "../src/data/shards/open.ts";
import { onHighRisk } from "../src/slung/gallery.ts";
import { crossEntropy, objective } from "../src/slung/objective.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { smallDisk } from "./fixtures/small_disk.ts";
import { files, someTexts, sourceOf, unitTokenizer } from "./fixtures/shards.ts";
import { runTask } from "./fixtures/task.ts";

async function temporaryFolder() {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function exported(folder: string, settings: Partial<OlmoExportSettings> = {}) {
  return exportOlmo(folder, sourceOf(files), {
    tokenizer: unitTokenizer(),
    partTokens: 800,
    objective: objective("masked"),
    sequenceLength: 16,
    ...settings,
  });
}

const read = async (folder: string, name: string) => await Deno.readFile(`${folder}/${name}`);
const textOf = async (folder: string, name: string) => await Deno.readTextFile(`${folder}/${name}`);

Deno.test("a mask is true where the class of a token has cross-entropy, and bounds say where documents are", async () => {
  await using folder = await temporaryFolder();
  const manifest = await exported(folder.path);
  using shards = await openShards(folder.path);
  const documents = allOf(shards);
  let next = 0;
  assert(manifest!.parts.length > 2);
  for (const [k, { tokens, documents: count }] of manifest!.parts.entries()) {
    const digits = `000${k}`;
    const own = documents.slice(next, next += count);
    const mask = await read(folder.path, `labels_mask_part_${digits}.npy`);
    assertEquals(
      [...mask],
      own.flatMap(({ classes }) => [...classes].map((risk) => risk <= 1 ? 1 : 0)),
    );
    assertEquals(mask.length, tokens);
    const rows = new TextDecoder().decode(
      gunzipSync(await read(folder.path, `token_ids_part_${digits}.csv.gz`)),
    );
    let start = 0;
    const expected = own.map((document) => `${start},${start += document.tokens.length}`);
    assertEquals(rows.trimEnd().split("\n").map((row) => row.split(",", 2).join()), expected);
  }
  const [first] = new TextDecoder().decode(
    gunzipSync(await read(folder.path, "token_ids_part_0000.csv.gz")),
  ).split("\n");
  assert(first!.endsWith(',"0, ""0""",made,file 0,1'), `${first}: id, source, file and place`);
});

Deno.test("an objective goes out as a mask if it is one", () => {
  assertEquals(trainedClasses(objective("masked")), [true, true, false, false]);
  const own = {
    ...objective("masked"),
    terms: [undefined, crossEntropy, crossEntropy, undefined] as const,
  };
  assertEquals(trainedClasses(own), [false, true, true, false]);
  for (const name of ["unlikelihood", "unlikelihood_clamped"] as const) {
    assertThrows(
      () => trainedClasses(objective(name)),
      `Cannot export the objective "${name}" as a mask: high risk has the loss "${name}"`,
    );
  }
  assertThrows(
    () => trainedClasses(onHighRisk({ ...crossEntropy, name: "half", value: "-lp / 2" })),
    "half",
  );
  assertThrows(
    () => trainedClasses(onHighRisk({ ...crossEntropy, slope: "0.5" })),
    "cross_entropy",
  );
  assertThrows(() => trainedClasses(objective("direct")), "it would mask nothing");
  const nothing = { ...own, terms: [undefined, undefined, undefined, undefined] as const };
  assertThrows(() => trainedClasses(nothing), "it would mask everything");
});

Deno.test("an export whose mask would be all or nothing is refused", async () => {
  await using folder = await temporaryFolder();
  const settings = {
    ...{ tokenizer: unitTokenizer(), partTokens: 800, sequenceLength: 16 },
    objective: objective("masked"),
  };
  const harmless = files.map((texts) => texts.map(({ text }) => ({ text, spans: [] })));
  await assertRejects(
    () => exportOlmo(`${folder.path}/harmless`, sourceOf(harmless), settings),
    "its mask is true everywhere: no token is risky",
  );
  const own = {
    ...objective("masked"),
    terms: [crossEntropy, undefined, undefined, undefined] as const,
  };
  await assertRejects(
    () => exportOlmo(`${folder.path}/none`, sourceOf(files), { ...settings, objective: own }),
    "its mask is false everywhere",
  );
});

Deno.test("an export that was interrupted, or made by several processes, has the same files", async () => {
  await using whole = await temporaryFolder();
  await using broken = await temporaryFolder();
  const root = "/data/export";
  await exported(whole.path, { root });
  for (const texts of [5, 30]) {
    const controller = new AbortController();
    let seen = 0;
    await exported(broken.path, {
      root,
      signal: controller.signal,
      onText: () => ++seen === texts && controller.abort(),
    });
  }
  await exported(broken.path, { root });
  const namesIn = async (folder: string) =>
    (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
  const names = await namesIn(whole.path);
  assertEquals(await namesIn(broken.path), names);
  for (const name of names) {
    assertEquals(await read(broken.path, name), await read(whole.path, name), name);
  }
  await using sliced = await temporaryFolder();
  for (const number of [1, 2]) await exported(sliced.path, { root, slice: { number, of: 2 } });
  assertEquals((await verifyOlmo(sliced.path)).faults, []);
});

Deno.test("a full disk keeps the finished parts of an export", async () => {
  await using disk = await smallDisk("64k");
  if (!disk) return;
  const folder = `${disk.path}/export`;
  await assertRejects(() => exported(folder), "No space left");
  await disk.remount("size=4m");
  await exported(folder);
  assertEquals((await verifyOlmo(folder)).faults, []);
});

// Fields of the configuration classes and what they take, from olmo/config.py at allenai/OLMo 59a53e3 and
// olmo_core/data/{numpy_dataset,tokenizer}.py at OLMo-core 2.5.0. Only fields that a data set may need are listed; a
// class refuses whatever it does not have.
const text = (value: unknown) => typeof value === "string";
const whole = (value: unknown) => Number.isInteger(value);
const flag = (value: unknown) => typeof value === "boolean";
const paths = (value: unknown) => Array.isArray(value) && value.length > 0 && value.every(text);
const type = (value: unknown) => ["uint8", "uint16", "uint32", "uint64"].includes(value as string);
type Schema = { [field: string]: ((value: unknown) => boolean) | Schema };
const legacySchema: Schema = {
  model: {
    max_sequence_length: whole,
    vocab_size: whole,
    eos_token_id: whole,
    pad_token_id: whole,
  },
  tokenizer: { identifier: text },
  data: {
    ...{ paths, memmap_dtype: type, label_mask_paths: paths, generate_doc_lengths: flag },
    ...{ drop_last: flag, num_workers: whole, seed: whole },
  },
};
const coreSchema: Schema = {
  _CLASS_: (value) => value === "olmo_core.data.numpy_dataset.NumpyFSLDatasetConfig",
  tokenizer: {
    _CLASS_: (value) => value === "olmo_core.data.tokenizer.TokenizerConfig",
    ...{ vocab_size: whole, eos_token_id: whole, pad_token_id: whole, bos_token_id: whole },
    identifier: text,
  },
  ...{ paths, label_mask_paths: paths, sequence_length: whole, dtype: type, work_dir: text },
  ...{ generate_doc_lengths: flag, expand_glob: flag, max_target_sequence_length: whole },
};

function assertFits(value: unknown, schema: Schema, path = ""): void {
  for (const [field, own] of Object.entries(value as Record<string, unknown>)) {
    const allowed = schema[field];
    assert(allowed, `there is no field ${path}${field}`);
    if (typeof allowed === "function") {
      assert(allowed(own), `${path}${field} is ${JSON.stringify(own)}`);
    } else assertFits(own, allowed, `${path}${field}.`);
  }
}

const python = await (async () => {
  for (const command of ["/usr/bin/python3", "python3"]) {
    const has = await new Deno.Command(command, {
      args: ["-c", "import numpy, yaml"],
      stderr: "null",
    })
      .output().then(({ success }) => success, () => false);
    if (has) return command;
  }
  console.warn("SKIPPED: no python3 with numpy and yaml (Debian: python3-numpy python3-yaml)");
  return undefined;
})();

async function run(command: string, code: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: ["-c", code, ...args],
  })
    .output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("OLMo-core's configuration has the fields and types of NumpyFSLDatasetConfig", async () => {
  await using folder = await temporaryFolder();
  const manifest = await exported(folder.path, { root: "s3://bucket/export" });
  const core = JSON.parse(await textOf(folder.path, "olmo_core_dataset.json"));
  assertFits(core, coreSchema);
  const digits = manifest!.parts.map(({ number }) => `000${number}`);
  assertEquals(core.paths, digits.map((d) => `s3://bucket/export/token_ids_part_${d}.npy`));
  assertEquals(
    core.label_mask_paths,
    digits.map((d) => `s3://bucket/export/labels_mask_part_${d}.npy`),
  );
  const { vocab_size, eos_token_id, pad_token_id } = core.tokenizer;
  assertEquals(
    [vocab_size, eos_token_id, pad_token_id],
    [0x3000, 62, 62],
    "EOS pads where nothing else does",
  );
  assertEquals([core.sequence_length, core.dtype], [16, "uint16"]);
});

Deno.test({
  name: "the legacy trainer's configuration is YAML with the fields and types of its TrainConfig",
  ignore: python === undefined,
  async fn() {
    await using folder = await temporaryFolder();
    const tokenizer = trainBytePair(["abc abc"], 260);
    const odd = `${folder.path}/it's "odd": #1 \\ ü`;
    await exported(odd, { tokenizer });
    const load = "import sys, json, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    const legacy = JSON.parse(await run(python!, load, `${odd}/olmo.yaml`));
    assertFits(legacy, legacySchema);
    for (
      const path of [
        ...legacy.data.paths,
        ...legacy.data.label_mask_paths,
        legacy.tokenizer.identifier,
      ]
    ) {
      assert((await Deno.stat(path)).isFile, path);
    }
    assertEquals(legacy.data.paths.length, legacy.data.label_mask_paths.length);
    assertEquals(legacy.model, {
      ...{ max_sequence_length: 16, vocab_size: tokenizer.vocabularySize },
      eos_token_id: tokenizer.special.eos,
      pad_token_id: tokenizer.special.pad ?? tokenizer.special.eos,
    });
  },
});

Deno.test("the schemas refuse what the trainers would", () => {
  assertThrows(() => assertFits({ data: { label_masks: [] } }, legacySchema), "data.label_masks");
  assertThrows(() => assertFits({ dtype: "int16" }, coreSchema), "dtype is");
  assertThrows(
    () => assertFits({ tokenizer: { vocab_size: "3" } }, coreSchema),
    "tokenizer.vocab_size",
  );
});

Deno.test({
  name: "NumPy reads tokens, masks, classes and documents back, chunk for chunk as they are here",
  ignore: python === undefined,
  async fn() {
    for (const vocabularySize of [0x3000, 0x10001]) {
      await using folder = await temporaryFolder();
      const tokenizer = unitTokenizer(vocabularySize);
      const manifest = await exported(folder.path, { tokenizer });
      // As both trainers do: consecutive blocks of the sequence length, read from the bytes of the file.
      const program = `
import gzip, json, sys, numpy as np
folder = sys.argv[1]
config = json.load(open(folder + "/olmo_core_dataset.json"))
dtype, length = getattr(np, config["dtype"]), config["sequence_length"]
out = []
for path, mask_path in zip(config["paths"], config["label_mask_paths"]):
    tokens = np.memmap(path, mode="r", dtype=dtype)
    mask = np.memmap(mask_path, mode="r", dtype=np.bool_)
    classes = np.memmap(path.replace("token_ids", "risk_classes").replace(".npy", ".u8"), mode="r", dtype=np.uint8)
    ends = np.memmap(path.replace("token_ids", "documents").replace(".npy", ".u64"), mode="r", dtype=np.uint64)
    assert len(tokens) == len(mask) == len(classes) == ends[-1]
    rows = [tuple(map(int, row.split(",")[:2])) for row in gzip.open(path.replace(".npy", ".csv.gz"), "rt")]
    assert [end for _, end in rows] == ends.tolist()
    eos = (tokens == config["tokenizer"]["eos_token_id"]).nonzero()[0] + 1
    assert eos.tolist() == ends.tolist()
    chunks = [slice(i * length, (i + 1) * length) for i in range(len(tokens) // length)]
    out.append([[tokens[c].tolist(), mask[c].tolist(), classes[c].tolist()] for c in chunks])
print(json.dumps(out))`;
      const chunks: [number[], boolean[], number[]][][] = JSON.parse(
        await run(python!, program, folder.path),
      );
      using shards = await openShards(folder.path);
      let next = 0, compared = 0;
      for (const [k, part] of manifest!.parts.entries()) {
        const own = Array.from({ length: part.documents }, () => shards.at(next++));
        const tokens = own.flatMap(({ tokens }) => [...tokens]);
        const classes = own.flatMap(({ classes }) => [...classes]);
        assertEquals(chunks[k]!.length, Math.floor(tokens.length / 16));
        for (const [i, [ids, mask, risks]] of chunks[k]!.entries()) {
          const of = (values: number[]) => values.slice(16 * i, 16 * i + 16);
          assertEquals(ids, of(tokens));
          assertEquals(risks, of(classes));
          assertEquals(mask, of(classes).map((risk) => risk <= 1));
          compared++;
        }
      }
      assert(compared > 100, `${compared} chunks`);
    }
  },
});

// ---- The traps ----

async function faultsOf(
  change: (folder: string) => void | Promise<void>,
  options: VerifyOptions = {},
): Promise<string> {
  await using folder = await temporaryFolder();
  await exported(folder.path);
  await change(folder.path);
  const { faults } = await verifyOlmo(folder.path, options);
  for (const { remedy } of faults) assert(remedy.length > 10, "a remedy");
  return faults.map(({ file, why }) => `${file.replace(folder.path, "FOLDER")}: ${why}`).join("\n");
}

const rewrite =
  (name: string, change: (bytes: Uint8Array) => Uint8Array) => async (folder: string) =>
    await Deno.writeFile(`${folder}/${name}`, change(await read(folder, name)));
const tokens = "token_ids_part_0001.npy", mask = "labels_mask_part_0001.npy";
const bounds = "token_ids_part_0001.csv.gz", classes = "risk_classes_part_0001.u8";
const withHeader = (bytes: Uint8Array) => {
  const header = new Uint8Array(128).fill(32);
  header.set([..."\x93NUMPY"].map((letter) => letter.charCodeAt(0)));
  return Uint8Array.of(...header, ...bytes);
};
const reBound = (change: (rows: string[]) => string[]) =>
  rewrite(bounds, (bytes) => {
    const rows = new TextDecoder().decode(gunzipSync(bytes)).trimEnd().split("\n");
    return new Uint8Array(gzipSync(change(rows).join("\n") + "\n"));
  });
const remove = (...names: string[]) => async (folder: string) => {
  for (const name of names) await Deno.remove(`${folder}/${name}`);
};
const allMasks = (value: (mask: number, risk: number) => number) => async (folder: string) => {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith("labels_mask")) continue;
    const own = await read(
      folder,
      name.replace("labels_mask", "risk_classes").replace(".npy", ".u8"),
    );
    await rewrite(name, (bytes) => bytes.map((each, i) => value(each, own[i]!)))(folder);
  }
};
const inOrder = (...changes: ((folder: string) => Promise<void>)[]) => async (folder: string) => {
  for (const change of changes) await change(folder);
};
const withoutManifest = { dtype: "uint16", vocabularySize: 0x3000, eos: 62 } as const;

Deno.test("a good export has no fault, with its manifest and without", async () => {
  await using folder = await temporaryFolder();
  const manifest = await exported(folder.path);
  let read = 0;
  const found = await verifyOlmo(folder.path, {
    onRead: (bytes, total) => (read = bytes, assert(bytes <= total)),
  });
  const { faults, remarks, parts, tokens, trained, documents } = found;
  assertEquals([faults, remarks], [[], []]);
  assertEquals([parts, tokens, documents], [
    manifest!.parts.length,
    manifest!.tokens,
    manifest!.documents,
  ]);
  assertEquals(trained, manifest!.tokensByClass[0]! + manifest!.tokensByClass[1]!);
  assert(read > 4 * tokens);
  await Deno.remove(`${folder.path}/manifest.json`);
  assertEquals((await verifyOlmo(folder.path, withoutManifest)).faults, []);
  await assertRejects(
    () => verifyOlmo(folder.path),
    "it has no manifest.json that says what type its ids have",
  );
  await assertRejects(
    () => verifyOlmo(`${folder.path}/none`),
    `Cannot verify "${folder.path}/none": `,
  );
});

Deno.test("each trap is refused, with the file and what is wrong", async () => {
  const cases: [what: string, change: (folder: string) => void | Promise<void>, fault: string][] = [
    ["header of tokens", rewrite(tokens, withHeader), `${tokens}: it begins with NumPy's header`],
    ["header of a mask", rewrite(mask, withHeader), `${mask}: it begins with NumPy's header`],
    [
      "32 bits instead of 16",
      rewrite(
        tokens,
        (bytes) => new Uint8Array(Uint32Array.from(new Uint16Array(bytes.buffer)).buffer),
      ),
      `${tokens}: it has 4 bytes a token, and uint16 has 2`,
    ],
    [
      "64 bits",
      rewrite(
        tokens,
        (bytes) => new Uint8Array(BigInt64Array.from(new Uint16Array(bytes.buffer), BigInt).buffer),
      ),
      `${tokens}: it has 8 bytes a token, and uint16 has 2`,
    ],
    [
      "big-endian",
      rewrite(tokens, (bytes) => bytes.map((_, i) => bytes[i ^ 1]!)),
      "and the vocabulary ends at 12287",
    ],
    ["torn tokens", rewrite(tokens, (bytes) => bytes.slice(0, -1)), `${tokens}: it has `],
    ["fewer tokens", rewrite(tokens, (bytes) => bytes.slice(0, -2)), `${tokens}: it has `],
    ["shorter mask", rewrite(mask, (bytes) => bytes.slice(0, -1)), `values for`],
    ["longer mask", rewrite(mask, (bytes) => Uint8Array.of(...bytes, 1)), `values for`],
    [
      "classes as mask",
      async (folder) => await Deno.copyFile(`${folder}/${classes}`, `${folder}/${mask}`),
      `${mask}: it holds values up to 3: risk classes`,
    ],
    ["mask of another objective", allMasks((_, risk) => risk === 1 ? 0 : 1), "checksum"],
    ["no mask", remove(mask), `${mask}: it is missing: all of ${tokens} would be trained on`],
    ["mask without tokens", remove(tokens), `${mask}: there is no ${tokens} for it`],
    ["no bounds", remove(bounds), `${bounds}: it is missing: nothing says where`],
    [
      "unsorted bounds",
      reBound(([first, second, ...rows]) => [second!, first!, ...rows]),
      `${bounds}: line 1: no document holds tokens 0 to`,
    ],
    [
      "overlapping bounds",
      reBound(([first, second, ...rows]) => [first!, second!.replace(/^\d+/, "1"), ...rows]),
      `${bounds}: line 2: it begins at 1, before`,
    ],
    ["bounds twice", reBound((rows) => [rows[0]!, ...rows]), "unsorted or overlapping"],
    ["a gap", reBound(([_, ...rows]) => rows), `${bounds}: line 1: no document holds`],
    ["the last one missing", reBound((rows) => rows.slice(0, -1)), `${bounds}: no document holds`],
    [
      "too long",
      reBound((rows) =>
        rows.map((row, i) => i < rows.length - 1 ? row : row.replace(/,\d+/, ",99999"))
      ),
      "behind the last of",
    ],
    [
      "no numbers",
      reBound((rows) => ["start,end", ...rows]),
      `line 1: "start,end" is no start and end`,
    ],
    ["backwards", reBound((rows) => ["5,5", ...rows]), `line 1: "5,5" is no start and end`],
    ["damaged bounds", rewrite(bounds, (bytes) => bytes.slice(0, -9)), `${bounds}: Cannot read`],
    ["damaged tokens", rewrite(tokens, (bytes) => bytes.fill(98, 0, 1)), `${tokens}: its checksum`],
    [
      "damaged classes",
      rewrite(classes, (bytes) => bytes.fill(2, 0, 3)),
      `${classes}: its checksum`,
    ],
    [
      "no class",
      rewrite(classes, (bytes) => bytes.fill(9, 0, 3)),
      `${classes}: 3 values are no class`,
    ],
    [
      "damaged documents",
      rewrite("documents_part_0001.u64", (bytes) => bytes.fill(0, 0, 1)),
      "documents_part_0001.u64: its checksum",
    ],
    ["fewer classes", rewrite(classes, (bytes) => bytes.slice(1)), `${classes}: it has`],
    [
      "documents missing",
      remove("documents_part_0001.u64"),
      "documents_part_0001.u64: it is missing",
    ],
    [
      "a part that is not in the manifest",
      async (folder) =>
        await Deno.copyFile(`${folder}/${tokens}`, `${folder}/token_ids_part_0099.npy`),
      "token_ids_part_0099.npy: the manifest does not know it",
    ],
    [
      "classes in the configuration",
      rewrite(
        "olmo.yaml",
        (bytes) =>
          new TextEncoder().encode(
            new TextDecoder().decode(bytes).replace(
              "labels_mask_part_0000.npy",
              "risk_classes_part_0000.u8",
            ),
          ),
      ),
      "olmo.yaml: label_mask_paths names risk_classes_part_0000.u8, a file of classes",
    ],
    [
      "another order in the configuration",
      rewrite("olmo_core_dataset.json", (bytes) => {
        const config = JSON.parse(new TextDecoder().decode(bytes));
        config.label_mask_paths.reverse();
        return new TextEncoder().encode(JSON.stringify(config));
      }),
      "olmo_core_dataset.json: label_mask_paths does not name the",
    ],
    [
      "another type in the configuration",
      rewrite(
        "olmo.yaml",
        (bytes) =>
          new TextEncoder().encode(new TextDecoder().decode(bytes).replace("uint16", "uint32")),
      ),
      "olmo.yaml: its ids are uint32, and those of the files uint16",
    ],
    [
      "a configuration that is none",
      rewrite("olmo_core_dataset.json", () => new TextEncoder().encode("{")),
      "olmo_core_dataset.json: its ids are of no type",
    ],
  ];
  for (const [what, change, expected] of cases) {
    const faults = await faultsOf(change);
    assert(faults.includes(expected), `${what}: ${faults || "no fault"}`);
  }
});

Deno.test("each trap is refused too where no manifest tells what the files should be", async () => {
  const bare = (...changes: ((folder: string) => Promise<void>)[]) =>
    inOrder(remove("manifest.json", "olmo.yaml", "olmo_core_dataset.json"), ...changes);
  const widened = rewrite(
    tokens,
    (bytes) => new Uint8Array(Uint32Array.from(new Uint16Array(bytes.buffer)).buffer),
  );
  const cases: [what: string, change: (folder: string) => Promise<void>, fault: string][] = [
    ["32 bits", bare(widened, remove(bounds)), `${tokens}: every second id is 0`],
    [
      "torn",
      bare(rewrite(tokens, (bytes) => bytes.slice(1))),
      "bytes are not whole values of 2 bytes",
    ],
    ["all true", bare(allMasks(() => 1)), "FOLDER: its masks are true everywhere"],
    ["all false", bare(allMasks(() => 0)), "FOLDER: its masks are false everywhere"],
    [
      "inverted",
      bare(allMasks((mask) => 1 - mask)),
      "FOLDER: its masks train on high risk and not on low",
    ],
    [
      "a mask that is none of the classes",
      bare(rewrite(mask, (bytes) => bytes.map((_, i) => i % 2))),
      "FOLDER: its masks train on",
    ],
    [
      "no EOS",
      bare(rewrite(tokens, (bytes) => bytes.fill(97, bytes.length - 2).fill(0, bytes.length - 1))),
      "1 documents do not end in EOS (62)",
    ],
    ["nothing", async (folder) => {
      for await (const { name } of Deno.readDir(folder)) await Deno.remove(`${folder}/${name}`);
    }, "FOLDER: it holds no token_ids_part_*.npy"],
  ];
  for (const [what, change, expected] of cases) {
    const faults = await faultsOf(change, withoutManifest);
    assert(faults.includes(expected), `${what}: ${faults || "no fault"}`);
  }
  const wrongWay = await faultsOf(bare(), { ...withoutManifest, dtype: "uint32" });
  assert(/token \d+ is id \d{5,}, and the vocabulary ends/.test(wrongWay), wrongWay);
});

Deno.test("EOS that a text spells out is remarked upon, since OLMo-core would see two documents", async () => {
  await using folder = await temporaryFolder();
  const texts = [
    { text: "one > two", spans: [{ start: 0, end: 3, risk: 3 as const }] },
    ...someTexts(3),
  ];
  await exportOlmo(folder.path, sourceOf([texts]), {
    ...{ tokenizer: unitTokenizer(), partTokens: 800, sequenceLength: 16 },
    objective: objective("masked"),
  });
  const { faults, remarks } = await verifyOlmo(folder.path);
  assertEquals(faults, []);
  assertEquals(remarks, [
    "token_ids_part_0000.npy: EOS stands once inside a document, which OLMo-core takes for two.",
  ]);
});

Deno.test("lists are found in configurations as they are written", () => {
  const found = { root: "/r", tokens: ["a.npy", "b.npy"], masks: ["c.npy", "d.npy"] };
  const tokenizer = { name: "t", digest: "", vocabularySize: 70000, eos: 3, pad: 4, bos: 5 };
  const facts = {
    manifest: { dtype: "uint32", tokenizer } as never,
    ...{ objective: "masked", sequenceLength: 8 },
  };
  const expected = {
    paths: ["/r/a.npy", "/r/b.npy"],
    label_mask_paths: ["/r/c.npy", "/r/d.npy"],
    dtype: "uint32",
  };
  const core = coreConfiguration(found, facts);
  assertEquals(listedFiles("olmo.yaml", legacyConfiguration(found, facts)), expected);
  assertEquals(listedFiles("olmo_core_dataset.json", core), expected);
  assertEquals(JSON.parse(core).tokenizer.bos_token_id, 5);
});

Deno.test("the tasks export and verify, name a target that is misspelt, and end with the code of what they found", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder;
  await trainBytePair(["the old mill by the river"], 270).save!(`${path}/tokenizer`);
  const lines = someTexts(30).map(({ text, spans }) =>
    JSON.stringify({ text, spans: spans.map(({ start, end }) => [start, end]) })
  );
  await Deno.writeTextFile(`${path}/texts.jsonl`, lines.join("\n"));
  const options = ["--data", `${path}/texts.jsonl`, "--tokenizer", `${path}/tokenizer`];
  const made = await runTask("export", ["olmo", ...options, "--out", `${path}/out`, "--json"]);
  assertEquals(made.code, 0, made.text);
  assertEquals(JSON.parse(made.stdout).documents, 30);
  const good = await runTask("verify", ["olmo", `${path}/out`, "--json"]);
  assertEquals([good.code, JSON.parse(good.stdout).documents], [0, 30], good.text);
  await Deno.copyFile(
    `${path}/out/risk_classes_part_0000.u8`,
    `${path}/out/labels_mask_part_0000.npy`,
  );
  const bad = await runTask("verify", ["olmo", `${path}/out`]);
  assertEquals(bad.code, 1);
  assert(bad.text.includes("Give the trainer labels_mask_part_*.npy"), bad.text);
  assert(bad.text.includes(`Cannot pass "${path}/out": it has the fault above`), bad.text);
  const unlikely = await runTask("export", [
    "olmo",
    ...options,
    "--out",
    `${path}/u`,
    "--objective",
    "unlikelihood",
  ]);
  assert(unlikely.code !== 0, unlikely.text);
  for (
    const [task, args, code, said] of [
      ["export", ["olmoo"], 2, 'there is no export "olmoo". Perhaps you meant export olmo'],
      ["export", [], 2, "Cannot run export: nothing says what. Write export olmo"],
      ["verify", ["--help"], 0, "deno task verify olmo --help"],
      ["verify", ["olmo", "--help"], 0, "Usage: deno task verify olmo <folder> [options]"],
      ["verify", ["olmo"], 2, "--folder is required"],
      ["verify", ["olmo", "a", "b"], 2, 'the argument "b" belongs to no option'],
    ] as const
  ) {
    const outcome = await runTask(task, args);
    assertEquals(outcome.code, code, outcome.text);
    assert(outcome.text.includes(said), outcome.text);
  }
});
