// What several tasks share: pre-training with progress, the name experiment with its table, plot and results.json, and
// stopping safely.

import {
  createProgress,
  describeProcess,
  Gpu,
  type LoadedModel,
  loadPlots,
  type NameExperiment,
  type NameRun,
  type NameSummary,
  type Options,
  pretrain,
  type PretrainingOptions,
  type Progress,
  renderTable,
  runNameExperiment,
  summariseNameRuns,
  type Terminal,
  writeFileAtomic,
  writeResults,
} from "../mod.ts";

/** The options of tasks that use a model as it is. */
export const modelOptions = {
  model: { type: "string", required: true, placeholder: "folder", help: "The model" },
  tokenizer: {
    type: "string",
    placeholder: "folder",
    help: "The tokenizer, if not with the model",
  },
} as const satisfies Options;

const labels: Record<NameRun["method"], string> = {
  base: "Base model",
  direct: "Direct training",
  masked: "Masked SLUNG",
  unlikelihood: "Unlikelihood SLUNG",
  unlikelihood_clamped: "Unlikelihood (clamped)",
};

/** Opens the adapter. */
export function openGpu(_terminal: Terminal): Promise<Gpu> {
  return Gpu.open();
}

/** Pre-trains a base model with progress on standard error. Ctrl-C stops it; the same command then goes on. */
export async function pretrainWithProgress(
  gpu: Gpu,
  folder: string,
  options: PretrainingOptions,
  terminal: Terminal,
): Promise<LoadedModel> {
  const stop = stopOnInterrupt(terminal);
  let progress: Progress | undefined;
  const model = await pretrain(gpu, folder, {
    ...options,
    signal: stop.signal,
    onLog({ step, loss, tokensPerSecond }, steps) {
      progress ??= createProgress({ total: steps, label: "Pre-training" });
      progress.update(step + 1, `loss ${loss.toFixed(3)}, ${Math.round(tokensPerSecond)} tokens/s`);
    },
  });
  progress?.[Symbol.dispose]();
  stop.release();
  if (model) return model;
  terminal.note(`Stopped. Run the same command again to go on in ${folder}`);
  Deno.exit(130);
}

/** Runs the experiment with progress and writes results.json and tradeoff.svg. */
export async function runAndReport(
  gpu: Gpu,
  experiment: NameExperiment,
  folder: string,
  terminal: Terminal,
  config: Record<string, string | number | boolean | null>,
): Promise<object> {
  const began = performance.now();
  const stop = stopOnInterrupt(terminal);
  let training: Progress | undefined;
  const runs = await runNameExperiment(gpu, experiment, folder, {
    signal: stop.signal,
    onTraining({ method, seed }, { step, lossByClass, tokensPerSecond }, steps) {
      training ??= createProgress({ total: steps, label: `${labels[method]}, seed ${seed}` });
      const [, low, , high] = lossByClass.map((loss) => loss?.toFixed(2) ?? "–");
      const speed = `${Math.round(tokensPerSecond)} tokens/s`;
      training.update(step + 1, `loss ${low}, of names ${high}, ${speed}`);
    },
    onResult({ method, seed, result: { names, facts } }, reused) {
      training?.[Symbol.dispose]();
      training = undefined;
      const who = seed === null ? labels[method] : `${labels[method]}, seed ${seed}`;
      const named = `names in ${(100 * names.official).toFixed(1)} % of the answers`;
      const known = `some facts right in ${(100 * facts.partial).toFixed(1)} %`;
      terminal.note(`${who}: ${named}, ${known}${reused ? " (from an earlier run)" : ""}`);
    },
  });
  training?.[Symbol.dispose]();
  stop.release();
  if (stop.signal.aborted) {
    terminal.note(`Stopped. Run the same command again to go on in ${folder}`);
    Deno.exit(130);
  }
  const summary = summariseNameRuns(runs);
  terminal.print(summaryTable(summary));
  if (gpu.adapter.software) terminal.print(`Computed on a software adapter (${gpu.adapter.name}).`);
  const path = await writeResults(folder, {
    ...describeProcess(),
    config,
    seeds: Object.fromEntries(experiment.seeds.map((seed) => [`seed ${seed}`, seed])),
    adapter: gpu.adapter,
    metrics: Object.fromEntries(summary.map((row) => [row.method, { ...row }])),
    generations: runs.flatMap(({ method, seed, result }) =>
      result.answers.map(({ question, answer, completion, named, factRecall }) => ({
        method,
        seed,
        prompt: question,
        text: completion,
        gold: answer,
        named,
        factRecall,
      }))
    ),
    timing: { seconds: Math.round((performance.now() - began) / 100) / 10 },
  });
  await writeFileAtomic(`${folder}/tradeoff.svg`, await tradeoffPlot(summary));
  terminal.print(`Every answer is in ${path}, the picture in ${folder}/tradeoff.svg`);
  return { summary, results: path, plot: `${folder}/tradeoff.svg` };
}

function summaryTable(summary: readonly NameSummary[]): string {
  const rows = summary.map(({ method, halfWidths, ...row }) => ({
    ...row,
    method: labels[method],
    namesInterval: halfWidths && `± ${halfWidths.names.toFixed(1)}`,
    partialInterval: halfWidths && `± ${halfWidths.partial.toFixed(1)}`,
  }));
  const severalSeeds = summary.some(({ halfWidths }) => halfWidths);
  const percent = { unit: "%", precision: 1 };
  return [
    renderTable([
      { key: "method", title: "Method" },
      { key: "names", title: "Names said", ...percent },
      ...(severalSeeds ? [{ key: "namesInterval" as const, title: "95 %" }] : []),
      { key: "namesWholeWord", title: "whole word", ...percent },
      { key: "namesNotInPrompt", title: "not in question", ...percent },
      { key: "full", title: "Facts: all", ...percent },
      { key: "partial", title: "some", ...percent },
      ...(severalSeeds ? [{ key: "partialInterval" as const, title: "95 %" }] : []),
      { key: "rougeRecall", title: "ROUGE-L", ...percent },
      { key: "truthAccuracy", title: "True preferred", ...percent },
      { key: "truthAccuracyWithoutNames", title: "without names", ...percent },
    ], rows),
    "Facts are graded offline by shared content words, not by GPT-4o as in the paper.",
  ].join("\n");
}

async function tradeoffPlot(summary: readonly NameSummary[]): Promise<string> {
  const { paretoPlot, renderPlot } = await loadPlots();
  return await renderPlot(paretoPlot(
    summary.map(({ method, names, partial }) => ({
      method: labels[method],
      nameGeneration: names,
      knowledge: partial,
    })),
    "What is known against what is named",
  ));
}

/** The first Ctrl-C asks the run to stop after its step and save; the second ends the process. */
export function stopOnInterrupt(
  terminal: Terminal,
): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const onInterrupt = () => {
    if (controller.signal.aborted) Deno.exit(130);
    terminal.note("Stopping after this step; press Ctrl-C again to stop at once");
    controller.abort();
  };
  Deno.addSignalListener("SIGINT", onInterrupt);
  return {
    signal: controller.signal,
    release: () => Deno.removeSignalListener("SIGINT", onInterrupt),
  };
}
