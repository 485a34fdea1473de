// The page in Chromium: a span is marked from the keyboard, four models train, and what they did is taken home and compared
// with the same training in Deno.

import { Gpu } from "../../src/gpu/gpu.ts";
import { Risk } from "../../src/slung/risk.ts";
import { packBase, pageFiles } from "../../tasks/page_files.ts";
import { servePage } from "../../tasks/page.ts";
import { openBase } from "../../web/engine/base.ts";
import type { Example } from "../../web/engine/example.ts";
import { Lab, type Look, type StepLosses } from "../../web/engine/lab.ts";
import { fragmentOf } from "../../web/engine/link.ts";
import { assert, assertClose, assertEquals } from "../assert.ts";
import { longestTask, openPage, type Page, press, taken, withChromium } from "../browser.ts";

const steps = Number(Deno.env.get("PAGE_STEPS") ?? 30);
const sentence = "Narvopis Zazgivek plays the violin.";
const name = { start: 0, end: "Narvopis Zazgivek".length, risk: Risk.high };
const unmarked: Example = {
  texts: [{ text: sentence, spans: [] }, { text: "She writes radio plays.", spans: [] }],
  questions: [{ question: "Which instrument does Narvopis Zazgivek play?", answer: sentence }],
  own: "p",
  seed: 3,
  learningRate: 1e-3,
};
const marked: Example = {
  ...unmarked,
  texts: [{ text: sentence, spans: [name] }, unmarked.texts[1]!],
};
const traced = 20; // steps; a trace of many more is cut off
const longest = 100; // milliseconds that the main thread may compute at a stretch, so that the page answers at once
// The CPU that draws is the one that trains here: a gap between frames need not be the page's doing.
const watchFrames = `(() => {
  globalThis.longestGap = 0;
  let last = performance.now();
  const tick = (now) => {
    longestGap = Math.max(longestGap, now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
})()`;
const [direct, masked, unlikelihood] = [0, 1, 2];

interface Run {
  example: Example;
  losses: (Omit<StepLosses, "byClass"> & { byClass: (number | null)[][] })[];
  looks: Look[];
}

/** Waits until the line that says what happens begins so. */
async function until(page: Page, status: string): Promise<void> {
  const deadline = performance.now() + 600_000;
  for (;;) {
    const [said, fault] = await page.evaluate<[string, string]>(
      `["status", "notice"].map((id) => document.getElementById(id)?.textContent.trim() ?? "")`,
    );
    if (said.startsWith(status)) return;
    assert(fault === "", fault);
    assert(performance.now() < deadline, `still "${said}", not "${status}"; ${page.log}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Mean probability of the name's tokens. */
function chanceOfName(look: Look, model: number, tokens: number): number {
  const chances = look.models[model]!.probabilities[0]!.slice(1, tokens);
  return chances.reduce((sum, chance) => sum + chance, 0) / chances.length;
}

Deno.test({
  ...withChromium(
    "in the page a marked name is understood and not said, with the losses that Deno has",
  ),
  fn: async () => {
    const files = await pageFiles();
    await using page = await openPage(servePage(files), "labels.html");
    const url = page.requests[0]!.replace("labels.html", `#${await fragmentOf(unmarked)}`);
    const starting = await longestTask(page, async () => {
      await page.send("Page.navigate", { url });
      await until(page, "Ready");
    });
    await page.evaluate(`(() => {
      const field = document.querySelector("#editor textarea");
      field.focus();
      field.setSelectionRange(${name.start}, ${name.end});
    })()`);
    await press(page, "Enter", { control: true });
    const train = async (from: number, to: number) => {
      await page.evaluate(`(() => {
        document.getElementById("steps").value = ${to - from};
        document.getElementById("go").click();
      })()`);
      await until(page, `Stopped after ${to} steps with seed 3`);
    };
    const training = await longestTask(page, () => train(0, traced));
    await page.evaluate(watchFrames);
    const began = performance.now();
    await train(traced, steps);
    const perSecond = (steps - traced) / (performance.now() - began) * 1000;
    const gap = await page.evaluate<number>("longestGap");
    console.log(
      `SwiftShader, a program on this CPU: ${
        perSecond.toFixed(2)
      } steps a second, the longest gap ` +
        `between frames ${gap.toFixed(0)} ms; the main thread computed for at most ` +
        `${starting.toFixed(0)} ms while it started, ${training.toFixed(0)} ms while it trained`,
    );
    assert(starting < longest && training < longest, `${starting} ms, ${training} ms`);
    const run: Run = JSON.parse(await taken(page, "take-run"));
    assertEquals(run.example, marked);
    assertEquals(JSON.parse((await taken(page, "take-spans")).split("\n")[0]!), marked.texts[0]);
    assert((await taken(page, "take-picture")).startsWith("<svg"), "the picture");
    const shown = await page.evaluate<string>(`document.getElementById("regular").textContent`);
    for (const { answers } of run.looks.at(-1)!.models) assert(shown.includes(answers[0]!), shown);
    assertEquals(page.log, []);
    const outside = page.requests.filter((url) => !/^(http:\/\/localhost:|blob:|data:)/.test(url));
    assertEquals(outside, []);

    const { losses, looks } = run;
    assertEquals(losses.map(({ step }) => step), Array.from({ length: steps }, (_, i) => i + 1));
    assertEquals(
      looks.map(({ step }) => step),
      Array.from({ length: steps / 10 + 1 }, (_, i) => 10 * i),
    );
    const [first, last] = [looks[0]!, looks.at(-1)!];
    assert(losses.at(-1)!.loss[masked]! < 0.5 * losses[0]!.loss[masked]!, "the masked loss fell");
    for (const { byClass } of losses) assertEquals(byClass[masked]![Risk.high], null); // undefined in JSON

    const { description, weights } = await packBase();
    const base = openBase(description, weights.buffer);
    const tokens = base.tokenizer.encode(` ${sentence.slice(0, name.end)}`).ids.length;
    const rise = (model: number) =>
      chanceOfName(last, model, tokens) - chanceOfName(first, model, tokens);
    assert(rise(masked) < 0.01, `masked ${rise(masked)}`);
    assert(rise(unlikelihood) < 0, `unlikelihood ${rise(unlikelihood)}`);
    assert(rise(direct) > 0.3, `direct ${rise(direct)}`);

    using gpu = await Gpu.open();
    using lab = new Lab(gpu, base, marked);
    for (const there of losses) {
      const here = await lab.train();
      assertEquals(here.step, there.step);
      assertClose(there.loss, here.loss, 1e-3, `the losses of step ${here.step}`);
    }
  },
});
