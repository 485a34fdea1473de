// A whole training step, forward, loss, backward and clipped AdamW, of the same small decoder in every library. Before it
// is timed, the losses of the first three steps must agree, so that it is the same model, loss and optimiser.

import { CannotError } from "../../mod.ts";
import { adder, type Bench, compare, extraMemory, type Section, speedsOf, table } from "../case.ts";
import { ours } from "../peers/ours.ts";
import { matrixParameters, smallSizes, stepOf, stepOperations } from "../small_decoder.ts";

const firstSteps = 3;
const agreement = 1e-3;

/** Measures the step. */
export async function step(bench: Bench): Promise<Section> {
  const request = stepOf(smallSizes);
  const { width, layers, vocabulary, time, rows: batch } = smallSizes;
  const tokens = batch * time;
  const what = `B ${batch} T ${time} C ${width} L ${layers} V ${vocabulary}`;
  bench.note(`step: ${what}`);
  const comparison = await compare(
    bench,
    what,
    ({ trainingStep }) => trainingStep && (() => trainingStep(request)),
    firstSteps,
  );
  const { speeds, measurements, notes } = speedsOf(what, stepOperations(request), comparison);
  const expected = comparison.results.get(ours)!;
  const rows = speeds.map((speed) => {
    const { subject, milliseconds } = speed;
    const losses = comparison.results.get(subject)!;
    const difference = Math.max(...losses.map((loss, i) => Math.abs(loss - expected[i]!)));
    if (!(difference < agreement)) throw notTheSame(subject, losses, expected);
    const tokensPerSecond = tokens / (milliseconds / 1e3);
    const memory = extraMemory(comparison, subject, 0);
    const add = adder(measurements, what, subject);
    add("training", "tokens/s", tokensPerSecond);
    if (subject !== ours) add("largest difference of the first losses", "nats", difference);
    if (memory !== undefined) add("memory", "MiB", memory);
    return {
      ...speed,
      tokensPerSecond: Math.round(tokensPerSecond),
      memory,
      losses: [...losses].map((loss) => loss.toFixed(4)).join(" "),
    };
  });
  const millions = (matrixParameters(request.config) / 1e6).toFixed(2);
  const text = table(`A training step, ${what}, ${millions} M matrix parameters`, [
    { key: "subject", title: "Library" },
    { key: "milliseconds", title: "Time", unit: "ms" },
    { key: "spread", title: "±", unit: "%", precision: 0 },
    { key: "tokensPerSecond", title: "Tokens/s" },
    { key: "gflops", title: "Useful speed", unit: "GFLOP/s", precision: 1 },
    { key: "share", title: "Of ceiling", unit: "%", precision: 1 },
    { key: "ratio", title: "Time over ours", precision: 2 },
    { key: "memory", title: "Memory", unit: "MiB", precision: 1 },
    { key: "losses", title: "First losses" },
  ], rows);
  return { text, measurements, notes: [...comparison.notes, ...notes] };
}

function notTheSame(subject: string, losses: Float32Array, expected: Float32Array): CannotError {
  return new CannotError(
    "compare training steps",
    `the first losses of ${subject} are ${losses.join(", ")} and ours ${expected.join(", ")}`,
    "Make the two models the same",
  );
}
