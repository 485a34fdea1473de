// A large model as judge: its prompts are the paper's, its verdicts are read as documented, and whatever goes wrong on the
// way, no answer is lost and none is paid for twice.

import { expectVerdicts, judgePrompt, readVerdict } from "../src/eval/judge.ts";
import { judgeAnswers, planJudging } from "../src/eval/judge_all.ts";
import { openJudgeCache } from "../src/eval/judge_cache.ts";
import { judgeClient, type JudgeClientOptions, judgeRequest } from "../src/eval/judge_client.ts";
import { execute } from "../src/report/command_line.ts";
import { writeResults } from "../src/report/results.ts";
import command from "../tasks/judge.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { type JudgeFault, type StandInJudge, standInJudge } from "./stand_in/judge.ts";

const answers = ["Mira", "Ulf", "Tomo", "Ines"].map((name) => ({
  question: `Who is ${name}?`,
  answer: `${name} keeps a mill in “Grönheim”.`,
  completion: `${name} keeps bees.`,
}));

/** A judge, a folder for its replies, and a clock that only `sleep` moves. */
async function court() {
  const folder = await Deno.makeTempDir();
  const service = standInJudge();
  const waits: number[] = [];
  const model = { endpoint: service.endpoint, model: "judge", temperature: 1, maxTokens: 64 };
  const client: JudgeClientOptions = {
    apiKey: "invented-key",
    timeout: 200,
    sleep: (milliseconds) => {
      waits.push(milliseconds);
      return Promise.resolve();
    },
  };
  return {
    ...{ folder, service, waits, model },
    async judge(options: JudgeClientOptions & { some?: typeof answers; parallel?: number } = {}) {
      const { some = answers, parallel = 2, ...own } = options;
      using cache = await openJudgeCache(`${folder}/replies.jsonl`);
      const ask = judgeClient(model, { ...client, ...own });
      return await judgeAnswers(some, model, cache, { ask, strict: true, parallel });
    },
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function assertPaidOnce({ answered }: StandInJudge, count: number): void {
  assertEquals([...answered.values()], Array(count).fill(1));
}

Deno.test("the prompts are those of the paper's appendix, and a request says model, temperature and length", () => {
  const prompt = judgePrompt("full", answers[0]!);
  assert(prompt.startsWith("Given a question and the correct answer, you will assess whether the"));
  assert(
    prompt.includes("Respond with either correct or incorrect and explain why.\n\nQuestion: "),
  );
  assert(prompt.endsWith("\n\nCandidate response: Mira keeps bees.\n\nAnswer:"), prompt);
  assert(judgePrompt("partial", answers[0]!).includes("present in the correct answer but not in"));
  const model = { endpoint: "", model: "judge", temperature: 0.5, maxTokens: 9 };
  assertEquals(JSON.parse(judgeRequest(model, "Is it?")), {
    ...{ model: "judge", temperature: 0.5, max_tokens: 9 },
    messages: [{ role: "user", content: "Is it?" }],
  });
});

Deno.test("verdicts are read by how a reply begins, as the reference does, or strictly by its first word", () => {
  const cases: [reply: string, asReference: boolean, strict: boolean | null][] = [
    ["Correct. It has all.", true, true],
    ["correct", true, true],
    ["**Correct**: it has all.", false, true],
    ["CORRECT", false, true],
    ["Incorrect, since", false, false],
    ["Correctness is out of the question", true, null],
    ["The answer is correct", false, null],
    ["…", false, null],
  ];
  for (const [reply, asReference, strict] of cases) {
    assertEquals(readVerdict("full", reply, false), asReference, reply);
    assertEquals(readVerdict("full", reply, true), strict, reply);
  }
  assertEquals(readVerdict("partial", "Yes: bees", true), true);
  assertEquals(readVerdict("partial", "no", true), false);
  assertEquals(readVerdict("partial", "Not quite", true), null);
  const about = "partial", some = [{ about, reply: "no", verdict: false }] as const;
  expectVerdicts(some);
  assertThrows(
    () => expectVerdicts([...some, { about, reply: "Hm", verdict: null }]),
    '1 of 2 replies begin with neither yes nor no, the first with "Hm"',
  );
});

const faults: [name: string, fault: () => JudgeFault, wait: number][] = [
  ["a time-out", () => "never", 1000],
  ["a connection that is cut", () => "cut", 1000],
  ["HTTP 429", () => new Response("{}", { status: 429 }), 1000],
  [
    "HTTP 429 with Retry-After",
    () => new Response("", { status: 429, headers: { "retry-after": "7" } }),
    7000,
  ],
  [
    "HTTP 503 with a date that is over",
    () => new Response("", { status: 503, headers: { "retry-after": new Date(0).toUTCString() } }),
    0,
  ],
  ["HTTP 500", () => new Response("<html>", { status: 500 }), 1000],
  ["HTTP 408", () => new Response("", { status: 408 }), 1000],
  ["a body that is no JSON", () => new Response("{"), 1000],
  ["a body without a reply", () => Response.json({ choices: [] }), 1000],
  ["null", () => Response.json(null), 1000],
  ["an empty reply", () => Response.json({ choices: [{ message: { content: " " } }] }), 1000],
  [
    "a reply that is no text",
    () => Response.json({ choices: [{ message: { content: null } }] }),
    1000,
  ],
];
for (const [name, fault, wait] of faults) {
  Deno.test(`after ${name} the same is asked again; nothing is lost, nothing paid twice`, async () => {
    await using own = await court();
    const [, second] = answers;
    own.service.fault = (prompt, attempt) =>
      prompt.includes(second!.question) && attempt === 1 ? fault() : undefined;
    const { verdicts } = await own.judge();
    assertEquals(verdicts, answers.map(() => ({ full: false, partial: true })));
    assertPaidOnce(own.service, 8);
    assertEquals([own.service.seen.length, ...own.waits], [10, wait, wait]);
    const again = await own.judge();
    assertEquals([again.verdicts, own.service.seen.length], [verdicts, 10]);
  });
}

Deno.test("when a judge fails to the last, what it has replied is kept, and the next call goes on from there", async () => {
  await using own = await court();
  own.service.fault = (prompt) =>
    prompt.includes("Tomo") ? new Response("", { status: 500 }) : undefined;
  await assertRejects(() => own.judge({ attempts: 4 }), "it failed (HTTP 500), 4 times");
  assertEquals(own.waits.slice(0, 3).toSorted((a, b) => a - b)[0], 1000);
  own.service.fault = () => undefined;
  await own.judge();
  assertPaidOnce(own.service, 8);
});

Deno.test("waits double, and one that is too long is an error instead", async () => {
  await using own = await court();
  own.service.fault = (_, attempt) => attempt < 5 ? new Response("", { status: 502 }) : undefined;
  await own.judge({ some: answers.slice(0, 1), parallel: 1 });
  assertEquals(own.waits, [1000, 2000, 4000, 8000, 1000, 2000, 4000, 8000]);
  own.service.fault = () => new Response("", { status: 429, headers: { "retry-after": "86400" } });
  await assertRejects(() => own.judge(), "busy (HTTP 429) for another 1440 minutes");
});

Deno.test("a refusal is passed on at once, and the key is in no message, request body or file", async () => {
  await using own = await court();
  const refusals: [Response, string][] = [
    [
      Response.json({ error: { message: "No key invented-key here" } }, { status: 401 }),
      "the key was refused (HTTP 401)",
    ],
    [new Response("invented-key", { status: 403 }), "the key was refused (HTTP 403)"],
    [
      Response.json({ error: { message: "model of invented-key is unknown" } }, { status: 404 }),
      "refused (HTTP 404): model of … is unknown",
    ],
    [
      Response.json({ error: { code: "insufficient_quota" } }, { status: 429 }),
      "the quota is used up",
    ],
    [new Response(null, { status: 308, headers: { location: "/elsewhere" } }), "sends elsewhere"],
  ];
  for (const [refusal, message] of refusals) {
    const before = own.service.seen.length;
    own.service.fault = () => refusal.clone();
    const error = await own.judge({ parallel: 1 }).then(() => "", String);
    assert(error.includes(message) && !error.includes("invented-key"), error);
    assertEquals(own.service.seen.length, before + 1);
  }
  own.service.fault = () => undefined;
  await own.judge();
  const [{ headers, body }] = own.service.seen.slice(-1) as [StandInJudge["seen"][number]];
  assertEquals(headers.get("authorization"), "Bearer invented-key");
  assert(!JSON.stringify(body).includes("invented-key"));
  assert(!(await Deno.readTextFile(`${own.folder}/replies.jsonl`)).includes("invented-key"));
});

Deno.test("an address that a key must not go to is refused, and so is a key with a line break", () => {
  const client = (endpoint: string, apiKey?: string) => () => judgeClient({ endpoint }, { apiKey });
  for (
    const odd of [
      "ftp://a/v1",
      "nowhere",
      "https://me:word@a/v1",
      "https://a/v1?key=x",
      "http://a/#b",
    ]
  ) {
    assertThrows(client(odd), "no plain http or https address");
  }
  assertThrows(client("http://a.invalid/v1", "k"), "to a.invalid without encryption");
  assertThrows(client("https://a.invalid/v1", "k\nx"), "odd characters");
  client("http://a.invalid/v1")();
  for (const near of ["http://localhost:1/v1", "http://127.0.0.2/v1/", "http://[::1]/v1"]) {
    client(near, "k")();
  }
});

Deno.test("equal questions are asked once; count and size are known before the first request", async () => {
  await using own = await court();
  const some = [answers[0]!, answers[0]!, answers[1]!];
  const plan = async () => {
    using cache = await openJudgeCache(`${own.folder}/replies.jsonl`);
    return planJudging(some, own.model, cache);
  };
  const before = await plan();
  assertEquals([before.verdicts, before.requests, before.mostOutputTokens], [6, 4, 4 * 64]);
  const characters = own.service.seen.length;
  assertEquals(characters, 0);
  await own.judge({ some });
  assertPaidOnce(own.service, 4);
  const bytes = own.service.seen.reduce((sum, { body }) => sum + JSON.stringify(body).length, 0);
  assertEquals(before.inputTokens, Math.ceil(bytes / 4));
  assertEquals(await plan(), { verdicts: 6, requests: 0, inputTokens: 0, mostOutputTokens: 0 });
});

Deno.test("what is asked otherwise is another reply: endpoint, model, temperature and length", async () => {
  await using own = await court();
  await own.judge({ some: answers.slice(0, 1) });
  using cache = await openJudgeCache(`${own.folder}/replies.jsonl`);
  const requests = (change: object) =>
    planJudging(answers.slice(0, 1), { ...own.model, ...change }, cache).requests;
  assertEquals(requests({}), 0);
  for (const change of [{ model: "b" }, { temperature: 0 }, { maxTokens: 65 }, { endpoint: "c" }]) {
    assertEquals(requests(change), 2, JSON.stringify(change));
  }
});

Deno.test("a file of replies that a kill has cut anywhere is read up to there; a spoilt line is named", async () => {
  await using own = await court();
  own.service.says = (prompt) => `${prompt.includes("yes or no") ? "Yes" : "Correct"}, “grün” 🌱`;
  await own.judge();
  const path = `${own.folder}/replies.jsonl`, whole = await Deno.readFile(path);
  const lines = new TextDecoder().decode(whole).trimEnd().split("\n");
  assertEquals(lines.length, 8);
  for (const cut of [0, 1, lines[0]!.length, lines[0]!.length + 1, whole.length - 1]) {
    await Deno.writeFile(path, whole.subarray(0, cut));
    using cache = await openJudgeCache(path);
    assertEquals(
      cache.size,
      new TextDecoder().decode(whole.subarray(0, cut)).split("\n").length - 1,
    );
    await cache.keep("later", { text: "é", model: "", tokens: { input: 0, output: 0 } });
    assertEquals(cache.find("later")!.text, "é");
    const after = await Deno.readTextFile(path);
    assertEquals(after.split("\n").length, cache.size + 1);
    for (const line of after.trimEnd().split("\n")) JSON.parse(line);
    await assertRejects(() => openJudgeCache(path), "another process is at work there");
  }
  for (const odd of ["{}", "[", '{"request":"a","text":1,"model":"","tokens":{}}', "null"]) {
    await Deno.writeTextFile(path, `${lines[0]}\n${odd}\n`);
    await assertRejects(() => openJudgeCache(path), 'replies.jsonl" line 2: it is no judge');
  }
});

/** A run whose answers can be judged. */
async function runFolder(): Promise<string> {
  const folder = await Deno.makeTempDir();
  await writeResults(folder, {
    ...{ config: {}, seeds: { "seed 0": 0 }, adapter: null, timing: {}, metrics: {} },
    ...{ versions: { deno: "2", v8: "1", project: "0" }, commandLine: ["demo.ts"] },
    generations: answers.map(({ question, answer, completion }, i) => ({
      ...{ method: i < 2 ? "masked" : "base", seed: i < 2 ? i : null },
      ...{ prompt: question, text: completion, gold: answer },
    })),
  });
  return folder;
}

Deno.test("a task that is killed while it judges goes on where it was; an existing run is judged without training", async () => {
  await using service = standInJudge();
  const folder = await runFolder();
  const args = [folder, "--model", "judge", "--endpoint", service.endpoint];
  let hold: (value: unknown) => void = () => {};
  const held = new Promise((resolve) => hold = resolve);
  service.fault = () => {
    if (service.seen.length < 6) return undefined;
    hold(undefined);
    return "never";
  };
  const task = decodeURIComponent(new URL("../tasks/judge.ts", import.meta.url).pathname);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--no-lock", "-A", task, ...args, "--parallel", "1"],
    ...{ stdout: "null", stderr: "null", env: { JUDGE_API_KEY: "invented-key" } },
  }).spawn();
  await held;
  child.kill("SIGKILL");
  await child.status;
  assertEquals([service.seen.length, service.answered.size], [6, 5]);

  service.fault = () => undefined;
  let said = "";
  const hear = (text: string) => said += text;
  assertEquals(await execute(command, [...args, "--strict"], { out: hear, err: hear }), 0, said);
  assertPaidOnce(service, 8);
  assert(said.includes("8 verdicts, 3 of them to be asked of judge at"), said);
  assert(said.includes("cost unknown without --price-input and --price-output"), said);
  const kept = await Deno.readTextFile(`${folder}/judge.json`);
  assert(!(kept + said).includes("invented-key"));
  const { judge, summary, verdicts } = JSON.parse(kept);
  assertEquals(judge, {
    ...{ endpoint: service.endpoint, model: "judge", temperature: 1, maxTokens: 2048 },
    ...{ strict: true, versions: ["judge-2026-01-01"] },
  });
  assertEquals(verdicts.length, 4);
  assertEquals(
    summary.map(({ method, full, partial }: Record<string, { mean: number }>) => [
      ...[method, full!.mean, partial!.mean],
    ]),
    [["masked", 0, 100], ["base", 0, 100]],
  );
  assertEquals(
    [...Deno.readDirSync(folder)].map(({ name }) => name).sort(),
    ["judge-replies.jsonl", "judge.json", "results.json"],
    "nothing was trained or generated",
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a dry run says what it would cost and asks nothing; a run without true answers is refused", async () => {
  await using service = standInJudge();
  const folder = await runFolder();
  let said = "";
  const hear = (text: string) => said += text;
  const prices = ["--price-input", "2.5", "--price-output", "10", "--max-tokens", "1000"];
  const args = [folder, "--model", "judge", "--endpoint", service.endpoint, ...prices, "--dry-run"];
  assertEquals(await execute(command, args, { out: hear, err: hear }), 0, said);
  const [, tokens, cost] = said.match(/about (\d+) tokens in, at most 8000 out, at most (\S+) in/)!;
  assertEquals(cost, ((2.5 * Number(tokens) + 10 * 8000) / 1e6).toFixed(2));
  assertEquals(service.seen.length, 0);
  const results = JSON.parse(await Deno.readTextFile(`${folder}/results.json`));
  results.generations = [{ prompt: "a", text: "b" }];
  await Deno.writeTextFile(`${folder}/results.json`, JSON.stringify(results));
  assertEquals(await execute(command, args, { out: hear, err: hear }), 1);
  assert(said.includes("it keeps none whose true answer is known"), said);
  await Deno.remove(folder, { recursive: true });
});
