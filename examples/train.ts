// deno task train --data FILE --out FOLDER …: trains on any texts with risk spans; see src/experiments/span_training.ts.
//   deno run --allow-read --allow-write --allow-env examples/train.ts

import {
  choosePrecision,
  createProgress,
  drawLosses,
  objectiveNames,
  presets,
  riskNames,
  runCommand,
  type SpanTrainingPlan,
  trainOnSpans,
} from "../mod.ts";
import { openGpu, stopOnInterrupt } from "./shared.ts";

await runCommand({
  name: "train",
  summary:
    "Trains a language model on texts with risk spans. Interrupted, the same command goes on.",
  options: {
    data: { type: "string", required: true, placeholder: "file", help: "The texts, JSON lines" },
    out: { type: "string", required: true, placeholder: "folder", help: "Where all results go" },
    model: { type: "string", placeholder: "folder", help: "Train this model further, or" },
    preset: {
      type: "string",
      choices: Object.keys(presets) as (keyof typeof presets)[],
      placeholder: "name",
      help: "start a new one of this size, or",
    },
    config: { type: "string", placeholder: "file", help: "one as in this config.json" },
    tokenizer: { type: "string", placeholder: "folder", help: "Its tokenizer, if not with it" },
    vocabulary: { type: "integer", min: 258, help: "Train a tokenizer of this size on the texts" },
    objective: { type: "string", choices: objectiveNames, default: "masked", help: "The loss" },
    denominator: {
      type: "string",
      choices: ["active", "paper", "all", "weights"],
      default: "active",
      help: "What the summed loss is divided by",
    },
    precision: {
      type: "string",
      choices: ["f32", "f16"],
      default: "f32",
      help: "Of weights and activations; f16 scales the loss",
    },
    recompute: { type: "flag", help: "Less memory: compute activations again on the way back" },
    epochs: { type: "integer", default: 1, min: 1, help: "Passes over the texts" },
    perStep: { type: "integer", default: 32, min: 1, help: "Texts (or windows) per step" },
    learningRate: { type: "number", default: 3e-4, min: 0, help: "The peak" },
    warmup: { type: "integer", default: 0, min: 0, help: "Steps of linear warm-up" },
    decay: {
      type: "string",
      choices: ["constant", "linear", "cosine"],
      default: "cosine",
      help: "How the learning rate falls to 0 afterwards",
    },
    weightDecay: { type: "number", default: 0.1, min: 0, help: "Of matrices, not embeddings" },
    clip: { type: "number", default: 1, min: 0, help: "Gradient norm to clip to; 0 never clips" },
    seed: { type: "integer", default: 0, min: 0, help: "Of fresh weights and of the order" },
    checkpointEvery: { type: "integer", default: 100, min: 1, help: "Steps between checkpoints" },
    maxLength: {
      type: "integer",
      min: 2,
      help: "Tokens of a window; the model's context if left out",
    },
  },
  async run(options, terminal) {
    using gpu = await openGpu(terminal);
    const { note } = choosePrecision(gpu, options.precision);
    if (note) terminal.note(note);
    using shown = new DisposableStack();
    const stop = stopOnInterrupt(terminal);
    const show = (total: number, label: string) => shown.use(createProgress({ total, label }));
    let progress: ReturnType<typeof createProgress> | undefined;
    let first: number | undefined; // the step at which this session began
    const outcome = await trainOnSpans(gpu, options, {
      signal: stop.signal,
      onPlan(plan) {
        terminal.note(`${describe(plan)}; ${gpu.adapter.name}`);
        progress = show(plan.steps, "Training");
      },
      onLog({ step, lossByClass, gradientNorm, tokensPerSecond }, steps) {
        first ??= step;
        if (step === first && step > 0) {
          progress = show(steps - step, `Training on from step ${step}`);
        }
        const losses = lossByClass.flatMap((loss, risk) =>
          loss === undefined ? [] : [`${riskNames[risk]} ${loss.toFixed(3)}`]
        );
        const facts = `gradient ${gradientNorm.toFixed(2)}, ${
          Math.round(tokensPerSecond)
        } tokens/s`;
        progress?.update(step + 1 - first, `loss ${losses.join(", ")}, ${facts}`);
      },
    });
    shown.dispose();
    stop.release();
    const { step, finished } = outcome;
    const { out, objective } = options;
    if (!finished) {
      terminal.note(`Stopped after step ${step}; run the same command again to go on in ${out}`);
      Deno.exit(130);
    }
    const picture = await drawLosses(out, objective);
    terminal.print(`${step} steps done; the model is in ${out}, its losses in ${picture}`);
    return { out, steps: step, picture, loss: outcome.log.at(-1)?.loss ?? null };
  },
});

function describe(
  { model, texts, cut, windows, leftOut, targets, steps }: SpanTrainingPlan,
): string {
  const classes = targets.flatMap((n, risk) => n === 0 ? [] : [`${n} ${riskNames[risk]} risk`]);
  const aside = leftOut === 0 ? "" : ` (${leftOut} more carry no loss and are left out)`;
  const long = cut === 0 ? "" : `, ${cut} of them cut,`;
  return `${model}; ${texts} texts${long} in ${windows} windows${aside}; tokens: ${
    classes.join(", ")
  }; ${steps} steps`;
}
