// Compiles every kernel of a training step of one layer of OLMo, named on standard error as each is compiled: first as the
// adapter would do the step unmeasured, then in every other way that it may choose.
//   deno run -A bench/compiled/step.ts WIDTH HEADS TIME PRECISION
// What it computes is not looked at: the device may be one that compiles and runs nothing.

import {
  fit,
  Gpu,
  initialise,
  LanguageModel,
  objective,
  olmoOptimiser,
  presets,
  Risk,
} from "../../mod.ts";
import { candidates } from "../../kernels/candidates.ts";
import type { KernelChoices } from "../../src/gpu/choices.ts";
import { choiceMark, kernelMark } from "./radv.ts";

const [width, heads, time] = Deno.args.map(Number) as [number, number, number];
const precision = Deno.args[3] as "f32" | "f16";

const create = GPUDevice.prototype.createComputePipeline;
GPUDevice.prototype.createComputePipeline = function (descriptor) {
  console.error(`${kernelMark}${descriptor.label}`);
  return create.call(this, descriptor);
};

using gpu = await Gpu.open();
const config = {
  ...presets.olmo1B,
  ...{ layers: 1, width, heads, kvHeads: heads, headWidth: width / heads, feedForward: 4 * width },
  ...{ vocabularySize: 8192, contextLength: time },
};
const weights = initialise(config, 0);
const tokens = Uint32Array.from({ length: time }, (_, i) => i % 1000);
const classes = new Uint8Array(time).fill(Risk.low);

const { square, thin, small, few, attention, loss } = candidates(gpu);
const at = <Variant>(variants: readonly Variant[], i: number) => variants[i % variants.length]!;
for (
  const choices of [
    gpu.adapter.kernels,
    ...square.map((variant, i): KernelChoices => ({
      origin: "set",
      matmul: {
        ...{ large: variant, square: variant, thin: at(thin, i) },
        ...{ small: at(small, i), few: at(few, i) },
      },
      attention: at(attention, i),
      loss: at(loss, i),
    })),
  ]
) {
  console.error(`${choiceMark}${choices.origin}`);
  gpu.adapter.kernels = choices; // a kernel that an earlier choice compiled is not compiled again
  const model = new LanguageModel(gpu, config, weights, { gradients: true, precision });
  await fit(model, {
    epochs: [[{ tokens, classes }]],
    ...{ perStep: 1, seed: 0, objective: objective("unlikelihood"), optimiser: olmoOptimiser },
    schedule: { peak: 1e-4, warmup: 0, decay: "linear", final: 0 },
  });
  model.destroy();
}
