// One frame of the live display: a bar of how far the training has come, what is known of it, and loss curves by risk class.

import { largest, smallest } from "../base/extremes.ts";
import { duration } from "../report/progress.ts";
import { formatCell } from "../report/table.ts";
import { displayable } from "./display.ts";
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

/** What becomes of a training; `saved` says that it was stopped and goes on when the cell runs again. */
export type TrainingState = "training" | "finished" | "saved" | "stopped" | "failed";

/** What one frame of the live display shows. */
export interface TrainingPicture {
  title: string;
  history: readonly TrainingEntry[];
  /** Steps in all; 0 when unknown. */
  total: number;
  state: TrainingState;
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
    svg: svgDocument(width, height, text, body.join("")),
    text,
  });
}

const endings = {
  finished: "finished",
  saved: "stopped; run the cell again to go on",
  stopped: "stopped; run the cell again to begin anew",
  failed: "failed",
} as const;

function factsOf(picture: TrainingPicture): string {
  const { history, total, state, seconds, secondsPerStep } = picture;
  const entry = history.at(-1);
  if (!entry) return state === "training" ? "compiling" : `${endings[state]}, without a step`;
  const done = entry.step + 1;
  const facts = [total > 0 ? `step ${done} of ${total}` : `step ${done}`];
  facts.push(`${Math.round(entry.tokensPerSecond).toLocaleString("en")} tokens/s`);
  if (state === "training") {
    if (total > done && secondsPerStep !== undefined) {
      facts.push(`${duration((total - done) * secondsPerStep)} left`);
    }
    facts.push("interrupt the kernel to stop and save");
  } else {
    facts.push(endings[state], duration(seconds));
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
  const losses = smooth.flatMap(({ points }) => points.map(({ loss }) => loss));
  const ticks = roundTicks(smallest(losses, 0), largest(losses, 1e-3)); // some objectives' losses are negative
  const low = ticks[0]!, top = ticks.at(-1)!;
  const x = (step: number) => plot.left + (plot.right - plot.left) * step / Math.max(1, steps - 1);
  const y = (loss: number) => plot.bottom - (plot.bottom - plot.top) * (loss - low) / (top - low);
  const parts = ticks.flatMap((value) => {
    const at = round(y(value));
    return [
      `<line x1="${plot.left}" x2="${plot.right}" y1="${at}" y2="${at}" stroke="#e2e2e2"/>`,
      svgText(formatCell(value), {
        x: plot.left - 6,
        y: at + 4,
        size: 11,
        anchor: "end",
      }),
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

/** At most six round numbers, 0 among them, from one below the least value to one above the greatest. */
function roundTicks(least: number, greatest: number): number[] {
  const rough = (greatest - least) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
  const from = Math.floor(least / step), to = Math.ceil(greatest / step);
  return Array.from(
    { length: to - from + 1 },
    (_, k) => Number(((from + k) * step).toPrecision(12)),
  );
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
