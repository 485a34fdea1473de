// The live training display: one figure redrawn in place while a training function reports, and a stop that is heard.

import { assert, assertEquals, assertRejects } from "./assert.ts";
import { liveTraining, type MimeBundle, type TrainingEntry } from "../src/notebook/mod.ts";
import { trainingPicture } from "../src/notebook/live_picture.ts";

const entry = (step: number, low: number, high?: number): TrainingEntry => ({
  step,
  loss: low,
  lossByClass: [undefined, low, undefined, high],
  tokensPerSecond: 1234.5,
});

Deno.test("a frame names title, steps, speed, time left, and a curve for each class with tokens", () => {
  const history = [entry(0, 4, 0.5), entry(1, 3, 0.25), entry(2, NaN, 0.125), entry(3, 2, 0.0625)];
  const shown = trainingPicture({
    title: "Masked <SLUNG>",
    history,
    total: 10,
    state: "training",
    seconds: 8,
    secondsPerStep: 2,
  });
  const svg = shown.svg!;
  assertEquals(svg.match(/<polyline/g)?.length, 2);
  assert(svg.includes("Masked &#60;SLUNG&#62;") && !svg.includes("NaN"));
  assertEquals(
    String(shown),
    "Masked <SLUNG>: step 4 of 10 · 1,235 tokens/s · 12 s left · interrupt the kernel to stop and save, " +
      "low risk 2.000, definitely risky 0.063",
  );
});

Deno.test("an axis has round marks, 0 among them, whatever the losses", () => {
  const rest = { title: "t", total: 2, state: "finished" as const, seconds: 1 };
  const marks = (...losses: [low: number, high: number][]) => {
    const { svg } = trainingPicture({
      ...rest,
      history: losses.map((each, i) => entry(i, ...each)),
    });
    return Array.from(svg!.matchAll(/text-anchor="end"[^>]*>([^<]+)</g), (found) => found[1]);
  };
  assertEquals(marks([3.2, -4], [0.5, -51.6]), ["-60", "-40", "-20", "0", "20"]);
  assertEquals(marks([2.9, -0.1], [0.3, -0.48]), ["-1", "0", "1", "2", "3"]);
  assertEquals(marks([0.7, 0.1], [0.3, 0.01]), ["0", "0.2", "0.4", "0.6", "0.8"]);
  assertEquals(marks([0, 0]).length, 3, "a loss of nothing still has an axis");
});

Deno.test("a curve reaches the right edge with the last step, and its name stands beyond its end", () => {
  const at = (steps: number) => {
    const history = Array.from({ length: steps }, (_, i) => entry(i, 3));
    const { svg } = trainingPicture({
      title: "t",
      total: 9,
      state: "training",
      seconds: 1,
      history,
    });
    const [, end] = svg!.match(/<circle cx="([\d.]+)"/)!;
    const [, name] = svg!.match(/<text x="([\d.]+)"[^>]*>loss 3/)!;
    const axis = Array.from(
      svg!.matchAll(/<line x1="([\d.]+)" x2="([\d.]+)"/g),
      (line) => +line[2]!,
    );
    return { end: Number(end), name: Number(name), right: Math.max(...axis) };
  };
  const { end, name, right } = at(9);
  assertEquals(end, right);
  assert(name > right, "the name covers the curve");
  assert(at(5).end < right);
});

Deno.test("one class is one curve, and nothing yet is no curve", () => {
  const rest = { title: "t", total: 2, state: "finished" as const, seconds: 1 };
  const one = trainingPicture({ ...rest, history: [entry(0, 4), entry(1, 3)] });
  assert(String(one).endsWith("finished · 1.0 s, loss 3.000"), String(one));
  const none = trainingPicture({ ...rest, history: [], state: "training" });
  assertEquals(String(none), "t: compiling");
  const nan = trainingPicture({ ...rest, history: [{ ...entry(0, NaN), loss: NaN }] });
  assert(!nan.svg!.includes("NaN"));
});

Deno.test("a long run is drawn with few points, and names at the ends of curves do not overlap", () => {
  const history = Array.from({ length: 5000 }, (_, i) => entry(i, 3, 3.001));
  const shown = trainingPicture({
    title: "t",
    history,
    total: 5000,
    state: "finished",
    seconds: 9,
  });
  const svg = shown.svg!;
  assert(svg.length < 12_000, `${svg.length} bytes`);
  const heights = Array.from(
    svg.matchAll(/y="([\d.]+)"[^>]*>(?:low|definitely) risk/g),
    (m) => Number(m[1]),
  );
  assertEquals(heights.length, 2);
  assert(Math.abs(heights[0]! - heights[1]!) >= 15.9, heights.join(" "));
});

interface Shown {
  bundle: MimeBundle;
  update: boolean;
  id: string;
}

/** Runs with a stand-in for the kernel's door, and returns what went through. */
async function inJupyter(run: () => Promise<unknown>): Promise<Shown[]> {
  const shown: Shown[] = [];
  const display = (bundle: MimeBundle, options: { update: boolean; display_id: string }) => {
    shown.push({ bundle, update: options.update, id: options.display_id });
    return Promise.resolve();
  };
  Reflect.set(Deno, "jupyter", { display });
  try {
    await run();
  } finally {
    Reflect.set(Deno, "jupyter", undefined);
  }
  return shown;
}

Deno.test({
  name: "in Jupyter one display is redrawn, after bursts of reports and not for each of them",
  sanitizeOps: false, // the listener for interrupts stays as long as the kernel
  sanitizeResources: false,
  async fn() {
    let outcome: string | undefined;
    const shown = await inJupyter(async () => {
      outcome = await liveTraining({ title: "t", interval: 0 }, async ({ onLog }) => {
        for (let burst = 0; burst < 3; burst++) {
          for (let i = 0; i < 16; i++) onLog(entry(16 * burst + i, 3 - burst), 48);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        return "done";
      });
    });
    assertEquals(outcome, "done");
    const [created, ...redrawn] = shown.map(({ update }) => update);
    assert(!created && redrawn.length >= 1 && redrawn.length <= 3 && redrawn.every(Boolean));
    assertEquals(new Set(shown.map(({ id }) => id)).size, 1);
    const lines = shown.map(({ bundle }) => bundle["text/plain"]);
    assert(lines[0]!.startsWith("t: step 16 of 48"), "drawn after the whole burst");
    assert(lines.at(-1)!.includes("step 48 of 48") && lines.at(-1)!.includes("finished"));
  },
});

Deno.test({
  name: "a training with checkpoints of its own is handed no other place for them",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const names = async (hooks: object) => await Promise.resolve(Object.keys(hooks));
    await inJupyter(async () => {
      const own = await liveTraining({ title: "t", ownCheckpoints: true }, names);
      assertEquals(own, ["onLog", "signal"]);
      assertEquals(await liveTraining({ title: "t" }, names), ["onLog", "signal", "checkpoint"]);
    });
  },
});

Deno.test({
  name: "a training that fails is shown as failed, and its error goes on",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const shown = await inJupyter(() =>
      assertRejects(
        () => liveTraining({ title: "t" }, () => Promise.reject(new Error("a loss became NaN"))),
        "a loss became NaN",
      )
    );
    assertEquals(shown.map(({ bundle }) => bundle["text/plain"]), ["t: failed, without a step"]);
  },
});
