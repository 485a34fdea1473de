// The losses and readers for Python (interop/python) against ours, where PyTorch is installed (Debian: python3-torch).
// transformers and OLMo-core are stand-ins, which tests/fixtures/interop.py describes.

import { noRow, selectiveLoss } from "../kernels/selective_loss.ts";
import { offsetsTo } from "../src/data/offsets.ts";
import { countTargets, packSequences } from "../src/data/packing.ts";
import { labelRecord, writeLabelRecords } from "../src/data/label_records.ts";
import { partFiles } from "../src/data/shards/format.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { evaluateTerm } from "../src/slung/custom_loss.ts";
import {
  crossEntropy,
  type Denominator,
  divisor,
  isActive,
  objective,
  objectiveNames,
  termsToWgsl,
  unlikelihood,
} from "../src/slung/objective.ts";
import type { RiskyText } from "../src/data/spans.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { assert, assertClose, assertEquals } from "./assert.ts";
import { randomSequences } from "./fixtures/tiny.ts";
import { filled, floats, integers, launch, normals } from "./launch.ts";

const python = await (async () => {
  for (const command of ["/usr/bin/python3", "python3"]) {
    const args = ["-c", "import numpy, torch"];
    const has = await new Deno.Command(command, { args, stderr: "null" }).output()
      .then(({ success }) => success, () => false);
    if (has) return command;
  }
  console.warn("SKIPPED: interop/python (no python3 with torch and numpy; Debian: python3-torch)");
  return undefined;
})();

function testPython(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: python === undefined, fn });
}

// One process for all jobs, which are lines: importing torch takes seconds.
const worker = python === undefined ? undefined : (() => {
  const program = decodeURIComponent(new URL("fixtures/interop.py", import.meta.url).pathname);
  const args = ["-B", program]; // writes no __pycache__ beside what people copy
  const process = new Deno.Command(python, { args, stdin: "piped", stdout: "piped" }).spawn();
  globalThis.addEventListener("unload", () => process.kill());
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  return { writer: process.stdin.getWriter(), reader };
})();

/** Runs a job of tests/fixtures/interop.py. */
async function run<Result>(name: string, job: object): Promise<Result> {
  const line = JSON.stringify({ ...job, run: name }) + "\n";
  await worker!.writer.write(new TextEncoder().encode(line));
  let reply = "";
  while (!reply.endsWith("\n")) {
    const { value } = await worker!.reader.read();
    assert(value !== undefined, `${name} failed; see what Python wrote above`);
    reply += value;
  }
  return JSON.parse(reply);
}

testPython(
  "every objective has the loss and the gradients of our kernel, logits of 60 included",
  async () => {
    using gpu = await Gpu.open();
    const N = 13, V = 37, C = 5, Z = 7;
    const hidden = normals("hidden", N, C), unembedding = normals("unembedding", V, C);
    hidden.data.forEach((value, i) => hidden.data[i] = i < 3 * C ? 20 * value : value);
    const targets = Array.from({ length: N }, (_, n) => n * 5 % V);
    const classes = Array.from({ length: N }, (_, n) => n % 4);
    const weights = Array.from({ length: N }, (_, n) => n % 5 / 2);
    for (const name of objectiveNames) {
      const { terms } = objective(name);
      const active = targets.map((_, n) => n)
        .filter((n) => isActive(terms, classes[n]!, weights[n]!));
      const ours = await launch(gpu, {
        ...{ hidden, unembedding, targets: integers(targets), classes: integers(classes) },
        weights: floats(weights),
        activeRows: integers([...active, ...new Array<number>(N - active.length).fill(noRow)]),
        step: floats([NaN, NaN, NaN, 1 / Z]),
        ...{ losses: filled(0, N), logOdds: filled(0, N), classSums: filled(0, 4) },
        ...{ dhidden: filled(0, N, C), dunembedding: filled(0, V, C) },
      }, (program, tensors) => {
        const options = { terms: termsToWgsl(terms), activeCount: () => active.length };
        selectiveLoss(program, { ...tensors, ...options });
      });
      const loss = ours.classSums.reduce((sum, value) => sum + value, 0) / Z;
      const theirs = await run<{ loss: number; dhidden: number[]; dunembedding: number[] }>(
        "losses",
        {
          ...{ N, V, C, Z, targets, classes, weights, objective: name },
          ...{ hidden: [...hidden.data], unembedding: [...unembedding.data] },
        },
      );
      assertClose(theirs.loss, loss, 1e-5, `${name}: loss`);
      assertClose(theirs.dhidden, ours.dhidden, 1e-5, `${name}: gradient by hidden states`);
      assertClose(theirs.dunembedding, ours.dunembedding, 1e-5, `${name}: gradient by unembedding`);
    }
  },
);

testPython("losses are exact, with their gradients, where p rounds to 1 and beyond", async () => {
  const gaps = [-80, -5, 0, 5, 17, 50, 104, 1000];
  const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  for (const term of [unlikelihood, crossEntropy]) {
    const found = await run<[number, number][]>("extremes", { gaps, term: term.name });
    // The target is the first of the logits [gap, 0, 0], and then the second.
    const odds = gaps.flatMap((gap) => [gap - Math.log(2), -softplus(gap)]);
    for (const [i, m] of odds.entries()) {
      const { loss, slope } = evaluateTerm(term, m);
      assertClose(found[i]![0], loss, 1e-5, `${term.name} at ${m}`);
      assertClose(found[i]![1], slope, 1e-5, `slope of ${term.name} at ${m}`);
    }
  }
});

testPython(
  "a step is divided by the same number, by every denominator, over its micro-batches",
  async () => {
    const sequences = randomSequences(17, { weighted: true });
    const records = sequences.map(({ tokens, classes }, i) => ({
      ...{ input_ids: [...tokens], classes: [...classes], weight: i % 4 / 2 },
    }));
    const weighted = sequences.map((sequence, i) => ({
      ...sequence,
      weights: new Float32Array(sequence.tokens.length).fill(i % 4 / 2),
    }));
    const batches = [records.slice(0, 5), records.slice(5, 6), records.slice(6)];
    const found = await run("divisors", { batches, objectives: objectiveNames });
    const packed = packSequences(weighted, { rows: 3, time: 20 }).batches;
    const expected = objectiveNames.map((name) => {
      const { terms } = objective(name);
      const counts = packed.map((batch) => countTargets(batch, terms));
      const order: Denominator[] = ["active", "paper", "all", "weights"];
      return order.map((denominator) => divisor(denominator, counts));
    });
    assertEquals(new Set(expected.flat()).size > 6, true, "denominators that hardly differ");
    assertEquals(found, expected);
  },
);

testPython(
  "records give the classes that our tokens have, with and without them in the file",
  async () => {
    const texts: RiskyText[] = [
      { text: "Mira Toveld ran the mill.", spans: [{ start: 0, end: 11, risk: 3 }] },
      {
        text: "🦆🦆 by Oda Venn, söhnlich 🌾",
        spans: [{ start: 8, end: 16, risk: 2 }, { start: 4, end: 12, risk: 3 }],
      },
      { text: "Nothing here.", spans: [] },
      { text: "é🌾é", spans: [{ start: 1, end: 3, risk: 3 }] },
    ];
    const tokenizer = trainBytePair(["the mill by the river", "Mira and Oda Venn"], 270);
    const folder = await Deno.makeTempDir();
    const write = async (name: string, records: object[]) => {
      await Deno.writeTextFile(
        `${folder}/${name}`,
        records.map((r) => JSON.stringify(r)).join("\n"),
      );
      return `${folder}/${name}`;
    };
    await writeLabelRecords(
      `${folder}/tokens.jsonl`,
      (async function* () {
        for (const text of texts) yield labelRecord(text, tokenizer);
      })(),
    );
    const tokens = Object.fromEntries(texts.map(({ text }) => {
      const { ids, starts, ends } = tokenizer.encode(text);
      const places = offsetsTo(text, "codepoint");
      const at = (offset: number) => places ? places[offset]! : offset;
      return [text, {
        ids: [...ids],
        offsets: Array.from(ids, (_, i) => [at(starts[i]!), at(ends[i]!)]),
      }];
    }));
    const inCodePoints = texts.map(({ text, spans }) => {
      const places = offsetsTo(text, "codepoint");
      const at = (offset: number) => places ? places[offset]! : offset;
      return {
        text,
        spans: spans.map(({ start, end, risk }) => ({ start: at(start), end: at(end), risk })),
      };
    });
    const paths = [
      `${folder}/tokens.jsonl`,
      await write("spans.jsonl", texts),
      await write("code_points.jsonl", [{ offsets: "codepoint" }, ...inCodePoints]),
    ];
    const expected = texts.map((text) => {
      const { input_ids, classes } = labelRecord(text, tokenizer);
      return { input_ids, classes };
    });
    assertEquals(new Set(expected.flatMap(({ classes }) => classes!)).size, 3);
    for (const path of paths) assertEquals(await run("records", { path, tokens }), expected, path);
    await Deno.remove(folder, { recursive: true });
  },
);

testPython(
  "shards give the classes of each sequence, part by part, as OLMo-core cuts them",
  async () => {
    const folder = await Deno.makeTempDir();
    const parts = [[1, 1, 3, 1, 2, 1, 1, 1, 3, 3], [1, 2], [3, 1, 1, 1, 2, 2, 1]];
    for (const [part, classes] of parts.entries()) {
      await Deno.writeFile(`${folder}/${partFiles(part).classes}`, Uint8Array.from(classes));
    }
    const found = await run("shards", { folder, length: 4 });
    assertEquals(found, [[1, 1, 3, 1], [2, 1, 1, 1], [3, 1, 1, 1]]);
    await Deno.remove(folder, { recursive: true });
  },
);

testPython(
  "trainers of others take the step of one loss over the whole step, however it is cut",
  async () => {
    const record = (input_ids: number[], classes: number[], weight = 1) => ({
      input_ids,
      classes,
      weight,
    });
    const batches = [
      [
        record([1, 2, 3, 4, 5, 6], [1, 1, 3, 1, 2, 1]),
        record([7, 8, 9, 10, 1, 3], [1, 3, 3, 2, 1, 1]),
      ],
      [
        record([4, 2], [1, 1], 2),
        record([5, 5, 1, 7], [3, 1, 3, 1], 0.5),
        record([9, 8, 7], [2, 2, 1]),
      ],
    ];
    type Pair = [found: number[], expected: number[]];
    const hugging = await run<Pair[]>("trainer", { batches });
    const olmo = await run<Pair[]>("olmo_core", { batches });
    const [plain, own] = await run<Pair>("labels", { batches });
    assertEquals([hugging.length, olmo.length], [16, 16]);
    for (const [found, expected] of [...hugging, ...olmo]) {
      assert(expected.some((value) => Math.abs(value) > 1e-3));
      assertClose(found, expected, 1e-6);
    }
    assertClose(plain, own, 1e-6, "labels alone");
  },
);
