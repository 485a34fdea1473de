// deno task train --data FILE --out FOLDER …: trains on any texts with risk spans; see src/train/span_training.ts.

import { writeFileAtomic } from "../src/base/files.ts";
import { counted, shellWord } from "../src/base/words.ts";
import { offsetUnits } from "../src/data/offsets.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { choosePrecision } from "../src/gpu/precision.ts";
import { paperThresholds } from "../src/label/sentences.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { onInterrupt } from "../src/report/interrupt.ts";
import { lossCurves, renderPlot } from "../src/report/plot.ts";
import { createProgress, type Progress } from "../src/report/progress.ts";
import { denominators, riskNames } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { curvesFile, lossSeries, type WatchedLine, watchedSeries } from "../src/train/run_log.ts";
import {
  spanTrainingDefaults,
  type SpanTrainingPlan,
  trainOnSpans,
} from "../src/train/span_training.ts";
import { modelSizes } from "../src/train/starting_model.ts";
import { fetchNamed, orDatasetName, orModelName } from "./hub.ts";
import { chosenObjective } from "./objective.ts";
import { showSamples } from "./shared.ts";
import { describeSpeltOut, specialOption } from "./special.ts";
import {
  chosenLearned,
  learnedOptions,
  memoryOptions,
  mergeOptions,
  speedOptions,
} from "./training_options.ts";

const command = defineCommand({
  name: "train",
  summary:
    "Trains a language model on texts with risk spans. Interrupted, the same command goes on.",
  examples: [
    "--data labelled.jsonl --model olmo20M --vocabulary 4096 --max-length 256 --out runs/mine",
    "--data labelled.jsonl --model path/to/model --objective my_loss.ts --learning-rate 5e-5 --out runs/mine",
    "--data labelled.jsonl --model allenai/OLMo-1B-hf --lora 8 --precision f16 --out runs/mine",
  ],
  options: {
    data: {
      ...orDatasetName,
      required: true,
      placeholder: "path",
      help: "The texts, .jsonl, .csv or .parquet, a folder of them, one with documents/ and " +
        "attributes/, or datasets/owner/name@revision/path on the hub",
    },
    out: { type: "path", required: true, placeholder: "folder", help: "Where all results go" },
    heldOut: {
      type: "path",
      placeholder: "file",
      help: "Texts that are only measured, a file or folder like the data",
    },
    heldOutShare: {
      type: "number",
      min: 0,
      max: 1,
      placeholder: "share",
      help: "Or hold out this share of the texts, e.g. 0.05; their content decides which",
    },
    watchEvery: {
      type: "integer",
      default: spanTrainingDefaults.watchEvery,
      min: 0,
      placeholder: "n",
      help: "Measure risky tokens and held-out texts every n steps, whatever is trained; 0 never",
    },
    samples: {
      type: "integer",
      default: spanTrainingDefaults.samples,
      min: 0,
      placeholder: "n",
      help: "Texts that the model continues before and after, for run.json",
    },
    model: {
      ...orModelName,
      names: modelSizes,
      placeholder: "model",
      help: "Train this model further, a folder or owner/name@revision on the hub, or start one " +
        `of the size ${modelSizes.join(", ")}`,
    },
    config: { type: "path", placeholder: "file", help: "Start one as in this config.json" },
    tokenizer: { ...orModelName, placeholder: "model", help: "Its tokenizer, if not with it" },
    vocabulary: {
      type: "integer",
      min: 258,
      max: 2 ** 24,
      help: "Train a tokenizer of this size on the texts",
    },
    offsets: {
      type: "string",
      choices: offsetUnits,
      default: "utf16",
      help: "What the offsets of spans count, where the data does not say",
    },
    ...specialOption,
    strict: { type: "flag", help: "Refuse spans that cut a word, instead of reporting them" },
    attribute: {
      type: "string",
      placeholder: "name",
      help: "Of a folder: the scores of sentences",
    },
    low: { type: "number", default: paperThresholds.low, min: 0, help: "Possible risk above this" },
    high: { type: "number", default: paperThresholds.high, min: 0, help: "High risk above this" },
    show: { type: "integer", default: 3, min: 0, help: "Samples to show before training" },
    objective: {
      type: "path",
      names: ["direct", "masked", "unlikelihood", "unlikelihood_clamped"],
      default: "masked",
      placeholder: "name",
      help: "The loss: direct, masked, unlikelihood, unlikelihood_clamped, or a .ts file of yours",
    },
    denominator: {
      type: "string",
      choices: denominators,
      help: "What the summed loss is divided by; active, or what your .ts file says",
    },
    ...memoryOptions,
    ...learnedOptions,
    ...mergeOptions,
    epochs: {
      type: "integer",
      default: spanTrainingDefaults.epochs,
      min: 1,
      max: 1e6,
      help: "Passes over the texts",
    },
    perStep: {
      type: "integer",
      default: spanTrainingDefaults.perStep,
      min: 1,
      help: "Texts (or windows) per step",
    },
    ...speedOptions,
    seed: {
      type: "integer",
      default: spanTrainingDefaults.seed,
      min: 0,
      max: 2 ** 32 - 1,
      help: "Of fresh weights and of the order",
    },
    maxLength: {
      type: "integer",
      min: 2,
      help: "Tokens of a window; the model's context if left out",
    },
  },
  async run(chosen, terminal, given) {
    const options = await fetchNamed(chosen, terminal);
    const { objective: name, denominator, loraAlpha: _, loraTargets: __, ...others } = options;
    const { show, offsets, strict, attribute, low, high, ...settings } = others;
    const { out, special } = settings;
    const objective = await chosenObjective(name, denominator);
    using gpu = await Gpu.open();
    const { note } = choosePrecision(gpu, options.precision);
    if (note) terminal.note(note);
    using stop = onInterrupt(terminal);
    let progress: Progress | undefined, watched = "";
    const { step, finished, log, diverged } = await trainOnSpans(gpu, {
      ...settings,
      ...chosenLearned(options, given),
      objective,
      reading: {
        offsets,
        strict,
        attribute,
        thresholds: { low, high },
        onNotice: (notice) => terminal.note(notice),
      },
    }, {
      signal: stop.signal,
      onPlan(plan) {
        const spelt = describeSpeltOut(plan.speltOut, special);
        terminal.note(`${describe(plan)}; ${spelt && `${spelt}; `}${gpu.adapter.name}`);
        showSamples(plan.texts, show, terminal);
      },
      onWatched: (line) => watched = describeWatched(line),
      onLog({ step, lossByClass, gradientNorm, tokensPerSecond }, steps) {
        progress ??= createProgress({
          total: steps,
          from: step + 1,
          label: step === 0 ? "Training" : `Training on from step ${step}`,
        });
        const losses = lossByClass.flatMap((loss, risk) =>
          loss === undefined ? [] : [`${riskNames[risk]} ${loss.toFixed(3)}`]
        );
        const facts = `gradient ${gradientNorm.toFixed(2)}, ${
          Math.round(tokensPerSecond)
        } tokens/s`;
        progress.update(step + 1, `loss ${losses.join(", ")}${watched}, ${facts}`);
      },
    });
    progress?.[Symbol.dispose]();
    if (!finished) {
      terminal.note(`Stopped after step ${step}; run the same command again to go on in ${out}`);
      Deno.exit(130);
    }
    const picture = await drawLosses(out, objective.name, terminal);
    terminal.print(
      `${counted(step, "step")} done; the model is in ${out}, its losses in ${picture}`,
    );
    terminal.print(`deno task report ${shellWord(out)} makes a page of it`);
    if (diverged) terminal.note(`${diverged} Lower the learning rate.`);
    return {
      out,
      steps: step,
      picture,
      loss: log.at(-1)?.loss ?? null,
      ...(diverged && { diverged }),
    };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

function describe(plan: SpanTrainingPlan): string {
  const { model, texts, cut, windows, leftOut, targets, steps, stepsWithoutLoss, heldOut } = plan;
  const all = targets.reduce((sum, count) => sum + count, 0);
  const risky = targets[Risk.possible]! + targets[Risk.high]!;
  const classes = targets.flatMap((n, risk) => n === 0 ? [] : [`${n} ${riskNames[risk]}`]);
  const aside = leftOut === 0 ? "" : ` (${leftOut} more carry no loss and are left out)`;
  const long = cut === 0 ? "" : `, ${cut} of them cut,`;
  const without = stepsWithoutLoss === 0
    ? ""
    : ` (${stepsWithoutLoss} more carry no loss and are left out)`;
  const measured = heldOut === 0 ? "" : `; ${counted(heldOut, "text")} held out`;
  return `${model}; ${counted(texts.length, "text")}${long} in ${
    counted(windows, "window")
  }${aside}; ` +
    `${risky} of ${all} tokens are risky (${classes.join(", ")}); ${
      counted(steps, "step")
    }${without}${measured}`;
}

// The risky tokens of the sample, which the training loss may leave out.
function describeWatched({ sample, heldOut }: WatchedLine): string {
  const risky = ["possible", "high"].flatMap((name) =>
    sample[name] === undefined ? [] : [`${name} ${sample[name].toFixed(3)}`]
  );
  const said = risky.length === 0 ? "" : `, −log p of risky tokens ${risky.join(", ")}`;
  return heldOut ? `${said}, held out ${heldOut.all!.toFixed(3)}` : said;
}

// The model does not depend on the picture, so a run without the plotting library is not a failed one.
async function drawLosses(folder: string, title: string, terminal: Terminal): Promise<string> {
  const path = `${folder}/loss.svg`;
  const series = [...await lossSeries(folder), ...await watchedSeries(folder)];
  try {
    await writeFileAtomic(path, await renderPlot(lossCurves(series, title)));
    return path;
  } catch (error) {
    terminal.note((error as Error).message);
    return `${folder}/${curvesFile}`;
  }
}
