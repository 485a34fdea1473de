// Your loss: one line and its derivative; both are checked, and compiled into the kernel.
//   deno run --allow-read examples/your_loss.ts

import { customLoss, encodeText, fit, Gpu, initialise, LanguageModel } from "@slung/slung";
import { olmoOptimiser, onHighRisk, Risk, scoreSequences } from "@slung/slung";
import { smallOlmo, trainBytePair } from "@slung/slung";

const gentle = onHighRisk(customLoss({
  name: "squared",
  value: "p * p", // instead of -log(1 - p): hardly pushes what is improbable already
  derivative: "2 * p * p", // with respect to log p
}));

const text = "The old mill was run by Mira until winter.";
const tokenizer = trainBytePair([text], 258);
const sequence = encodeText(tokenizer, { text, spans: [{ start: 24, end: 28, risk: Risk.high }] });

using gpu = await Gpu.open();
const config = smallOlmo({ width: 32, layers: 1, heads: 2, vocabularySize: 320 });
using model = new LanguageModel(gpu, config, initialise(config, 0), { gradients: true });
await fit(model, {
  epochs: Array(40).fill([sequence]),
  perStep: 1,
  seed: 0,
  objective: gentle,
  optimiser: olmoOptimiser,
  schedule: { peak: 1e-2, warmup: 0, decay: "linear", final: 0 },
});
const [scores] = await scoreSequences(model, [sequence]);
const name = Math.exp(scores![23]!).toFixed(3), winter = Math.exp(scores![35]!).toFixed(3);
console.log(`The probability of the name's first letter is ${name}, that of "winter"'s ${winter}`);
