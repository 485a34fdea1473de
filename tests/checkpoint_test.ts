// Checkpoints: a run that was killed or stopped and goes on ends in the same bytes as one that never stopped, a
// checkpoint that does not fit is refused, and a disk that fills up leaves the previous checkpoint whole.

import { fileURLToPath } from "node:url";
import { Gpu } from "../src/gpu/gpu.ts";
import type { DecoderConfig } from "../src/model/config.ts";
import { loadModel } from "../src/model/weights.ts";
import { objective } from "../src/slung/objective.ts";
import { checkpointsIn } from "../src/train/checkpoint.ts";
import { digestEpochs, digestOptimiserState, fingerprintOf } from "../src/train/fingerprint.ts";
import { fit, type FitOptions } from "../src/train/fit.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { adamw, olmo, pairings, randomSequences, trainable } from "./fixtures/tiny.ts";
import { assertSame, assertSameFiles } from "./fixtures/same.ts";
import { runSteps, trainingRun } from "./fixtures/training_run.ts";

const script = fileURLToPath(new URL("fixtures/training_run.ts", import.meta.url));

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

// Every file below a folder with its bytes.
async function contents(folder: string, prefix = ""): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${prefix}`)) {
    const path = prefix + name;
    if (!isDirectory) files.set(path, await Deno.readFile(`${folder}/${path}`));
    else for (const [key, bytes] of await contents(folder, `${path}/`)) files.set(key, bytes);
  }
  return new Map([...files].sort(([a], [b]) => a < b ? -1 : 1));
}

const checkpointFiles = (step: number) =>
  ["config.json", "model.safetensors", "optimiser.safetensors", "training.json"]
    .map((name) => `step-${String(step).padStart(8, "0")}/${name}`);

// The steps that a process prints until it has printed `last`, or until it ends.
async function readSteps(stdout: ReadableStream<Uint8Array>, last?: number): Promise<number[]> {
  let text = "";
  const lines = () => text.split("\n").slice(0, -1).map(Number);
  for await (const chunk of stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (last !== undefined && lines().includes(last)) break;
  }
  return lines();
}

function runArgs(folder: string, family: string, pauseAfter?: number): string[] {
  const args = ["run", "-A", "--quiet", script, folder, family];
  return pauseAfter === undefined ? args : [...args, String(pauseAfter)];
}

function startRun(folder: string, family: string, pauseAfter?: number): Deno.ChildProcess {
  const args = runArgs(folder, family, pauseAfter);
  return new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
}

for (const family of ["olmo", "llama"] as const) {
  const pairing = pairings[family]; // interleaved weights are permuted when saved
  Deno.test(`${family} (${pairing} rotary): killed and resumed in a new process, a run ends in the same bytes`, async () => {
    await using folder = await temporaryFolder();
    const killed = startRun(folder.path, family, 6);
    const steps = await readSteps(killed.stdout, 6);
    killed.kill("SIGKILL");
    assertEquals((await killed.status).signal, "SIGKILL");
    await killed.stdin.close().catch(() => {});
    assertEquals(steps, [0, 1, 2, 3, 4, 5, 6]);
    // Steps 4, 5 and 6 were done beyond the checkpoint and are lost.
    assertEquals([...(await contents(folder.path)).keys()], checkpointFiles(4));

    const resumed = startRun(folder.path, family);
    assertEquals(await readSteps(resumed.stdout), [4, 5, 6, 7, 8, 9, 10, 11]);
    assertEquals((await resumed.status).code, 0);
    await resumed.stdin.close();

    await using reference = await temporaryFolder();
    const outcome = await trainingRun({ family, checkpoint: { folder: reference.path } });
    assertEquals([outcome.step, outcome.finished], [runSteps, true]);
    assertSameFiles(await contents(folder.path), await contents(reference.path));
    // Saving on the way changes nothing either.
    assertSame(outcome.state, (await trainingRun({ family })).state);
  });

  Deno.test(`${family}: stopped by a signal and resumed, a run ends in the same bytes`, async () => {
    await using folder = await temporaryFolder();
    const checkpoint = { folder: folder.path };
    const controller = new AbortController();
    const stopped = await trainingRun({
      family,
      checkpoint,
      readEvery: 1,
      signal: controller.signal,
      onLog: ({ step }) => step === 5 && controller.abort(),
    });
    assertEquals([stopped.step, stopped.finished], [6, false]);
    assertEquals([...(await contents(folder.path)).keys()], checkpointFiles(6));
    const resumed = await trainingRun({ family, checkpoint });
    assertEquals([resumed.step, resumed.finished], [runSteps, true]);
    assertEquals(resumed.log.map(({ step }) => step), [6, 7, 8, 9, 10, 11]);
    assertSame(resumed.state, (await trainingRun({ family })).state);
  });
}

Deno.test("a finished run resumes to its end without a step, and a signal given before stops at once", async () => {
  await using folder = await temporaryFolder();
  const checkpoint = { folder: folder.path };
  const aborted = await trainingRun({ checkpoint, signal: AbortSignal.abort() });
  assertEquals([aborted.step, aborted.finished, aborted.log], [0, false, []]);
  assertEquals((await contents(folder.path)).size, 0);

  const { state } = await trainingRun({ checkpoint });
  const before = await contents(folder.path);
  const again = await trainingRun({ checkpoint });
  assertEquals([again.step, again.finished, again.log], [runSteps, true, []]);
  assertSame(again.state, state);
  assertSameFiles(await contents(folder.path), before);
});

Deno.test("what a killed save left behind is neither loaded nor in the way", async () => {
  await using folder = await temporaryFolder();
  await Deno.mkdir(`${folder.path}/step-00000004.partial`);
  await Deno.writeTextFile(`${folder.path}/step-00000004.partial/training.json`, '{"step": 4');
  await Deno.writeTextFile(`${folder.path}/step-00000004.partial/model.safetensors.partial`, "x");
  await Deno.mkdir(`${folder.path}/step-00000006.partial`); // the resumed run saves no step 6
  const { state } = await trainingRun({ checkpoint: { folder: folder.path } });
  const names = await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
  assertEquals(names, [`step-000000${runSteps}`]);
  assertEquals([...(await contents(folder.path)).keys()], checkpointFiles(runSteps));
  assertSame(state, (await trainingRun()).state);
});

Deno.test("killed between the appearance of a checkpoint and the removal of the last, the newer counts", async () => {
  await using folder = await temporaryFolder();
  await trainingRun({ checkpoint: { folder: folder.path } });
  const newest = `${folder.path}/step-000000${runSteps}`, older = `${folder.path}/step-00000008`;
  await Deno.mkdir(older);
  for await (const { name } of Deno.readDir(newest)) {
    await Deno.copyFile(`${newest}/${name}`, `${older}/${name}`);
  }
  await Deno.writeTextFile(`${older}/training.json`, '{"step": 8, "fingerprint": "same run"}');
  assertEquals((await trainingRun({ checkpoint: { folder: folder.path } })).log, []);
});

Deno.test("a checkpoint's folder is a model that can be loaded", async () => {
  await using folder = await temporaryFolder();
  await trainingRun({ checkpoint: { folder: folder.path } });
  const { config, describe } = await loadModel(`${folder.path}/step-000000${runSteps}`);
  assertEquals(config, olmo);
  assert(describe.startsWith("olmo"), describe);
});

// A checkpoint of `olmo` at step 12, and the attempt to resume it.
async function attempt(
  folder: string,
  { config = olmo, fingerprint = "same run" }: { config?: DecoderConfig; fingerprint?: string } =
    {},
): Promise<number> {
  using gpu = await Gpu.open();
  using model = trainable(gpu, config);
  const trained = { objective: objective("direct"), optimiser: adamw };
  using trainer = new Trainer(model, { rows: 1, time: 8, ...trained });
  const run = { fingerprint, model, optimiser: trainer.optimiser };
  return await checkpointsIn(folder, 1).resume(run);
}

Deno.test("a checkpoint of other settings or another shape is refused and left as it was", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder;
  await trainingRun({ checkpoint: { folder: path } });
  const before = await contents(path);
  assertEquals(await attempt(path), runSteps);
  await assertRejects(
    () => attempt(path, { fingerprint: "another run" }),
    `Cannot resume from "${path}/step-000000${runSteps}": it was made with another model, data ` +
      "or settings. Repeat the run's settings exactly, or choose another output folder.",
  );
  await assertRejects(
    () => attempt(path, { config: { ...olmo, vocabularySize: 54 } }),
    'Cannot load parameter "model.embed_tokens.weight": its shape is [53, 16]. Give a checkpoint',
  );
  await assertRejects(
    () => attempt(path, { config: { ...olmo, layers: 3 } }),
    'Cannot load parameter "model.layers.2.self_attn.q_proj.weight": it is missing.',
  );
  assertSameFiles(await contents(path), before);
});

Deno.test("damaged checkpoint files are named", async () => {
  await using folder = await temporaryFolder();
  await trainingRun({ checkpoint: { folder: folder.path } });
  const step = `${folder.path}/step-000000${runSteps}`;
  const optimiser = `${step}/optimiser.safetensors`;
  const whole = await Deno.readFile(optimiser);

  await Deno.truncate(optimiser, whole.length - 40);
  const before = await contents(folder.path);
  const unreadable = (why: string) => `Cannot read the checkpoint "${step}": ${why}`;
  const damaged = unreadable("optimiser.safetensors is damaged: its checksum is another one");
  await assertRejects(() => attempt(folder.path), damaged);
  assertSameFiles(await contents(folder.path), before);
  await Deno.truncate(optimiser, 4);
  await assertRejects(() => attempt(folder.path), damaged);
  await Deno.remove(optimiser);
  await assertRejects(() => attempt(folder.path), unreadable("optimiser.safetensors is missing"));
  const flipped = whole.with(whole.length - 9, whole.at(-9)! ^ 1);
  await Deno.writeFile(optimiser, flipped);
  await assertRejects(() => attempt(folder.path), damaged);
  await Deno.writeFile(optimiser, whole);
  assertEquals(await attempt(folder.path), runSteps);

  const record = `${step}/training.json`;
  const { files, ...state } = JSON.parse(await Deno.readTextFile(record));
  const { [`optimiser.safetensors`]: _, ...without } = files;
  for (
    const [content, why] of [
      [state, "training.json is damaged: it has no checksums"],
      [{ ...state, files, fingerprint: 7 }, "training.json is damaged: it has no fingerprint"],
      [{ ...state, files, step: 8 }, "its step is 8, which is not that of the folder"],
      [null, "its step is undefined"],
    ] as const
  ) {
    await Deno.writeTextFile(record, JSON.stringify(content));
    await assertRejects(() => attempt(folder.path), `Cannot resume from "${step}": `);
    await assertRejects(() => attempt(folder.path), why);
  }
  await Deno.writeTextFile(record, JSON.stringify({ ...state, files: without }));
  await Deno.remove(optimiser);
  await assertRejects(
    () => attempt(folder.path),
    `Cannot resume from "${step}": it has no optimiser.safetensors`,
  );

  await Deno.writeTextFile(record, '{"step": 12,');
  await assertRejects(() => attempt(folder.path), `Cannot read "${record}": `);
});

Deno.test("fit refuses a checkpoint made with another seed, rate, objective, data or model, and resumes its own", async () => {
  await using folder = await temporaryFolder();
  const sequences = randomSequences(8);
  const options: FitOptions = {
    epochs: [sequences],
    perStep: 4,
    seed: 1,
    objective: objective("masked"),
    optimiser: adamw,
    schedule: { peak: 1e-3, warmup: 0, decay: "linear", final: 0 },
    checkpoint: checkpointsIn(folder.path, 1),
  };
  const run = async (changes: Partial<FitOptions>, initialSeed = 1) => {
    using gpu = await Gpu.open();
    using model = trainable(gpu, olmo, initialSeed);
    return await fit(model, { ...options, ...changes });
  };
  assertEquals((await run({})).log.length, 2);
  assertEquals((await run({})).log.length, 0);
  const changed = sequences.map((sequence) => ({ ...sequence, classes: sequence.classes.slice() }));
  changed[3]!.classes[1] = (changed[3]!.classes[1]! + 1) % 4;
  const others: Partial<FitOptions>[] = [
    { seed: 2 },
    { perStep: 3 },
    { objective: objective("masked", "paper") },
    { schedule: { ...options.schedule, peak: 2e-3 } },
    { optimiser: { ...adamw, weightDecay: 0 } },
    { epochs: [changed] },
    { epochs: [sequences, sequences] },
  ];
  const refused = "it was made with another model, data or settings";
  for (const other of others) await assertRejects(() => run(other), refused);
  await assertRejects(() => run({}, 2), refused);
});

Deno.test("fingerprints are equal for equal settings and differ for different ones", async () => {
  assertEquals(await fingerprintOf({ a: [1, 2] }), await fingerprintOf({ a: [1, 2] }));
  assert(await fingerprintOf({ a: [1, 2] }) !== await fingerprintOf({ a: [1, 3] }));
});

Deno.test("digests tell apart what differs in any token, class, weight, moment or the order of sequences", async () => {
  const sequences = randomSequences(3, { weighted: true });
  const [digest, again] = await digestEpochs([sequences, [...sequences]]);
  assertEquals(digest, again);
  const [first, ...rest] = sequences;
  const { tokens, classes, weights } = first!;
  const plusOne = (values: Uint32Array) => values.map((value, i) => i === 0 ? value + 1 : value);
  const joined = {
    tokens: Uint32Array.of(...tokens, ...rest[0]!.tokens),
    classes: Uint8Array.of(...classes, ...rest[0]!.classes),
    weights: Float32Array.of(...weights!, ...rest[0]!.weights!),
  };
  const others = [
    [{ tokens: plusOne(tokens), classes, weights: weights! }, ...rest],
    [{ tokens, classes: classes.map((risk) => 3 - risk), weights: weights! }, ...rest],
    [{ tokens, classes, weights: weights!.map((weight) => -weight) }, ...rest],
    [{ tokens, classes }, ...rest],
    [...rest, first!],
    [joined, rest[1]!],
    rest,
  ];
  const digests = await digestEpochs([sequences, ...others]);
  assertEquals(new Set(digests).size, others.length + 1);

  const moments = (value: number) =>
    new Map([["w", { shape: [2], data: Float32Array.of(value, 0) }]]);
  const state = { updates: 3, first: moments(1), second: moments(2) };
  const states = [
    state,
    { ...state, updates: 4 },
    { ...state, first: moments(2) },
    { ...state, second: moments(1) },
    { ...state, lossScaling: new Float32Array(4) },
    { ...state, lossScaling: new Float32Array(5) },
  ];
  const of = await Promise.all(states.map(digestOptimiserState));
  assertEquals(new Set(of).size, states.length);
  assertEquals(await digestOptimiserState({ ...state, first: moments(1) }), of[0]);
});

// Runs that find the disk full at their second checkpoint: the first must be left whole, and nothing else.
async function assertFirstCheckpointIsWhole(folder: string): Promise<void> {
  await using reference = await temporaryFolder();
  const controller = new AbortController();
  const onLog = ({ step }: { step: number }) => step === 3 && controller.abort();
  await trainingRun({
    checkpoint: { folder: reference.path },
    readEvery: 1,
    signal: controller.signal,
    onLog,
  });
  assertSameFiles(await contents(folder), await contents(reference.path));
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assertEquals(names, ["step-00000004"]);
}

Deno.test("a disk that fills up keeps the previous checkpoint, and the run goes on from it", async () => {
  await using folder = await temporaryFolder();
  const mount = async (...args: string[]) =>
    (await new Deno.Command("mount", { args: [...args, folder.path] }).output()).success;
  // A checkpoint takes 76 KiB in pages; here fit one and the weights of another, but not its moments.
  const size = "size=112k";
  if (!await mount("-t", "tmpfs", "-o", size, "tmpfs").catch(() => false)) {
    console.warn("SKIPPED: a small file system cannot be mounted here (needs Linux and root)");
    return;
  }
  try {
    await assertRejects(
      () => trainingRun({ checkpoint: { folder: folder.path } }),
      `Cannot write "${folder.path}/step-00000008.partial/optimiser.safetensors": No space left`,
    );
    await assertFirstCheckpointIsWhole(folder.path);
    assert(await mount("-o", "remount,size=1m"));
    const { state, log } = await trainingRun({ checkpoint: { folder: folder.path } });
    assertEquals(log[0]!.step, 4);
    assertSame(state, (await trainingRun()).state);
  } finally {
    await new Deno.Command("umount", { args: [folder.path] }).output();
  }
});

Deno.test({
  name: "a file that the system refuses to let grow keeps the previous checkpoint",
  ignore: Deno.build.os !== "linux", // others cannot limit a process that runs already
  fn: async () => {
    await using folder = await temporaryFolder();
    const run = new Deno.Command("bash", { // ignoring the signal turns it into an error
      args: [
        "-c",
        `trap '' XFSZ; exec "$0" "$@"`,
        Deno.execPath(),
        ...runArgs(folder.path, "olmo", 6),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [steps, rest] = run.stdout.tee();
    await readSteps(steps, 6);
    // 32 KiB hold the weights (21 KiB), not the moments (42 KiB). Only now, since the memory of some drivers is a file.
    const limit = ["--pid", String(run.pid), "--fsize=32768"];
    assert((await new Deno.Command("prlimit", { args: limit }).output()).success);
    const writer = run.stdin.getWriter();
    await writer.write(new Uint8Array(1));
    await writer.close();
    const message = await new Response(run.stderr).text();
    assert(!(await run.status).success);
    await rest.cancel();
    const file = `${folder.path}/step-00000008.partial/optimiser.safetensors`;
    assert(message.includes(`Cannot write "${file}": File too large`), message);
    await assertFirstCheckpointIsWhole(folder.path);
  },
});

Deno.test("a file in place of the checkpoint folder is named", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(`${folder.path}/file`, "in the way");
  await assertRejects(
    () => trainingRun({ checkpoint: { folder: `${folder.path}/file` } }),
    `Cannot look for checkpoints in "${folder.path}/file": Not a directory`,
  );
});
