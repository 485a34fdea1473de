// A display that lives while a cell trains: loss curves by risk class, tokens per second, time left. In a notebook one
// figure is redrawn in place; in a terminal it is the progress line. Interrupting the cell (or Ctrl-C) aborts the
// signal, upon which `fit` and `train` finish their step, save a checkpoint and return.
//
// Jupyter interrupts a kernel by SIGINT. Deno's kernel dies of it unless something listens, also after the last listener
// has left; the listener here therefore stays as long as the kernel. (Its `interrupt_request` is no way out: it ends
// a loop without awaits, but leaves a kernel that was awaiting hanging for good.)

import { largest } from "../base/extremes.ts";
import { createProgress, duration } from "../report/progress.ts";
import { formatCell } from "../report/table.ts";
import { displayable, jupyter, send } from "./display.ts";
import { ink, round, svgDocument, svgText } from "./svg.ts";

/** What a training step reports; the entries of `fit` and `train` are such. */
export interface TrainingEntry {
  /** Counted from 0. */
  step: number;
  /** The objective. */
  loss: number;
  /** Mean loss by risk class, if known; `undefined` for a class without tokens. */
  lossByClass?: readonly (number | undefined)[];
  /** Lately. */
  tokensPerSecond: number;
}

/** What to hand to `fit` or `train`: `fit(model, { …, ...hooks })`. */
export interface TrainingHooks {
  /** Feeds the display. */
  onLog: (entry: TrainingEntry, steps?: number) => void;
  /** Aborted by an interrupt. */
  signal: AbortSignal;
}

/** What the display says about itself. */
export interface LiveTrainingOptions {
  /** What is trained, e.g. `Masked SLUNG`. */
  title: string;
  /** Optimiser steps in all; `fit` tells them by itself. */
  steps?: number;
  /** Milliseconds between redraws, at least; 400 unless given. */
  interval?: number;
}

/**
 * Trains with a live display, and returns what the training returns.
 *
 * @example In a notebook cell
 * ```ts ignore
 * const outcome = await liveTraining({ title: "Masked" }, (hooks) => fit(model, { ...settings, ...hooks }));
 * ```
 */
export async function liveTraining<Outcome>(
  options: LiveTrainingOptions,
  training: (hooks: TrainingHooks) => Promise<Outcome>,
): Promise<Outcome> {
  const interrupt = listenForInterrupt();
  const screen = jupyter() ? notebookScreen(options) : terminalScreen(options);
  try {
    const outcome = await training({ onLog: screen.update, signal: interrupt.signal });
    await screen.end(interrupt.signal.aborted ? "stopped" : "finished");
    return outcome;
  } catch (error) {
    await screen.end("failed");
    throw error;
  } finally {
    interrupt.release();
  }
}

type State = "training" | "finished" | "stopped" | "failed";

interface Screen {
  update: TrainingHooks["onLog"];
  end(state: State): Promise<void>;
}

function terminalScreen({ title, steps = 0 }: LiveTrainingOptions): Screen {
  let progress: ReturnType<typeof createProgress> | undefined;
  return {
    update({ step, loss, tokensPerSecond }, total = steps) {
      progress ??= createProgress({ total, label: title });
      progress.update(step + 1, `loss ${loss.toFixed(3)}, ${Math.round(tokensPerSecond)} tokens/s`);
    },
    end() {
      progress?.[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

function notebookScreen({ title, steps = 0, interval = 400 }: LiveTrainingOptions): Screen {
  const door = jupyter()!;
  const id = crypto.randomUUID();
  const history: TrainingEntry[] = [];
  const began = performance.now();
  let total = steps, drawn = -Infinity, shown = false;
  let first: { steps: number; time: number } | undefined;
  let drawing: Promise<void> | undefined;
  const draw = async (state: State) => {
    drawn = performance.now();
    // The first steps compile the kernels: what is left is estimated from those after them.
    const since = first && history.length > first.steps
      ? { steps: history.length - first.steps, seconds: (drawn - first.time) / 1000 }
      : undefined;
    if (history.length > 0) first ??= { steps: history.length, time: drawn };
    const picture = trainingPicture({
      title,
      history,
      total,
      state,
      seconds: (drawn - began) / 1000,
      ...(since && { secondsPerStep: since.seconds / since.steps }),
    });
    const update = shown;
    shown = true;
    await send(door, picture, { update, display_id: id });
  };
  return {
    update(entry, known = total) {
      total = known;
      history.push(entry);
      if (drawing || performance.now() - drawn < interval) return;
      // A read-back brings many steps at once: draw after the last of them.
      drawing = Promise.resolve().then(() => draw("training")).finally(() => drawing = undefined);
    },
    async end(state) {
      await drawing;
      await draw(state);
    },
  };
}

/** What one frame of the live display shows. */
export interface TrainingPicture {
  title: string;
  history: readonly TrainingEntry[];
  /** Steps in all; 0 when unknown. */
  total: number;
  state: State;
  /** Since training began. */
  seconds: number;
  /** Lately; from it follows the time left. */
  secondsPerStep?: number;
}

interface Curve {
  name: string;
  colour: string;
  dash: string;
  points: { step: number; loss: number }[];
}

const classCurves = [
  { name: "unlabelled", colour: ink.grey, dash: "2 2" },
  { name: "low risk", colour: ink.blue, dash: "" },
  { name: "possibly risky", colour: "#a87400", dash: "6 3" },
  { name: "definitely risky", colour: ink.orange, dash: "8 3 2 3" },
] as const;

const width = 640, height = 250;
const plot = { left: 52, right: 470, top: 52, bottom: 212 };

/** One frame of the live display, as a figure and as text. */
export function trainingPicture(picture: TrainingPicture): ReturnType<typeof displayable> {
  const { title, history, total } = picture;
  const curves = lossCurvesOf(history);
  const facts = factsOf(picture);
  const text = `${title}: ${facts}${
    curves.map(({ name, points }) => `, ${name} ${last(points)}`).join("")
  }`;
  const done = (history.at(-1)?.step ?? -1) + 1;
  const part = total > 0 ? Math.min(1, done / total) : 0;
  const body = [
    svgText(title, { x: 12, y: 19, size: 14, weight: "bold" }),
    svgText(facts, { x: 12, y: 37, size: 11, fill: "#444" }),
    `<rect x="0" y="0" width="${width}" height="3" fill="#e6e6e6"/>`,
    `<rect x="0" y="0" width="${round(width * part)}" height="3" fill="${ink.blue}"/>`,
    ...(history.length > 0 ? drawCurves(curves, Math.max(total, done)) : []),
  ];
  return displayable({
    "image/svg+xml": svgDocument(width, height, text, body.join("")),
    "text/plain": text,
  });
}

function factsOf(picture: TrainingPicture): string {
  const { history, total, state, seconds, secondsPerStep } = picture;
  const entry = history.at(-1);
  if (!entry) return state === "training" ? "compiling" : `${state} without a step`;
  const done = entry.step + 1;
  const facts = [total > 0 ? `step ${done} of ${total}` : `step ${done}`];
  facts.push(`${Math.round(entry.tokensPerSecond).toLocaleString("en")} tokens/s`);
  if (state === "training") {
    if (total > done && secondsPerStep !== undefined) {
      facts.push(`${duration((total - done) * secondsPerStep)} left`);
    }
    facts.push("interrupt the kernel to stop and save");
  } else {
    facts.push(
      state === "stopped" ? "stopped; run the cell again to go on" : state,
      duration(seconds),
    );
  }
  return facts.join(" · ");
}

/** By class where a class beside the low-risk one has tokens, else the objective alone. */
function lossCurvesOf(history: readonly TrainingEntry[]): Curve[] {
  const byClass = classCurves.map((style, risk) => ({
    ...style,
    points: history.flatMap(({ step, lossByClass }) => {
      const loss = lossByClass?.[risk];
      return loss !== undefined && Number.isFinite(loss) ? [{ step, loss }] : [];
    }),
  })).filter(({ points }) => points.length > 0);
  if (byClass.length > 1) return byClass;
  const points = history.filter(({ loss }) => Number.isFinite(loss));
  return points.length > 0 ? [{ ...classCurves[1], name: "loss", points }] : [];
}

function drawCurves(curves: readonly Curve[], steps: number): string[] {
  const smooth = curves.map(({ points, ...curve }) => ({
    ...curve,
    points: thin(points),
    all: points,
  }));
  const top = niceCeiling(
    largest(smooth.flatMap(({ points }) => points.map(({ loss }) => loss)), 1e-3),
  );
  const x = (step: number) => plot.left + (plot.right - plot.left) * step / Math.max(1, steps - 1);
  const y = (loss: number) => plot.bottom - (plot.bottom - plot.top) * loss / top;
  const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => {
    const at = round(y(part * top));
    return [
      `<line x1="${plot.left}" x2="${plot.right}" y1="${at}" y2="${at}" stroke="#e2e2e2"/>`,
      svgText(formatCell(part * top), { x: plot.left - 6, y: at + 4, size: 11, anchor: "end" }),
    ];
  });
  parts.push(
    svgText("1", { x: plot.left, y: plot.bottom + 16, size: 11, anchor: "middle" }),
    svgText(String(steps), { x: plot.right, y: plot.bottom + 16, size: 11, anchor: "middle" }),
    svgText("optimiser step; loss in nats per token", {
      x: (plot.left + plot.right) / 2,
      y: plot.bottom + 30,
      size: 11,
      anchor: "middle",
    }),
  );
  const ends = spread(smooth.map(({ points }) => y(points.at(-1)!.loss)), 16);
  smooth.forEach(({ name, colour, dash, points, all }, i) => {
    const path = points.map(({ step, loss }) => `${round(x(step))},${round(y(loss))}`).join(" ");
    const end = points.at(-1)!;
    parts.push(
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"` +
        `${dash && ` stroke-dasharray="${dash}"`}/>`,
      `<circle cx="${round(x(end.step))}" cy="${round(y(end.loss))}" r="3" fill="${colour}"/>`,
      svgText(`${name} ${last(all)}`, { x: plot.right + 12, y: ends[i]! + 4, fill: colour }),
    );
  });
  return parts;
}

function last(points: Curve["points"]): string {
  return points.at(-1)!.loss.toFixed(3);
}

/** At most 160 points, each the mean of its neighbours: a curve of 418 pixels shows no more. */
function thin(points: Curve["points"]): Curve["points"] {
  const size = Math.ceil(points.length / 160);
  const means: Curve["points"] = [];
  for (let from = 0; from < points.length; from += size) {
    const group = points.slice(from, from + size);
    const loss = group.reduce((sum, point) => sum + point.loss, 0) / group.length;
    means.push({ step: group.at(-1)!.step, loss });
  }
  return means;
}

/** The next of 1, 2, 4, 8 … times a power of ten whose quarters print short. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 6, 8, 10].find((factor) => factor * power >= value)!;
}

/** Moves heights apart to the least distance, in their order, and back up if the last leave the plot. */
function spread(heights: readonly number[], distance: number): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a]! - heights[b]!);
  const placed = [...heights];
  order.forEach((i, rank) => {
    if (rank > 0) placed[i] = Math.max(placed[i]!, placed[order[rank - 1]!]! + distance);
  });
  let limit = plot.bottom;
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i]!, limit);
    limit = placed[i]! - distance;
  }
  return placed;
}

const waiting = new Set<() => void>();
let listening = false;

function listenForInterrupt(): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const onInterrupt = () => {
    // In a terminal the second Ctrl-C ends the process; a notebook has its restart button.
    if (controller.signal.aborted && !jupyter()) Deno.exit(130);
    controller.abort();
  };
  waiting.add(onInterrupt);
  if (!listening) Deno.addSignalListener("SIGINT", hear);
  listening = true;
  return {
    signal: controller.signal,
    release() {
      waiting.delete(onInterrupt);
      if (waiting.size > 0 || jupyter()) return;
      Deno.removeSignalListener("SIGINT", hear);
      listening = false;
    },
  };
}

function hear(): void {
  for (const onInterrupt of waiting) onInterrupt();
}
