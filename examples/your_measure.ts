// Your measure, in an experiment of your own: methods compared over seeds, each model kept, nothing computed twice.
//   deno run --allow-read --allow-write examples/your_measure.ts

import { encodeText, markTexts, smallOlmo, trainBytePair, wordLabeller } from "@slung/slung";
import { Gpu, initialise, objective, olmoOptimiser, Risk, scoreSequences } from "@slung/slung";
import { type Measure, runExperiment, studentInterval, textExperiment } from "@slung/slung";

const stories = ["Mira ran the mill.", "In June Mira sold it.", "Then the mill stood still."];
const texts = await markTexts(stories, wordLabeller(["Mira"]));
const tokenizer = trainBytePair(stories, 258);
const sequences = texts.map((text) => encodeText(tokenizer, text));
const config = smallOlmo({ width: 32, layers: 1, heads: 2, vocabularySize: 320 });

const named: Measure<{ named: number }> = {
  name: "named",
  identity: texts, // what decides the result, besides the model and this code
  async measure({ model }) { // how probable the letters of the name are, in percent
    const scores = await scoreSequences(await model(), sequences);
    const ofName = scores.flatMap((all, i) =>
      [...all].filter((_, t) => sequences[i]!.classes[t + 1] === Risk.high)
    );
    return 100 * ofName.reduce((sum, score) => sum + Math.exp(score), 0) / ofName.length;
  },
};
const names = ["direct", "masked", "unlikelihood"] as const;
const experiment = await textExperiment({
  base: { config, weights: initialise(config, 0) },
  tokenizer,
  texts,
  training: {
    epochs: 20,
    perStep: 1,
    optimiser: olmoOptimiser,
    schedule: { peak: 1e-2, warmup: 0, decay: "linear", final: 0 },
  },
  methods: names.map((name) => ({ name, title: name, objective: objective(name) })),
  seeds: [0, 1],
  measures: [named],
});

using gpu = await Gpu.open();
const outcomes = await runExperiment(gpu, experiment, "runs/your_measure");
for (const [title, group] of Map.groupBy(outcomes, ({ run }) => run.method?.title ?? "base")) {
  const { mean, low, high } = studentInterval(group.map(({ stages }) => stages[0]!.results.named));
  console.log(`${title}: ${mean.toFixed(1)} % (${low.toFixed(1)} to ${high.toFixed(1)})`);
}
