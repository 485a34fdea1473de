// The optimiser as a whole: norm over several arenas, clipping, AdamW, and the halt that protects the weights.

import { adamw } from "../kernels/adamw.ts";
import { gradientNorm, statusLength } from "../kernels/gradient_norm.ts";
import { stepLength, writeStep } from "../kernels/step.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { assert, assertClose, assertEquals } from "./assert.ts";
import { filled, floats, launch, normals } from "./launch.ts";
import { type AdamWState, adamWStep, clipFactor, globalNorm } from "./reference.ts";

Deno.test("the norm over several arenas and the clip factor agree with float64", async () => {
  using gpu = await Gpu.open();
  // Blocks of 256: below, at, just past one, and more blocks than the 64 lanes that add them up.
  for (const lengths of [[1], [256], [257, 3, 600], [64 * 256 + 300, 5]]) {
    const arenas = lengths.map((length, i) => normals(`gradient ${i}`, length));
    const norm = globalNorm(arenas.map(({ data }) => data));
    for (const maxGradientNorm of [0, norm / 3, norm * 2]) {
      const hosts = Object.fromEntries(arenas.map((arena, i) => [`gradient${i}`, arena]));
      const { status } = await launch(
        gpu,
        { ...hosts, status: floats([NaN, NaN, 0]) },
        (program, { status, ...gradients }) => {
          gradientNorm(program, {
            gradients: Object.values(gradients),
            status: status!,
            maxGradientNorm,
          });
        },
      );
      const factor = maxGradientNorm === 0 ? 1 : clipFactor(norm, maxGradientNorm);
      assertClose(status![0]! / norm, 1, 1e-6, "norm");
      assertClose(status!.slice(1), [factor, 0], 1e-6, "factor and halt");
    }
  }
});

Deno.test("the norm of more blocks than one pass adds up agrees with float64", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "large");
  const blocks = 2 ** 16;
  const length = 256 * blocks;
  const large = Float32Array.from({ length }, (_, i) => (i % 7 - 3) / 2 ** 12);
  const small = Float32Array.of(0.3, -0.5); // one block more; counts as much as a million others
  const squares = (data: Float32Array) => data.reduce((sum, value) => sum + value * value, 0);
  const [first, second] = [large, small].map((data, i) => {
    const tensor = program.allocate(`gradient${i}`, [data.length]);
    gpu.write(tensor, data);
    return tensor;
  });
  const status = [1, 2].map((i) => program.allocate(`status${i}`, [statusLength]));
  gradientNorm(program, { gradients: [first!], status: status[0]!, maxGradientNorm: 0 });
  gradientNorm(program, { gradients: [second!, first!], status: status[1]!, maxGradientNorm: 0 });
  program.replay();
  const [alone, both] = (await gpu.readAll(status)).map((bytes) => new Float32Array(bytes)[0]!);
  assertClose(alone! / Math.sqrt(squares(large)), 1, 1e-6, "in two passes");
  assertClose(both! / Math.sqrt(squares(large) + squares(small)), 1, 1e-6, "in three");
  assertEquals(program.length, 2 + 4);
});

Deno.test("seven clipped AdamW steps agree with float64", async () => {
  using gpu = await Gpu.open();
  const betas = [0.9, 0.95] as const;
  for (
    const { decay, maxGradientNorm, length } of [
      { decay: 0, maxGradientNorm: 0, length: 1 },
      { decay: 0.1, maxGradientNorm: 1, length: 131 },
    ]
  ) {
    using program = new Program(gpu, "test");
    const names = ["gradient", "weight", "firstMoment", "secondMoment"] as const;
    const [gradient, weight, firstMoment, secondMoment] = names
      .map((name) => program.allocate(name, [length]));
    const tensors = {
      gradient: gradient!,
      weight: weight!,
      firstMoment: firstMoment!,
      secondMoment: secondMoment!,
    };
    const step = program.allocate("step", [stepLength]), status = program.allocate("status", [3]);
    const epsilon = 1e-8;
    gradientNorm(program, { gradients: [tensors.gradient], status, maxGradientNorm });
    adamw(program, { ...tensors, step, status, decay, betas, epsilon });
    const zeros = new Float64Array(length);
    const start = normals("weight", length).data as Float32Array;
    let state: AdamWState = {
      parameter: Float64Array.from(start),
      firstMoment: zeros,
      secondMoment: zeros,
    };
    gpu.write(tensors.weight, start);
    for (let update = 1; update <= 7; update++) {
      const learningRate = 0.1 / update;
      const { data } = normals(`gradient ${update}`, length);
      gpu.write(tensors.gradient, data);
      writeStep(gpu, step, { learningRate, update, divisor: 1 }, betas);
      program.replay();
      const factor = maxGradientNorm === 0 ? 1 : clipFactor(globalNorm([data]), maxGradientNorm);
      state = adamWStep(state, Float64Array.from(data, (value) => value * factor), {
        step: update,
        learningRate,
        beta1: betas[0],
        beta2: betas[1],
        epsilon,
        weightDecay: decay,
      });
      assertClose(await gpu.read(tensors.weight), state.parameter, 2e-6, `weight, step ${update}`);
    }
    assertClose(await gpu.read(tensors.firstMoment), state.firstMoment, 1e-6, "first moment");
    assertClose(await gpu.read(tensors.secondMoment), state.secondMoment, 1e-6, "second moment");
  }
});

for (const poison of [NaN, Infinity, -Infinity]) {
  Deno.test(`a gradient of ${poison} halts this and every later update`, async () => {
    using gpu = await Gpu.open();
    using program = new Program(gpu, "test");
    const length = 300;
    const allocate = (name: string, size = length) => program.allocate(name, [size]);
    const tensors = {
      gradient: allocate("gradient"),
      weight: allocate("weight"),
      firstMoment: allocate("first_moment"),
      secondMoment: allocate("second_moment"),
      status: allocate("status", 3),
      step: allocate("step", stepLength),
    };
    const betas = [0.9, 0.999] as const;
    gradientNorm(program, {
      gradients: [tensors.gradient],
      status: tensors.status,
      maxGradientNorm: 1,
    });
    adamw(program, { ...tensors, decay: 0.1, betas, epsilon: 1e-8 });
    const take = async (gradient: Float32Array, update: number) => {
      gpu.write(tensors.gradient, gradient);
      writeStep(gpu, tensors.step, { learningRate: 0.1, update, divisor: 1 }, betas);
      program.replay();
      return {
        status: await gpu.read(tensors.status),
        weight: await gpu.read(tensors.weight),
        moments: [await gpu.read(tensors.firstMoment), await gpu.read(tensors.secondMoment)],
      };
    };
    gpu.write(tensors.weight, normals("weight", length).data);
    const good = normals("gradient", length).data as Float32Array;
    const before = await take(good, 1);
    assertEquals(before.status[2], 0);
    assert(before.weight.some((value, i) => value !== normals("weight", length).data[i]));

    const bad = good.slice();
    bad[length - 1] = poison;
    for (const gradient of [bad, good]) { // the halt outlives the gradient that caused it
      const after = await take(gradient, 2);
      assertEquals(after.status[2], 1);
      assertEquals(after.weight, before.weight);
      assertEquals(after.moments, before.moments);
    }
  });
}

Deno.test("gradients of nothing but zeros have norm 0 and change no weight", async () => {
  using gpu = await Gpu.open();
  const { status, weight } = await launch(gpu, {
    gradient: filled(0, 70),
    weight: filled(3, 70),
    firstMoment: filled(0, 70),
    secondMoment: filled(0, 70),
    status: floats([NaN, NaN, 0]),
    step: floats([0.1, 0.1, 0.05, 1]),
  }, (program, tensors) => {
    gradientNorm(program, {
      gradients: [tensors.gradient],
      status: tensors.status,
      maxGradientNorm: 1,
    });
    adamw(program, { ...tensors, decay: 0, betas: [0.9, 0.95], epsilon: 1e-8 });
  });
  assertEquals([...status], [0, 1, 0]);
  assertClose(weight, new Float32Array(70).fill(3), 0);
});
