// deno task train-classifier --risky FILE --harmless FILE --out FILE: trains the linear classifier that `label` uses.

import { CannotError } from "../src/base/errors.ts";
import { Random } from "../src/base/random.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { readSentences } from "../src/data/sources/comments.ts";
import { auroc } from "../src/eval/auroc.ts";
import {
  type LabelledText,
  linearClassifier,
  saveLinearModel,
  trainLinearClassifier,
} from "../src/label/linear_classifier.ts";

const command = defineCommand({
  name: "train-classifier",
  summary: "Trains a classifier of risky sentences, in seconds, and measures it on held-out ones.",
  examples: [
    "--risky abuse.txt --harmless other.txt --out abuse.linear",
    "--risky abuse.txt --harmless other.txt --held-out 0.2 --epochs 10 --out abuse.linear",
  ],
  options: {
    risky: { type: "path", required: true, placeholder: "file", help: "One sentence a line" },
    harmless: { type: "path", required: true, placeholder: "file", help: "One sentence a line" },
    out: { type: "path", required: true, placeholder: "file", help: "The classifier" },
    heldOut: {
      type: "number",
      default: 0.1,
      min: 0.001,
      max: 0.9,
      placeholder: "share",
      help: "Share of the sentences to measure on; the classifier never sees them",
    },
    epochs: { type: "integer", default: 5, min: 1, max: 1e6, help: "Passes over the sentences" },
    bits: { type: "integer", default: 18, min: 8, max: 26, help: "log2 of the number of weights" },
    seed: {
      type: "integer",
      default: 0,
      min: 0,
      max: 2 ** 32 - 1,
      help: "Of the held-out sentences and the order",
    },
  },
  async run({ risky, harmless, out, heldOut, epochs, bits, seed }, terminal) {
    const texts = new Random(seed, "held out").shuffle([
      ...await labelled(risky, true),
      ...await labelled(harmless, false),
    ]);
    const cut = Math.round(texts.length * (1 - heldOut));
    // A copy in the training part would be an answer key.
    const known = new Set(texts.slice(0, cut).map(({ text }) => text));
    const held = texts.slice(cut).filter(({ text }) => !known.has(text));
    const copies = texts.length - cut - held.length;
    if (copies > 0) {
      terminal.note(`${copies} held-out sentences were also among the others, and are left out`);
    }
    const began = performance.now();
    const name = `trained on ${fileName(risky)} and ${fileName(harmless)}`;
    const model = trainLinearClassifier(name, texts.slice(0, cut), { seed, epochs, bits });
    const seconds = (performance.now() - began) / 1000;
    const scores = await linearClassifier(model).score(held.map(({ text }) => text));
    const heldOutAuroc = auroc(scores, held.map(({ risky }) => Number(risky)));
    await saveLinearModel(out, model);
    terminal.print(
      `${cut} sentences in ${seconds.toFixed(1)} s; AUROC on ${held.length} held-out ones ` +
        `${heldOutAuroc.toFixed(4)}; the classifier is in ${out}`,
    );
    return { out, name, sentences: cut, heldOut: held.length, auroc: heldOutAuroc, seconds };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

async function labelled(path: string, risky: boolean): Promise<LabelledText[]> {
  const texts = await Array.fromAsync(readSentences(path), (text) => ({ text, risky }));
  if (texts.length > 0) return texts;
  throw new CannotError(`read "${path}"`, "it has no sentences", "Give one sentence a line");
}

function fileName(path: string): string {
  return path.split("/").at(-1)!;
}
