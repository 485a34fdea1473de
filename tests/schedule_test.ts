import { learningRate, type Schedule } from "../src/train/schedule.ts";
import { assert, assertClose, assertEquals } from "./assert.ts";

const schedule: Schedule = { peak: 2, warmup: 4, decay: "linear", final: 0.1, steps: 14 };

Deno.test("warm-up rises linearly from the first step and reaches the peak at its last", () => {
  const rates = [0, 1, 2, 3].map((step) => learningRate(schedule, step));
  assertEquals(rates, [0.5, 1, 1.5, 2]);
});

Deno.test("a run without warm-up starts at the peak", () => {
  for (const decay of ["constant", "linear", "cosine"] as const) {
    assertEquals(learningRate({ ...schedule, warmup: 0, decay }, 0), 2);
  }
});

Deno.test("a constant schedule stays at the peak whatever its final fraction", () => {
  const constant: Schedule = { ...schedule, decay: "constant" };
  for (const step of [4, 9, 13, 1000]) assertEquals(learningRate(constant, step), 2);
});

Deno.test("linear and cosine decay meet at the peak, half way and at the final fraction", () => {
  for (const decay of ["linear", "cosine"] as const) {
    const rate = (step: number) => learningRate({ ...schedule, decay }, step);
    assertClose([4, 9, 14].map(rate), [2, 2 * 0.55, 2 * 0.1], 1e-15);
  }
});

Deno.test("cosine decays slower than linear at first and faster in the second half", () => {
  const rate = (decay: Schedule["decay"], step: number) =>
    learningRate({ ...schedule, decay }, step);
  assert(rate("cosine", 6) > rate("linear", 6));
  assert(rate("cosine", 12) < rate("linear", 12));
  // (1 + cos(π / 5)) / 2 of the way that there is to decay
  const left = (1 + Math.cos(Math.PI / 5)) / 2;
  assertClose(rate("cosine", 6), 2 * (0.1 + 0.9 * left), 1e-15);
});

Deno.test("the rate never leaves the range from final to peak, beyond the last step included", () => {
  for (const decay of ["linear", "cosine"] as const) {
    for (let step = 4; step < 100; step++) {
      const rate = learningRate({ ...schedule, decay }, step);
      assert(rate >= 0.2 - 1e-12 && rate <= 2, `${decay}, step ${step}: ${rate}`);
    }
  }
});

Deno.test("a run that is all warm-up, or that ends where warm-up ends, has finite rates", () => {
  assertEquals(learningRate({ ...schedule, warmup: 20 }, 13), 2 * 14 / 20);
  assertEquals(learningRate({ ...schedule, warmup: 14 }, 14), 2);
});
