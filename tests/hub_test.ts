// Models, tokenizers and data sets by name, from a hub in this process: what is fetched and where it lies, and what happens
// when connections break, files are damaged, the hub refuses, and there is no network.

import type { Surroundings } from "../src/hub/client.ts";
import { fetchFromHub, type FetchOptions } from "../src/hub/fetch.ts";
import { type HubSettings, readHubSettings } from "../src/hub/settings.ts";
import type { Purpose } from "../src/hub/wanted.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { smallDisk } from "./fixtures/small_disk.ts";
import {
  type Files,
  gitDigest,
  refusal,
  type Seen,
  sha256,
  signature,
  type StandInHub,
  standInHub,
} from "./stand_in/hub.ts";

const token = "hf_secretSecretSecret";
const weights = new Uint8Array(300_000).map((_, i) => (i * i) >> 3);
const model: Files = {
  "README.md": "A mill.",
  "config.json": '{"model_type": "olmo"}',
  "model.safetensors": weights,
  "pytorch_model.bin": weights.slice(1),
  "onnx/model.onnx": weights.slice(2),
  "tokenizer.json": '{"model": {}}',
};

/** A hub, a cache, and what was said and waited for. */
class Trial implements AsyncDisposable {
  readonly hub: StandInHub = standInHub();
  readonly cache = Deno.makeTempDirSync({ prefix: "slung-hub-" });
  readonly notices: string[] = [];
  readonly waits: number[] = [];
  readonly errors: string[] = [];

  fetch(
    name: string,
    purpose: Purpose = "model",
    settings: Partial<HubSettings> = {},
    options: Partial<FetchOptions> = {},
  ): Promise<string> {
    const waiting: Surroundings = {
      sleep: (milliseconds) => {
        this.waits.push(milliseconds);
        return Promise.resolve();
      },
    };
    return fetchFromHub(name, purpose, {
      settings: {
        ...{ endpoint: this.hub.endpoint, token: undefined, offline: false },
        ...{ cache: this.cache, ...settings },
      },
      ...waiting,
      onNotice: (notice) => this.notices.push(notice),
      ...options,
    });
  }

  /** What was asked of the hub, since this was called last. */
  asked(): string[] {
    return this.hub.seen.splice(0).map(({ route, what, range }) =>
      [route, what, ...(range ? [range] : [])].join(" ")
    );
  }

  async [Symbol.asyncDispose]() {
    await this.hub[Symbol.asyncDispose]();
    await Deno.remove(this.cache, { recursive: true });
  }
}

/** All files and links below a folder, without those that are empty. */
async function tree(folder: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await tree(path, `${prefix}${name}/`));
    else if (isSymlink) found.push(`${prefix}${name} -> ${await Deno.readLink(path)}`);
    else found.push(prefix + name);
  }
  return found.sort();
}

const bytes = (text: string | Uint8Array) =>
  typeof text === "string" ? new TextEncoder().encode(text) : text;

Deno.test("a model is fetched by its name, without what is not read, into Hugging Face's own layout", async () => {
  await using trial = new Trial();
  const commit = trial.hub.commit("oda/mill", model);
  const folder = await trial.fetch("oda/mill");
  assertEquals(folder, `${trial.cache}/models--oda--mill/snapshots/${commit}`);
  const digests = {
    config: gitDigest(bytes(model["config.json"]!)),
    tokenizer: gitDigest(bytes(model["tokenizer.json"]!)),
    weights: sha256(weights),
  };
  const up = "../../blobs/";
  assertEquals(
    await tree(`${trial.cache}/models--oda--mill`),
    [
      `.no_exist/${commit}/generation_config.json`,
      `.no_exist/${commit}/tokenizer_config.json`,
      ...Object.values(digests).map((digest) => `blobs/${digest}`),
      "refs/main",
      `snapshots/${commit}/config.json -> ${up}${digests.config}`,
      `snapshots/${commit}/model.safetensors -> ${up}${digests.weights}`,
      `snapshots/${commit}/tokenizer.json -> ${up}${digests.tokenizer}`,
    ].sort(),
  );
  assertEquals(await Deno.readFile(`${folder}/model.safetensors`), weights);
  assertEquals(await Deno.readTextFile(`${trial.cache}/models--oda--mill/refs/main`), commit);

  assertEquals(trial.asked().length, 5); // the commit, three files, one of them in the store
  await trial.fetch("oda/mill");
  assertEquals(trial.asked(), ["state oda/mill"], "a branch may have moved");
  assertEquals(await trial.fetch(`oda/mill@${commit}`), folder);
  assertEquals(trial.asked(), [], "a commit has not");
});

Deno.test("shards are fetched with their index, a tokenizer without weights, a folder of a model by its path", async () => {
  await using trial = new Trial();
  const shard = "model-00001-of-00002.safetensors", other = "model-00002-of-00002.safetensors";
  const index = JSON.stringify({ weight_map: { a: shard, b: other } });
  const files: Files = {
    ...{ "config.json": "{}", "consolidated.safetensors": "all of it once more" },
    ...{ [shard]: "a", [other]: "b", "model.safetensors.index.json": index },
    ...{ "tokenizer.json": "{}", "tokenizer_config.json": "{ }", "vocab.json": "{}" },
  };
  trial.hub.commit("oda/sharded", files);
  const names = async (folder: string) =>
    (await tree(folder)).map((line) => line.split(" -> ")[0]!);
  const tokenizer = await trial.fetch("oda/sharded", "tokenizer");
  assertEquals(await names(tokenizer), ["tokenizer.json", "tokenizer_config.json"]);
  const folder = await trial.fetch("oda/sharded");
  assertEquals(folder, tokenizer);
  assertEquals(await names(folder), [
    ...["config.json", shard, other, "model.safetensors.index.json"],
    ...["tokenizer.json", "tokenizer_config.json"],
  ]);
  trial.hub.commit("oda/adapted", {
    "lora/adapter_config.json": "{}",
    "lora/adapter_model.safetensors": "ab",
    "lora/config.json": "{}",
  });
  const lora = await trial.fetch("hf://oda/adapted/lora", "adapter");
  assert(lora.endsWith("/lora"), lora);
  assertEquals(await names(lora), ["adapter_config.json", "adapter_model.safetensors"]);

  trial.hub.commit("oda/torn", { ...files, [other]: "b", [shard]: "a" });
  const { [other]: _, ...torn } = files;
  trial.hub.commit("oda/torn", torn);
  await assertRejects(
    () => trial.fetch("oda/torn"),
    `Cannot fetch oda/torn: its files speak of ${other}, which is not among them.`,
  );
});

Deno.test("a data set is fetched as a file, as a folder, or whole, and only its data", async () => {
  await using trial = new Trial();
  const rows = '{"text": "The mill stood still, and nobody said anything about it at all."}\n';
  trial.hub.commit("datasets/oda/stories", {
    "README.md": "Stories.",
    "data/train-0.jsonl": rows,
    "data/train-1.jsonl": rows.repeat(2),
    "test.csv": "text\na\n",
  });
  const file = await trial.fetch("datasets/oda/stories/data/train-1.jsonl", "data");
  assertEquals(await Deno.readTextFile(file), rows.repeat(2));
  const folder = await trial.fetch("hf://datasets/oda/stories@main/data", "data");
  assertEquals((await tree(folder)).length, 2);
  const whole = await trial.fetch("datasets/oda/stories", "data");
  assertEquals((await tree(whole)).map((line) => line.split(" ")[0]), [
    ...["data/train-0.jsonl", "data/train-1.jsonl", "test.csv"],
  ]);
  assert(whole.includes("/datasets--oda--stories/snapshots/"), whole);
  const link = (await tree(`${whole}/data`))[0]!;
  assert(link.includes(" -> ../../../blobs/"), link);

  trial.hub.commit("datasets/oda/one", { "README.md": "One.", "train/all.jsonl": rows });
  assert((await trial.fetch("datasets/oda/one", "data")).endsWith("/train/all.jsonl"));
  await assertRejects(
    () => trial.fetch("datasets/oda/stories/dat", "data"),
    "Cannot fetch datasets/oda/stories/dat: it has no such file or folder, but README.md, data/",
  );
  const offline = await trial.fetch("datasets/oda/stories/data", "data", { offline: true });
  assertEquals(offline, folder);
  assertEquals(trial.notices.at(-1), "The cache holds 2 files of it.");
});

Deno.test("a cut connection is continued where it broke off, within a call and in the next one", async () => {
  await using trial = new Trial();
  trial.hub.commit("oda/mill", model);
  let cuts = 2;
  trial.hub.fault = ({ route }) =>
    route === "store" && cuts-- > 0 ? { cutAfter: 100_000 } : undefined;
  const done: number[] = [];
  const folder = await trial.fetch("oda/mill", "model", {}, { onProgress: (at) => done.push(at) });
  assertEquals(await Deno.readFile(`${folder}/model.safetensors`), weights);
  const ranges = trial.hub.seen.filter(({ route }) => route === "store").map(({ range }) => range);
  assertEquals(ranges, [null, "bytes=100000-", "bytes=200000-"]);
  assertEquals(trial.waits, [1000, 1000], "an attempt that got further is not a failed one");
  assertEquals(done, done.toSorted((a, b) => a - b));
  assertEquals(done.at(-1), 300_000 + 22 + 13);

  await using second = new Trial();
  second.hub.commit("oda/mill", model);
  let left = 1; // then the store is gone, until the next call
  second.hub.fault = ({ route }) =>
    route !== "store" ? undefined : left-- > 0 ? { cutAfter: 70_000 } : refusal(503);
  await assertRejects(
    () => second.fetch("oda/mill"),
    "Cannot fetch model.safetensors of oda/mill: the hub failed (HTTP 503), 5 times. Try again later",
  );
  assertEquals(await tree(`${second.cache}/models--oda--mill/blobs`).then((all) => all.length), 2);
  second.hub.fault = () => undefined;
  second.hub.seen.length = 0;
  const resumed = await second.fetch("oda/mill");
  assertEquals(await Deno.readFile(`${resumed}/model.safetensors`), weights);
  const store = second.hub.seen.filter(({ route }) => route === "store");
  assertEquals(store.map(({ range }) => range), ["bytes=70000-"]);
  assert(
    second.notices.at(-1)!.includes("Fetching 224.6 KiB in 2 files of"),
    second.notices.at(-1),
  );
});

Deno.test("a store that serves no parts is read from the start, and a silent connection is given up", async () => {
  await using trial = new Trial();
  trial.hub.commit("oda/mill", model);
  let cuts = 1;
  trial.hub.fault = ({ route }) =>
    route !== "store" ? undefined : cuts-- > 0 ? { cutAfter: 100_000 } : { withoutRanges: true };
  const folder = await trial.fetch("oda/mill");
  assertEquals(await Deno.readFile(`${folder}/model.safetensors`), weights);

  trial.hub.commit("oda/shifted", { ...model, "model.safetensors": weights.slice(7) });
  let answers = 0;
  trial.hub.fault = ({ route }) => {
    if (route !== "store" || ++answers > 2) return undefined;
    if (answers === 1) return { cutAfter: 100_000 };
    return new Response(weights.slice(5), {
      status: 206,
      headers: { "content-range": "bytes 5-" },
    });
  };
  const shifted = await trial.fetch("oda/shifted");
  assertEquals(await Deno.readFile(`${shifted}/model.safetensors`), weights.slice(7));
  assertEquals(trial.hub.seen.at(-3)!.range, "bytes=100000-", "the wrong part was not written");

  await assertRejects(
    () =>
      trial.fetch("oda/silent", "model", {}, {
        patience: 1,
        fetch: (_, { signal }) =>
          new Promise((_, reject) => {
            signal!.addEventListener("abort", () => reject(signal!.reason));
          }),
      }),
    "failed (nothing came for a while), 5 times. Try again later",
  );
});

Deno.test("a damaged file is refused and not kept, and a damaged beginning is fetched anew", async () => {
  await using trial = new Trial();
  trial.hub.commit("oda/mill", model);
  const damaged = weights.slice();
  damaged[12345]! ^= 1;
  trial.hub.fault = ({ route }) => route === "store" ? new Response(damaged) : undefined;
  await assertRejects(
    () => trial.fetch("oda/mill"),
    "Cannot fetch model.safetensors of oda/mill: what came does not have the SHA-256 that the hub " +
      "gives for it. Try again",
  );
  const blobs = `${trial.cache}/models--oda--mill/blobs`;
  assertEquals((await tree(blobs)).length, 1, "only the configuration, which came before");
  trial.hub.fault = ({ what }) =>
    what === "tokenizer.json" ? new Response('{"model": []}') : undefined;
  await assertRejects(
    () => trial.fetch("oda/mill"),
    "tokenizer.json of oda/mill: what came does not have the SHA-1",
  );
  await assertRejects(
    () => Deno.readDir(`${blobs}/../snapshots`)[Symbol.asyncIterator]().next().then(() => {}),
    "No such",
  );

  for (const left of [damaged.slice(0, 50_000), damaged, new Uint8Array(400_000)]) {
    await Deno.remove(`${blobs}/${sha256(weights)}`).catch(() => {});
    await Deno.writeFile(`${blobs}/${sha256(weights)}.incomplete`, left);
    trial.hub.fault = () => undefined;
    const folder = await trial.fetch("oda/mill");
    assertEquals(await Deno.readFile(`${folder}/model.safetensors`), weights);
  }
  await Deno.rename(`${blobs}/${sha256(weights)}`, `${blobs}/${sha256(weights)}.incomplete`);
  trial.asked();
  await trial.fetch("oda/mill");
  assertEquals(trial.asked(), ["state oda/mill"], "what is complete is only checked");
});

const refusals: [what: string, answer: () => Response, token: string | undefined, said: string][] =
  [
    [
      ...["401 without a token", () => refusal(401, "RepoNotFound"), undefined] as const,
      "Cannot fetch oda/mill: the hub has no such model, and here is no such folder (HTTP 401). " +
      "Check the name; for a private one set HF_TOKEN.",
    ],
    [
      ...["401 with a token", () => refusal(401), token] as const,
      "Cannot fetch oda/mill: the hub does not accept the token (HTTP 401). Set HF_TOKEN to a valid one",
    ],
    [
      ...["403 of a gated model", () => refusal(403, "GatedRepo"), token] as const,
      "Cannot fetch oda/mill: its owners ask to be asked (HTTP 403). Accept their terms on http://127.0.0.1",
    ],
    [
      ...["401 of a gated model", () => refusal(401, "GatedRepo"), undefined] as const,
      "and set HF_TOKEN.",
    ],
    [
      ...["404", () => refusal(404, "RepoNotFound"), token] as const,
      "no such folder (HTTP 404). Check the name; a private one must be open to the account of HF_TOKEN.",
    ],
    [
      ...["404 of a revision", () => refusal(404, "RevisionNotFound"), undefined] as const,
      'Cannot fetch oda/mill: it has no revision "main" (HTTP 404). Look at the branches of http',
    ],
    [
      ...["another refusal", () => refusal(418), undefined] as const,
      "Cannot fetch oda/mill: the hub refused (HTTP 418). Open http",
    ],
    [
      ...["no hub", () => new Response("<html>"), undefined] as const,
      "Cannot fetch oda/mill: the answer is not one of the hub. Check HF_ENDPOINT",
    ],
    [
      ...["a path that leaves the cache", () =>
        Response.json({
          sha: "a".repeat(40),
          siblings: [{ rfilename: "../../x.json", size: 1, blobId: "b".repeat(40) }],
        }), undefined] as const,
      'one of its files is called "../../x.json", which would leave the cache',
    ],
    [
      ...["a digest that is a path", () =>
        Response.json({
          sha: "a".repeat(40),
          siblings: [{ rfilename: "config.json", size: 1, blobId: "../x" }],
        }), undefined] as const,
      "the answer is not one of the hub",
    ],
  ];

Deno.test("the hub's refusals become sentences with what to do, asked once and without a trace", async () => {
  await using trial = new Trial();
  trial.hub.commit("oda/mill", model);
  for (const [what, answer, token, said] of refusals) {
    trial.hub.fault = answer;
    await assertRejects(() => trial.fetch("oda/mill", "model", { token }), said);
    assertEquals(trial.asked().length, 1, what);
  }
  trial.hub.fault = ({ route }) => route === "file" ? refusal(404, "EntryNotFound") : undefined;
  await assertRejects(
    () => trial.fetch("oda/mill"),
    "config.json of oda/mill: it has no such file",
  );
  assertEquals(trial.waits, []);
  trial.hub.fault = () => undefined;
  await assertRejects(
    () => trial.fetch("oda/mill@step1"),
    'Cannot fetch oda/mill@step1: it has no revision "step1"',
  );
  await assertRejects(
    () => trial.fetch("oda/mill", "adapter"),
    "it has no LoRA of PEFT, but README.md",
  );
  trial.hub.commit("oda/pickled", { "config.json": "{}", "pytorch_model.bin": "x" });
  await assertRejects(
    () => trial.fetch("oda/pickled"),
    "Cannot fetch oda/pickled: it has no model.safetensors, whole or in shards, but config.json, pytorch_model.bin. Name a revision",
  );
  await assertRejects(
    () => trial.fetch("oda"),
    'Cannot fetch "oda": it is no such name on the hub',
  );
  await assertRejects(
    () => trial.fetch("oda/mill", "data"),
    "Write datasets/owner/name/file.jsonl",
  );
});

Deno.test("a hub that is asked too often is waited for as long as it says, but not for hours", async () => {
  await using trial = new Trial();
  trial.hub.commit("oda/mill", model);
  const answers = [
    refusal(429, undefined, { "retry-after": "7" }),
    refusal(429, undefined, { ratelimit: '"api";r=0;t=55' }),
    refusal(429),
    refusal(500),
  ];
  trial.hub.fault = () => answers.shift();
  await trial.fetch("oda/mill");
  assertEquals(trial.waits, [7000, 55_000, 4000, 8000]);
  assertEquals(
    trial.notices[0],
    "Trying oda/mill again in 7 s: the hub asks to send fewer requests (HTTP 429).",
  );

  trial.hub.fault = () => refusal(429, undefined, { "retry-after": "3600" });
  await assertRejects(
    () => trial.fetch("oda/other"),
    "Cannot fetch oda/other: the hub asks to send fewer requests (HTTP 429). Try again in 60 minutes",
  );
  trial.hub.fault = () => refusal(429, undefined, { "retry-after": "0" });
  trial.waits.length = 0;
  await assertRejects(() => trial.fetch("oda/other"), "(HTTP 429), 5 times. Try again later");
  assertEquals(trial.waits, [0, 0, 0, 0]);
});

Deno.test("a branch that moved is said and fetched, what did not change is not, and the old commit stays", async () => {
  await using trial = new Trial();
  const before = trial.hub.commit("oda/mill", model);
  const first = await trial.fetch("oda/mill");
  const after = trial.hub.commit("oda/mill", {
    ...model,
    "config.json": '{"model_type": "olmo2"}',
  });
  trial.asked();
  const second = await trial.fetch("oda/mill");
  assertEquals(trial.asked(), ["state oda/mill", "file config.json"]);
  const said =
    `oda/mill has changed since it was last fetched: it was ${before.slice(0, 12)} and is ` +
    `${after.slice(0, 12)}.`;
  assert(trial.notices.includes(said), trial.notices.join("\n"));
  assert((await Deno.readTextFile(`${second}/config.json`)).includes("olmo2"));
  assertEquals(await Deno.readTextFile(`${first}/config.json`), model["config.json"]);
  assertEquals(await trial.fetch(`oda/mill@${before}`), first);
  assertEquals(trial.asked(), []);
});

Deno.test("without a network what was fetched does, whole and said so; what was not is refused", async () => {
  await using trial = new Trial();
  const commit = trial.hub.commit("oda/mill", model);
  await assertRejects(
    () => trial.fetch("oda/mill", "model", { offline: true }),
    `Cannot fetch oda/mill: HF_HUB_OFFLINE is set, and it is not in ${trial.cache}. Unset`,
  );
  const folder = await trial.fetch("oda/mill");
  trial.asked();
  assertEquals(await trial.fetch("oda/mill", "model", { offline: true }), folder);
  assertEquals(trial.asked(), []);
  trial.hub.fault = () => refusal(502);
  assertEquals(await trial.fetch("oda/mill"), folder);
  assertEquals(trial.waits, [1000], "it is not waited for long where there is something to use");
  assertEquals(
    trial.notices.at(-1),
    `oda/mill is as fetched earlier (${commit.slice(0, 12)}), since the hub cannot be reached.`,
  );
  const endpoint = "http://127.0.0.1:9"; // where nothing listens
  assertEquals(await trial.fetch("oda/mill", "tokenizer", { endpoint }), folder);
  await assertRejects(
    () => trial.fetch("oda/other", "model", { endpoint }),
    "Cannot fetch oda/other: the connection to 127.0.0.1:9 failed (",
  );
  await Deno.remove(`${folder}/model.safetensors`);
  await assertRejects(
    () => trial.fetch("oda/mill", "model", { offline: true }),
    "HF_HUB_OFFLINE is set, and model.safetensors is not in",
  );
  trial.hub.fault = () => refusal(401, "RepoNotFound"); // it is there no more, and said to be so
  await assertRejects(() => trial.fetch("oda/mill", "tokenizer"), "the hub has no such model");
});

Deno.test("what Python has fetched is found, and nothing is asked where a commit is given", async () => {
  await using trial = new Trial();
  const commit = "0123456789".repeat(4);
  const root = `${trial.cache}/models--oda--mill`;
  for (const folder of ["blobs", "refs/refs/pr", `snapshots/${commit}`, `.no_exist/${commit}`]) {
    await Deno.mkdir(`${root}/${folder}`, { recursive: true });
  }
  for (const [path, content] of Object.entries(model)) {
    if (path.includes("/") || path === "README.md") continue;
    await Deno.writeFile(`${root}/blobs/${sha256(bytes(content))}`, bytes(content));
    await Deno.symlink(
      `../../blobs/${sha256(bytes(content))}`,
      `${root}/snapshots/${commit}/${path}`,
    );
  }
  await Deno.writeTextFile(`${root}/refs/main`, commit);
  await Deno.writeTextFile(`${root}/refs/refs/pr/1`, commit);
  const folder = `${root}/snapshots/${commit}`;
  for (const name of ["oda/mill", "oda/mill@refs/pr/1", `oda/mill@${commit}`]) {
    assertEquals(await trial.fetch(name, "model", { offline: true }), folder);
  }
  // It may have a generation_config.json, which Python was not asked for.
  await assertRejects(() => trial.fetch(`oda/mill@${commit}`), "no such model");
  for (const absent of ["generation_config.json", "tokenizer_config.json"]) {
    await Deno.writeTextFile(`${root}/.no_exist/${commit}/${absent}`, "");
  }
  trial.asked();
  assertEquals(await trial.fetch(`oda/mill@${commit}`), folder);
  assertEquals(trial.asked(), []);
});

Deno.test("a disk that is too small or cannot be written is named before anything is fetched", async () => {
  await using disk = await smallDisk("200k");
  if (!disk) return;
  await using trial = new Trial();
  trial.hub.commit("oda/mill", model);
  const cache = `${disk.path}/hub`;
  await assertRejects(
    () => trial.fetch("oda/mill", "model", { cache }),
    "Cannot fetch oda/mill: it takes 293 KiB, and 200 KiB are free at",
  );
  assertEquals(trial.asked(), ["state oda/mill"]);
  await disk.remount("ro");
  await assertRejects(
    () => trial.fetch("oda/mill", "tokenizer", { cache }),
    `Cannot make the folder "${cache}`,
  );
});

Deno.test("two who ask at once fetch a file once", async () => {
  await using trial = new Trial();
  trial.hub.commit("oda/mill", model);
  const [one, two] = await Promise.all([trial.fetch("oda/mill"), trial.fetch("oda/mill")]);
  assertEquals(one, two);
  assertEquals(trial.asked().filter((request) => request.startsWith("store")).length, 1);
});

Deno.test("the token goes to the hub alone, and neither it nor a store's address is ever said", async () => {
  await using trial = new Trial();
  trial.hub.commit("oda/mill", model);
  const faults: ((request: Seen) => ReturnType<StandInHub["fault"]>)[] = [
    () => undefined,
    ({ route }) => route === "store" ? { cutAfter: 200_000 } : undefined,
    ({ route }) => route === "store" ? refusal(403) : undefined,
    ({ route }) => route === "store" ? new Response("x") : undefined,
    ({ authorization }) => new Response(authorization, { status: 401 }),
    ({ authorization }) =>
      new Response(null, {
        status: 302,
        headers: { location: `http://127.0.0.1:9/${authorization!.slice(7)}?${signature}` },
      }),
    ({ authorization }) => new Response(`{"sha": "${authorization}"}`),
  ];
  const said: string[] = [];
  for (const fault of faults) {
    trial.hub.fault = fault;
    for await (const { name } of Deno.readDir(trial.cache)) {
      await Deno.remove(`${trial.cache}/${name}`, { recursive: true });
    }
    const error = await trial.fetch("oda/mill", "model", { token }).catch((error) => error);
    said.push(Deno.inspect(error), String(error?.message), ...trial.notices);
  }
  assertEquals(said.filter((text) => text.includes("Cannot fetch")).length, 10);
  for (const text of said) {
    for (const secret of [token, "ecretSecret", "opensTheStore"]) {
      assert(!text.includes(secret), `${secret} is said in: ${text}`);
    }
  }
  const { seen } = trial.hub;
  for (const { route, authorization } of seen) {
    assertEquals(authorization, route === "store" ? null : `Bearer ${token}`);
  }
  assert(seen.some(({ route }) => route === "store"));
});

Deno.test("settings are read as Hugging Face's own programs read them, and refused without being repeated", () => {
  const read = (variables: Record<string, string>) => readHubSettings((name) => variables[name]);
  const nobody = "/nobody/there";
  assertEquals(read({ HOME: nobody }), {
    endpoint: "https://huggingface.co",
    token: undefined,
    cache: `${nobody}/.cache/huggingface/hub`,
    offline: false,
  });
  assertEquals(read({ XDG_CACHE_HOME: "/x", HOME: nobody }).cache, "/x/huggingface/hub");
  assertEquals(read({ HF_HOME: "~/h", HOME: nobody }).cache, `${nobody}/h/hub`);
  assertEquals(read({ HF_HOME: "/h", HF_HUB_CACHE: "/c" }).cache, "/c");
  assertEquals(read({ USERPROFILE: nobody }).cache, `${nobody}/.cache/huggingface/hub`);
  for (const [said, offline] of [["1", true], ["TRUE", true], ["0", false], ["", false]] as const) {
    assertEquals(read({ HOME: nobody, HF_HUB_OFFLINE: said }).offline, offline);
  }
  const mirror = read({
    HOME: nobody,
    HF_ENDPOINT: "http://mirror.test/hf/",
    HF_TOKEN: ` ${token}\n`,
  });
  assertEquals([mirror.endpoint, mirror.token], ["http://mirror.test/hf", token]);
  assertThrows(() => read({}), "Cannot use the hub: there is no home folder to keep files in.");
  for (
    const [name, value] of [["HF_TOKEN", "hf_a\nb"], ["HF_ENDPOINT", "https://u:pass@x"], [
      "HF_ENDPOINT",
      "x",
    ]]
  ) {
    let message = "";
    try {
      read({ HOME: nobody, [name!]: value! });
    } catch (error) {
      message = (error as Error).message;
    }
    assert(message.startsWith(`Cannot use the hub: ${name}`), message);
    assert(!message.includes("hf_a") && !message.includes("pass"), message);
  }
  const home = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${home}/token`, `${token}\n`);
  assertEquals(read({ HF_HOME: home }).token, token);
  assertEquals(read({ HF_HOME: home, HF_TOKEN: "hf_other" }).token, "hf_other");
  Deno.removeSync(home, { recursive: true });
});
