// The worker: holds the GPU, the base model and the four copies, and computes whatever takes longer than a frame, so that the
// page stays free. One thing at a time: what is asked while it trains is answered between two steps.

import { Gpu } from "../src/gpu/gpu.ts";
import { lossOf } from "../src/slung/derivative.ts";
import { type Base, openBase } from "./engine/base.ts";
import { plannedSteps } from "./engine/example.ts";
import { Lab } from "./engine/lab.ts";
import type { Calls, Message, News, Request } from "./engine/protocol.ts";
import { shownTokens } from "./engine/sequences.ts";
import { missingWebGpu } from "./engine/webgpu.ts";

const lookEvery = 10; // steps

type Handlers = {
  [Name in keyof Calls]: (...args: Parameters<Calls[Name]>) =>
    | ReturnType<Calls[Name]>
    | Promise<ReturnType<Calls[Name]>>;
};

const base = fetchBase();
base.catch(() => {}); // whoever waits for it hears
let gpu: Gpu | undefined;
let lab: Lab | undefined;
let training = false;
let last: Promise<unknown> = Promise.resolve();

async function fetchBase(): Promise<Base> {
  const files = await Promise.all(
    ["base.json", "base.bin"].map((name) => fetch(name)),
  );
  const missing = files.find(({ ok }) => !ok);
  if (missing) {
    throw new Error(
      `Cannot load ${missing.url}: the server says ${missing.status}.`,
    );
  }
  const [description, weights] = files as [Response, Response];
  return openBase(await description.json(), await weights.arrayBuffer());
}

async function openGpu(): Promise<Gpu> {
  const missing = await missingWebGpu();
  if (missing) throw new Error(missing);
  // With the kernels that suit adapters of its kind: to measure them first takes a minute on a slow one.
  return await Gpu.open({ kernels: {} });
}

/** Runs what it is given after everything that was given before. */
function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const result = last.then(work);
  last = result.catch(() => {});
  return result;
}

function tell(news: News): void {
  post({ news });
}

function post(message: Message): void {
  self.postMessage(message);
}

function current(): Lab {
  if (lab) return lab;
  throw new Error(
    "Cannot ask the models: there are none yet. Start the training first.",
  );
}

async function look(): Promise<void> {
  tell({ kind: "look", look: await current().look() });
}

const handlers: Handlers = {
  async tokens(texts) {
    const { tokenizer } = await base;
    return texts.map((text) => shownTokens(tokenizer, text));
  },
  slope: (loss) => lossOf("own", loss).slope,
  prepare: (example) =>
    inTurn(async () => {
      const opened = await base;
      gpu ??= await openGpu();
      const fresh = new Lab(gpu, opened, example);
      lab?.[Symbol.dispose]();
      lab = fresh;
      const { name, software } = gpu.adapter;
      return { adapter: { name, software }, tokens: lab.tokens, look: await lab.look() };
    }),
  async train(until) {
    if (current().step >= plannedSteps) {
      throw new Error(`Cannot train on: all ${plannedSteps} steps are done. Start over.`);
    }
    training = true;
    while (training && current().step < Math.min(until, plannedSteps)) {
      await inTurn(async () => {
        tell({ kind: "losses", losses: await current().train() });
        if (current().step % lookEvery === 0) await look();
      });
    }
    if (current().step % lookEvery !== 0) await inTurn(look);
  },
  stop() {
    training = false;
  },
  ask: (questions) => inTurn(() => current().ask(questions)),
  flow: (sentence) => inTurn(() => current().flow(sentence)),
};

self.addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  const { id, name, args } = data;
  try {
    const handler = handlers[name] as (...args: unknown[]) => unknown;
    post({ id, result: await handler(...args) });
  } catch (error) {
    post({ id, error: (error as Error).message });
  }
});
