// deno task tofu --data FILE: the paper's TOFU experiment (section 5) on the real data. A base model is trained on the
// questions and answers of other authors (or given), then on the bare answers about the target authors under each
// method; then every question about them is asked.

import { CannotError } from "../src/base/errors.ts";
import { readText } from "../src/base/files.ts";
import { describeBytes } from "../src/base/bytes.ts";
import { planSteps } from "../src/data/epochs.ts";
import type { Sequence } from "../src/data/sequence.ts";
import {
  answersTakenBy,
  type NameExperiment,
  nameSequences,
  type NameTraining,
} from "../src/experiments/names/experiment.ts";
import { checkRoomForAnswers } from "../src/experiments/names/task.ts";
import { type TofuData, tofuData, tofuPretraining } from "../src/experiments/names/tofu.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { countParameters } from "../src/model/parameter_shapes.ts";
import { readPretrained } from "../src/model/pretrained.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import type { Options, Values } from "../src/report/options.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import { checkVocabulary } from "../src/tokenizers/tokenizer.ts";
import { besideOnHub, fetchNamed, orDatasetName, orModelName, withoutWeights } from "./hub.ts";
import {
  chosenNoise,
  nameMethods,
  nameOptions,
  nameStep,
  nameTraining,
  runNames,
  wantedMethods,
} from "./names.ts";
import {
  paperModel,
  tofuPaperChoices,
  tofuPaperValues,
  tofuSmallChoices,
  withProtocol,
} from "./paper_values.ts";
import { describeDenominators, showPlan } from "./plan.ts";
import {
  chosenMethods,
  experimentOptions,
  pretrainWithProgress,
  readConfig,
  withEarlierOptions,
} from "./shared.ts";
import {
  chosenHeld,
  countMicroBatches,
  huggingFaceDefaults,
  learnedOptions,
  memoryOptions,
  speedOptions,
  withDefaults,
} from "./training_options.ts";

const tofuOptions = {
  protocol: {
    type: "string",
    choices: ["small", "paper"],
    default: "small",
    help: `Sizes: small trains a base of its own; paper has the paper's values, for ${paperModel}`,
  },
  dryRun: { type: "flag", help: "Print the plan, with memory and time, and do nothing" },
  data: {
    ...orDatasetName,
    placeholder: "file",
    help: "TOFU's full.json, e.g. datasets/locuslab/TOFU/full.json on the hub",
  },
  targets: {
    ...orDatasetName,
    placeholder: "file",
    help: "Rows of the target authors; retain_perturbed.json beside the data",
  },
  names: {
    type: "path",
    placeholder: "file",
    help: "The targets' full names, one a line; found from the data if left out",
  },
  realAuthors: {
    ...orDatasetName,
    placeholder: "file",
    help: "Also ask TOFU's real_authors_perturbed.json, which training should not harm",
  },
  worldFacts: {
    ...orDatasetName,
    placeholder: "file",
    help: "Likewise world_facts_perturbed.json",
  },
  out: {
    type: "path",
    placeholder: "folder",
    help: "Where results go; runs/tofu, or runs/tofu-paper",
  },
  base: { ...orModelName, placeholder: "model", help: "A base model; trained here if left out" },
  baseAuthors: {
    type: "integer",
    default: 180,
    min: 1,
    help: "Other authors to train the base on",
  },
  baseEpochs: { type: "integer", default: 8, min: 1, max: 1e6, help: "Epochs of the base" },
  baseLearningRate: { type: "number", default: 2e-3, min: 0, max: 1e6, help: "Peak of the base" },
  width: { type: "integer", default: 128, min: 16, max: 65536, help: "Width of the base" },
  layers: { type: "integer", default: 3, min: 1, max: 1000, help: "Layers of the base" },
  vocabulary: {
    type: "integer",
    default: 4096,
    min: 512,
    max: 2 ** 24,
    help: "Tokens of the base",
  },
  ...nameOptions,
  epochs: { type: "integer", default: 12, min: 1, max: 1e6, help: "Epochs over the targets" },
  answerPasses: {
    type: "integer",
    default: 2,
    min: 1,
    max: 1000,
    help: "Passes over the answers in an epoch",
  },
  replay: {
    type: "integer",
    default: 400,
    min: 0,
    max: 1e6,
    help: "Base questions replayed in an epoch",
  },
  perStep: { type: "integer", default: 32, min: 1, help: "Texts per optimiser step" },
  ...memoryOptions,
  ...learnedOptions,
  ...withDefaults(speedOptions, { ...huggingFaceDefaults, learningRate: 7e-4 }),
  answers: {
    type: "string",
    choices: ["bare", "spaced"],
    default: "bare",
    help: "Whether answers begin with the space that they have behind 'Answer:'",
  },
  endOfText: { type: "flag", help: "Append EOS to the answers; the paper does not" },
  maxNewTokens: { type: "integer", default: 64, min: 1, help: "Longest answer" },
  ...experimentOptions,
} as const satisfies Options;

const command = defineCommand({
  name: "tofu",
  summary: "Trains on TOFU's fictitious authors directly, masked and with unlikelihood, and asks.",
  examples: [
    "--data path/to/tofu/full.jsonl --seeds 0 --methods masked,wrong_facts",
    "--data datasets/locuslab/TOFU/full.json --base allenai/OLMo-1B-hf",
    "--measure runs/tofu --max-new-tokens 32",
    "--protocol paper --data path/to/tofu/full.jsonl --base path/to/OLMo-1B-hf --dry-run",
  ],
  options: tofuOptions,
  async run(now, terminal, given) {
    const options = await chosenOptions(now, given, terminal);
    const { out, seeds, objective, denominator, maxNewTokens } = options;
    if (options.data === undefined) {
      throw new CannotError("run tofu", "--data is missing", "Give TOFU's full.jsonl");
    }
    const data = await tofuData({
      ...options,
      data: options.data,
      names: options.names === undefined ? undefined : await readNames(options.names),
    });
    terminal.note(data.description);
    using gpu = await Gpu.open();
    const held = chosenHeld(gpu, options, given, terminal.note);
    const { epochs, answerPasses, perStep, endOfText, answers } = options;
    const training: NameTraining = {
      ...{ epochs, answerPasses, perStep, endOfText },
      ...nameTraining(options),
      ...(answers === "bare" && { space: false }),
      ...chosenNoise(options),
    };
    const chosen = {
      ...(held && { held }),
      ...{ task: data.task, training, seeds, maxNewTokens },
      methods: await chosenMethods(
        wantedMethods(options, given),
        nameMethods,
        objective,
        denominator,
      ),
    };
    const pretraining = () =>
      tofuPretraining(data, {
        ...options,
        epochs: options.baseEpochs,
        learningRate: options.baseLearningRate,
      });
    if (options.dryRun) {
      return await showTofuPlan(gpu, options, data, chosen, pretraining, terminal);
    }
    const base = options.base ?? `${out}/base`;
    if (!options.base) await pretrainWithProgress(gpu, base, pretraining(), terminal);
    const { tokenizer, description, source } = await readPretrained(base);
    terminal.note(`${description}; ${gpu.adapter.name}`);
    return await runNames(gpu, { ...chosen, base: source, tokenizer }, options, base, terminal);
  },
});

export default command;

if (import.meta.main) await runCommand(command);

async function readNames(file: string): Promise<string[]> {
  return (await readText(file)).split("\n").map((name) => name.trim()).filter(Boolean);
}

type Chosen = Values<typeof tofuOptions>;

// With the protocol's values; those of an earlier run stand as they were.
async function chosenOptions(
  now: Chosen,
  given: ReadonlySet<string>,
  terminal: Terminal,
): Promise<Chosen & { out: string }> {
  const isPaper = now.protocol === "paper";
  if (isPaper && now.base === undefined && now.measure === undefined) {
    throw new CannotError(
      "run tofu by the paper's protocol",
      `it starts from ${paperModel}`,
      "Give it with --base, by its name on the hub or as a folder",
    );
  }
  const earlier = await withEarlierOptions(now, given);
  const options = isPaper && now.measure === undefined
    ? withProtocol(earlier, tofuPaperValues, given)
    : earlier;
  return await fetchNamed(
    {
      ...options,
      targets: options.targets ?? besideOnHub(options.data, "retain_perturbed.json"),
      out: options.out ?? (isPaper ? "runs/tofu-paper" : "runs/tofu"),
    },
    terminal,
    now.dryRun ? { base: withoutWeights } : {},
  );
}

async function showTofuPlan(
  gpu: Gpu,
  options: Chosen & { out: string },
  data: TofuData,
  chosen: Omit<NameExperiment, "base" | "tokenizer">,
  pretraining: () => ReturnType<typeof tofuPretraining>,
  terminal: Terminal,
): Promise<object> {
  const { base, out, protocol, seeds } = options;
  const fresh = base === undefined ? pretraining() : undefined;
  const tokenizer = fresh?.tokenizer ?? await openTokenizer(base!);
  const config = fresh?.config ?? await readConfig(base!);
  checkVocabulary(tokenizer, config.vocabularySize);
  checkRoomForAnswers(config, tokenizer, chosen.task, chosen.maxNewTokens);
  const { training, methods, held } = chosen;
  const { answers, replay } = nameSequences({ ...chosen, tokenizer });
  const step = nameStep({ ...chosen, tokenizer }, config);
  const runs = methods.map((method) => {
    const { contextLength, vocabularySize } = config;
    const taken = answersTakenBy(method, { ...chosen, tokenizer });
    const epoch = [...Array<readonly Sequence[]>(training.answerPasses).fill(taken), replay].flat();
    const { perStep, mostPositions, epochs } = training;
    const { steps } = planSteps({
      ...{ epochs: Array<readonly Sequence[]>(epochs).fill(epoch), perStep, mostPositions },
      ...{ seed: seeds[0]!, objective: method.objective, contextLength, vocabularySize },
    });
    const tokens = epoch.reduce((sum, sequence) => sum + sequence.tokens.length, 0);
    return {
      ...{ title: method.title, models: seeds.length, steps, tokens: epochs * tokens },
      microBatches: countMicroBatches(step, { perStep, length: meanLength(answers) }),
    };
  });
  const { optimiser, schedule } = training;
  return await showPlan(gpu, {
    title: `TOFU, protocol ${protocol}`,
    follows: protocol === "paper" ? tofuPaperChoices : tofuSmallChoices,
    base: base ??
      `a base that is trained first on ${data.base.flat().length} questions, in ${out}/base`,
    data: [options.data!, data.description],
    settings: [
      ...(fresh
        ? [
          `base: ${options.width} wide, ${options.layers} layers, ${options.vocabulary} tokens; ` +
          `${options.baseAuthors} authors, ${options.baseEpochs} epochs, learning rate ${options.baseLearningRate}`,
        ]
        : []),
      `${training.answerPasses} passes over ${answers.length} answers (${options.answers}${
        training.endOfText ? ", with EOS" : ""
      }) and ${replay.length} replayed questions an epoch; answers of at most ${options.maxNewTokens} tokens`,
      ...(training.labelNoise
        ? [`labels: ${training.labelNoise.kind}, ${100 * training.labelNoise.share} % of the spans`]
        : []),
      `learning rate ${training.learningRate}, ${schedule?.warmup ?? 0} steps of warm-up, then ${
        schedule?.decay ?? "linear"
      }; ${training.perStep} texts a step, ${training.epochs} epochs, seeds ${seeds.join(", ")}`,
      `AdamW: ${JSON.stringify(optimiser)}`,
      describeDenominators(methods),
      ...(held?.lora ? [`LoRA: ${JSON.stringify(held.lora)}`] : []),
      ...(held?.freeze ? [`without ${held.freeze.join(", ")}`] : []),
    ],
    ...{ runs, step },
    files: [
      `${out}/results.json and ${out}/tradeoff.svg`,
      `${out}/runs/METHOD-seedN: answers, and models of ${
        describeBytes(4 * countParameters(config))
      } each unless --keep-models no`,
      `${out}/checkpoints, every ${options.checkpointEvery} steps, while a model is trained`,
    ],
  }, terminal);
}

function meanLength(sequences: readonly Sequence[]): number {
  return sequences.reduce((sum, { tokens }) => sum + tokens.length, 0) / sequences.length;
}
