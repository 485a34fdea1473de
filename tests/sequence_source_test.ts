// Sequences that are made when they are asked for: the same stream, the same plan and the same trained bytes as with all
// of them in memory.

import fc from "npm:fast-check@4.9.0";
import { Random } from "../src/base/random.ts";
import { planSteps } from "../src/data/epochs.ts";
import {
  filteringMethods,
  type Method,
  streamMethods,
  takenPart,
  weighedBy,
  withHiddenToken,
} from "../src/data/method.ts";
import { type MixSettings, mixSource, mixStream } from "../src/data/mixing.ts";
import { packDocuments, packSequences } from "../src/data/packing.ts";
import {
  allOf,
  cutIntoWindows,
  delimit,
  joinSequences,
  type Sequence,
  type SequenceSource,
  sliceSequence,
  windowLength,
} from "../src/data/sequence.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { objective } from "../src/slung/objective.ts";
import { digestEpochs, digestSequences } from "../src/train/fingerprint.ts";
import { fit } from "../src/train/fit.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";
import { adamw, olmo, randomSequences, trainable, weightBytes } from "./fixtures/tiny.ts";

/** The same sequences, each made anew, and how often one was made. */
function lazily(sequences: readonly Sequence[]): SequenceSource & { made: () => number } {
  let made = 0;
  return {
    length: sequences.length,
    lengthOf: (index) => sequences[index]!.tokens.length,
    at(index) {
      made++;
      return structuredClone(sequences[index]);
    },
    made: () => made,
  };
}

// The stream as it is defined: everything joined, then cut.
function plainlyMixed(
  method: Method,
  clean: readonly Sequence[],
  risky: readonly Sequence[],
  settings: MixSettings,
): Sequence[] {
  const { tokens, share, seed, length, acrossDocuments, eos, controlTokens } = settings;
  const draw = (documents: readonly Sequence[], budget: number, label: string) => {
    const drawn: Sequence[] = [];
    let count = 0;
    for (const document of new Random(seed, label).shuffle(documents)) {
      if (count >= budget) break;
      drawn.push(document);
      count += document.tokens.length + 1;
    }
    return drawn;
  };
  const injected = takenPart(method, draw(risky, share * tokens, "risky documents"));
  const taken = injected.reduce((sum, document) => sum + document.tokens.length + 1, 0);
  const base = draw(clean, tokens - taken, "clean documents");
  const prefix = (settings.prefix ?? 0) + (method.controlTokens ? 1 : 0);
  return [base, injected].flatMap((documents) => {
    const ended = documents.map((document) => {
      const holdsRisk = document.classes.some((risk) => risk > 1);
      const bos = holdsRisk ? controlTokens.risky : controlTokens.low;
      return delimit(document, method.controlTokens ? { bos, eos } : { eos });
    });
    if (!acrossDocuments) return ended.flatMap((each) => cutIntoWindows(each, length, prefix));
    const whole = joinSequences(ended);
    return Array.from(
      { length: Math.floor(whole.tokens.length / length) },
      (_, i) => sliceSequence(whole, i * length, (i + 1) * length),
    );
  }).map((sequence) => weighedBy(method, sequence));
}

Deno.test("a stream that is read by position has the sequences of the one that is joined and cut", () => {
  const settings = fc.record({
    tokens: fc.integer({ min: 20, max: 400 }),
    share: fc.double({ min: 0, max: 0.5, noNaN: true }),
    length: fc.integer({ min: 4, max: 40 }),
    acrossDocuments: fc.boolean(),
    prefix: fc.integer({ min: 0, max: 2 }),
    eos: fc.constant(50),
    controlTokens: fc.constant({ low: 51, risky: 52 }),
    seed: fc.nat(1000),
  });
  const tokenizer = { name: "invented", special: { pad: 53 } };
  const filtering = filteringMethods.map((method) => withHiddenToken(method, tokenizer));
  const methods = [...streamMethods, ...filtering];
  fc.assert(fc.property(settings, fc.constantFrom(...methods), (settings, method) => {
    const clean = randomSequences(60, { seed: settings.seed, longest: 60 }).map((sequence) => ({
      ...sequence,
      classes: sequence.classes.fill(1),
    }));
    const risky = randomSequences(60, { seed: settings.seed + 1, longest: 60 });
    const expected = plainlyMixed(method, clean, risky, settings);
    const { sequences, buckets } = mixSource(method, lazily(clean), lazily(risky), settings);
    assertEquals(allOf(sequences), expected);
    const lengths = expected.map((_, i) => sequences.lengthOf!(i));
    assertEquals(lengths, expected.map(({ tokens }) => tokens.length));
    const whole = mixStream(method, clean, risky, settings);
    assertEquals(whole, { sequences: expected, buckets });
  }));
});

Deno.test("a position of a stream reads the documents that stand there and no others", () => {
  const documents = randomSequences(400, { longest: 30 });
  const clean = lazily(documents), risky = lazily(documents.slice(0, 9));
  const settings = {
    ...{ tokens: 3000, share: 0, length: 32, acrossDocuments: true, eos: 0, seed: 4 },
    controlTokens: { low: 1, risky: 2 },
  };
  const { sequences } = mixSource(streamMethods[0]!, clean, risky, settings);
  assertEquals(clean.made(), 0, "lengths are enough to plan clean text");
  sequences.at(50);
  assert(clean.made() >= 1 && clean.made() <= 17, `${clean.made()} documents for 32 tokens`);
});

Deno.test("a window's length is known without making it", () => {
  fc.assert(fc.property(
    fc.integer({ min: 2, max: 90 }),
    fc.integer({ min: 4, max: 30 }),
    fc.nat(3),
    (total, length, prefix) => {
      const [sequence] = packDocuments([{
        tokens: Uint32Array.from({ length: total }, (_, i) => i),
        classes: new Uint8Array(total).fill(1),
      }], { length: total, acrossDocuments: true });
      cutIntoWindows(sequence!, length, prefix).forEach(({ tokens }, i) =>
        assertEquals(windowLength(total, i, length, prefix), tokens.length)
      );
    },
  ));
});

Deno.test("a malformed document is named when it is read into a stream", () => {
  const documents = randomSequences(5);
  documents[2] = { ...documents[2]!, classes: new Uint8Array(1) };
  const settings = {
    ...{ tokens: 3, share: 1, length: 8, acrossDocuments: true, eos: 0, seed: 4 },
    controlTokens: { low: 1, risky: 2 },
  };
  const mix = (clean: Sequence[], risky: Sequence[], share: number) =>
    allOf(mixSource(streamMethods[2]!, clean, risky, { ...settings, tokens: 30, share }).sequences);
  assertThrows(
    () => mix([], documents, 1),
    "Cannot mix document 2 of the risky documents: it has 1 class",
  );
  assertThrows(
    () => mix(documents, [], 0),
    "Cannot mix document 2 of the clean documents: it has 1 class",
  );
});

Deno.test("an order has each number in one place, whatever there are and however it is made", () => {
  for (const n of [1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 1000, 4097]) {
    for (const make of ["order", "feistelOrder"] as const) {
      const place = new Random(7, "order")[make](n);
      const placed = Array.from({ length: n }, (_, i) => place(i));
      assertEquals(new Set(placed).size, n, `${make} of ${n}`);
      assert(placed.every((number) => number >= 0 && number < n), `${make} of ${n}`);
      assertEquals(place(n - 1), placed[n - 1], "asked again");
    }
  }
  const large = 3 * 2 ** 40;
  const place = new Random(1, "order").order(large);
  const drawn = Array.from({ length: 2000 }, (_, i) => place(i));
  assertEquals(new Set(drawn).size, 2000);
  assert(drawn.every((number) => Number.isInteger(number) && number >= 0 && number < large));
});

Deno.test("the order of very many numbers is as even as one that is shuffled, and another for every seed", () => {
  const n = 2 ** 20 + 1; // the first that is not listed
  const quarters = (seed: number) => {
    const place = new Random(seed, "order").order(n);
    const counts = [0, 0, 0, 0];
    let ascents = 0;
    for (let i = 0; i < 4000; i++) {
      counts[Math.floor(4 * place(i) / n)]!++;
      if (place(i + 1) > place(i)) ascents++;
    }
    return { counts, ascents, first: place(0) };
  };
  const { counts, ascents, first } = quarters(3);
  for (const count of [...counts, ascents / 2]) assert(Math.abs(count - 1000) < 120, `${count}`);
  assert(first !== quarters(4).first);
});

Deno.test("a plan makes every sequence of an epoch once, and is that of the sequences in memory", () => {
  const sequences = randomSequences(40, { weighted: true });
  const masked = sequences.map((sequence) => ({
    ...sequence,
    classes: new Uint8Array(sequence.tokens.length).fill(3),
  }));
  const mixed = [...sequences, ...masked];
  const common = {
    ...{ perStep: 2, seed: 3, objective: objective("masked"), contextLength: 64 },
    vocabularySize: olmo.vocabularySize,
  };
  const source = lazily(mixed);
  const lazy = planSteps({ ...common, epochs: [source, source] });
  assertEquals(source.made(), mixed.length);
  const whole = planSteps({ ...common, epochs: [mixed, mixed] });
  assert(lazy.withoutLoss > 5, "steps of masked sequences alone");
  assertEquals([lazy.steps, lazy.withoutLoss, lazy.shape], [
    whole.steps,
    whole.withoutLoss,
    whole.shape,
  ]);
  for (let step = 0; step < whole.steps; step++) {
    assertEquals(lazy.sequencesOf(step), whole.sequencesOf(step));
    packSequences(lazy.sequencesOf(step), lazy.shape); // fits
  }
});

Deno.test("a foreign id in a source is named before the first step", () => {
  const sequences = randomSequences(4);
  sequences[3]!.tokens[1] = olmo.vocabularySize;
  assertThrows(
    () =>
      planSteps({
        epochs: [lazily(sequences)],
        ...{ perStep: 2, seed: 3, objective: objective("direct"), contextLength: 64 },
        vocabularySize: olmo.vocabularySize,
      }),
    "Cannot train on sequence 3: token 1 is id 53, and the vocabulary ends at 52",
  );
});

Deno.test("digests tell sources apart by content, and one with an identity by that alone", async () => {
  const sequences = randomSequences(20);
  const digest = await digestSequences(sequences);
  assertEquals(await digestSequences(lazily(sequences)), digest);
  assert(await digestSequences(sequences.toReversed()) !== digest);
  const named = { ...lazily(sequences), identity: "mine" };
  const [first, again, other] = await digestEpochs([named, named, { ...named, identity: "yours" }]);
  assertEquals(named.made(), 0);
  assertEquals(first, again);
  assert(first !== other && first !== digest);
  const long = randomSequences(3).map(({ tokens, classes }) => ({ tokens, classes }));
  const block = { tokens: new Uint32Array(2 ** 20), classes: new Uint8Array(2 ** 20).fill(1) };
  const several = await digestSequences([...long, block, ...long]);
  assert(several !== await digestSequences([...long, block, ...long.toReversed()]));
});

Deno.test("training on sequences that are made when needed gives the bytes of training on all in memory", async () => {
  using gpu = await Gpu.open();
  const sequences = randomSequences(24, { weighted: true });
  const train = async (epochs: SequenceSource[]) => {
    using model = trainable(gpu, olmo);
    const { log } = await fit(model, {
      ...{ epochs, perStep: 6, seed: 2, objective: objective("unlikelihood"), optimiser: adamw },
      schedule: { peak: 1e-2, warmup: 1, decay: "linear", final: 0 },
    });
    return { losses: log.map(({ loss }) => loss), bytes: await weightBytes(model) };
  };
  const source = lazily(sequences);
  const [lazy, whole] = [await train([source, source]), await train([sequences, sequences])];
  assertEquals(lazy.losses, whole.losses);
  assertEquals(lazy.losses.length, 8);
  assert(lazy.bytes.every((byte, i) => byte === whole.bytes[i]));
});
