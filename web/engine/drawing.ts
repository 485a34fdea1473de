// Pictures as SVG texts, which the page shows and somebody can keep. Colours are the page's where it has some, and have
// values of their own where the picture stands alone.

import { escapeHtml } from "../../src/report/table.ts";
import type { Look } from "./lab.ts";
import { contestants } from "./methods.ts";

const colours = {
  direct: "#c44f00",
  masked: "#0069a6",
  unlikelihood: "#00805d",
  own: "#a34d80",
  ink: "#22262b",
  quiet: "#5d6269",
  line: "#dcd8cf",
};

function colour(name: keyof typeof colours): string {
  return `var(--${name},${colours[name]})`;
}

function text(
  x: number,
  y: number,
  content: string,
  {
    size = 12,
    anchor = "start",
    fill = "quiet" as keyof typeof colours,
    weight = 400,
    turn = "",
  } = {},
): string {
  return `<text x="${x}" y="${y}" font-size="${size}" font-family="sans-serif" font-weight="${weight}" ` +
    `text-anchor="${anchor}" style="fill:${colour(fill)}"${turn}>${escapeHtml(content)}</text>`;
}

/** A drawing that says in words what it shows. */
function document(
  width: number,
  height: number,
  said: string,
  body: string,
): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" ` +
    `aria-label="${escapeHtml(said)}">${body}</svg>`;
}

/** A line through points of which the first are steps. */
export interface Line {
  name: string;
  points: readonly (readonly [step: number, nats: number])[];
  dashed: boolean;
}

const most = 8; // nats: what is less probable is not told apart

/** How surprised one model is while it learns. */
export function surpriseChart(
  method: typeof contestants[number]["name"],
  lines: readonly Line[],
  steps: number,
): string {
  const [width, height, left, right, top, bottom] = [260, 150, 22, 70, 10, 22];
  const x = (step: number) => left + step / Math.max(steps, 10) * (width - left - right);
  const y = (nats: number) => top + (1 - Math.min(nats, most) / most) * (height - top - bottom);
  const grid = [0, 4, 8].map((nats) =>
    `<path d="M${left} ${y(nats)}H${width - right}" style="stroke:${colour("line")}"/>` +
    text(left - 5, y(nats) + 4, nats === most ? "8+" : `${nats}`, {
      size: 11,
      anchor: "end",
    })
  );
  const ends: number[] = [];
  const drawn = lines.filter(({ points }) => points.length > 0).map(
    ({ name, points, dashed }) => {
      const path = points.map(([step, nats]) => `${x(step).toFixed(1)} ${y(nats).toFixed(1)}`);
      const [lastStep, lastNats] = points.at(-1)!;
      let end = y(lastNats) + 4;
      if (ends.some((other) => Math.abs(other - end) < 13)) end = ends[0]! - 14;
      ends.push(end);
      return `<path d="M${
        path.join("L")
      }" fill="none" stroke-width="2.2" stroke-linejoin="round" ` +
        `style="stroke:${colour(method)}"${dashed ? ' stroke-dasharray="5 3"' : ""}/>` +
        `<circle cx="${x(lastStep).toFixed(1)}" cy="${y(lastNats).toFixed(1)}" r="2.6" ` +
        `style="fill:${colour(method)}"/>` +
        text(x(lastStep) + 6, end, name, { size: 11, fill: "ink" });
    },
  );
  const said = lines.map(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    return first && last
      ? `${name}: from ${first[1].toFixed(1)} to ${last[1].toFixed(1)} nats`
      : "";
  }).filter(Boolean).join("; ");
  const axis = text(x(0), height - 5, "step 0", { size: 11 }) +
    text(width - right, height - 5, `${Math.max(steps, 10)}`, {
      size: 11,
      anchor: "end",
    });
  return document(
    width,
    height,
    `Surprise ${said || "not measured yet"}`,
    [
      ...grid,
      ...drawn,
      axis,
    ].join(""),
  );
}

const marks: Readonly<
  Record<
    typeof contestants[number]["name"],
    (x: number, y: number, r: number) => string
  >
> = {
  direct: (x, y, r) => `<rect x="${x - r}" y="${y - r}" width="${2 * r}" height="${2 * r}"`,
  masked: (x, y, r) => `<circle cx="${x}" cy="${y}" r="${r * 1.1}"`,
  unlikelihood: (x, y, r) =>
    `<path d="M${x} ${y - 1.3 * r}L${x + 1.25 * r} ${y + r}H${x - 1.25 * r}Z"`,
  own: (x, y, r) =>
    `<path d="M${x} ${y - 1.4 * r}L${x + 1.4 * r} ${y}L${x} ${y + 1.4 * r}L${x - 1.4 * r} ${y}Z"`,
};

/** Knowledge against naming, one path for each model, its last point large and named. */
export function knowledgePicture(looks: readonly Look[]): string {
  const [width, height, left, right, top, bottom] = [480, 360, 74, 24, 24, 48];
  const x = (share: number) => left + share * (width - left - right);
  const y = (share: number) => top + (1 - share) * (height - top - bottom);
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    `<path d="M${left} ${y(share)}H${width - right}M${x(share)} ${top}V${height - bottom}" ` +
    `style="stroke:${colour("line")}"/>`,
    text(left - 18, y(share) + 4, `${100 * share} %`, {
      anchor: "end",
      size: 11,
    }),
    text(x(share), height - bottom + 16, `${100 * share} %`, {
      anchor: "middle",
      size: 11,
    }),
  ]);
  const said: string[] = [];
  const taken: { x: number; y: number }[] = [];
  const paths = contestants.map(({ name, title }, i) => {
    // Models that stand on the same place are drawn beside each other.
    const nudge = (i - 1.5) * 7;
    const points = looks.flatMap(({ models }) => {
      const { knowledge, naming } = models[i]!;
      if (knowledge === undefined || naming === undefined) return [];
      return [{ x: x(naming) + nudge, y: y(knowledge), knowledge, naming }];
    });
    const last = points.at(-1);
    if (!last) return "";
    said.push(
      `${title} knows ${Math.round(100 * last.knowledge)} % and names in ${
        Math.round(100 * last.naming)
      } % of its answers`,
    );
    const onRight = last.x > width / 2;
    let labelY = last.y + 4;
    while (
      taken.some((at) => Math.abs(at.y - labelY) < 15 && Math.abs(at.x - last.x) < 140)
    ) {
      labelY -= 15;
    }
    taken.push({ x: last.x, y: labelY });
    const style = `style="fill:${colour(name)};stroke:${colour(name)}"`;
    const path = points.map((point) => `${point.x.toFixed(1)} ${point.y.toFixed(1)}`).join("L");
    return `<path d="M${path}" fill="none" stroke-width="1.6" stroke-opacity="0.55" style="stroke:${
      colour(name)
    }"/>` +
      points.slice(0, -1).map((point) =>
        `${marks[name](point.x, point.y, 2.4)} ${style} fill-opacity="0.5" stroke="none"/>`
      ).join("") +
      `${marks[name](last.x, last.y, 6)} ${style}/>` +
      text(onRight ? last.x - 12 : last.x + 28 - nudge, labelY, title, {
        anchor: onRight ? "end" : "start",
        fill: name,
        weight: 600,
        size: 13,
      });
  });
  const axes = text(
    (left + width - right) / 2,
    height - 8,
    "answers that say something marked",
    {
      anchor: "middle",
    },
  ) + text(0, 0, "right words in the answers", {
    anchor: "middle",
    turn: ` transform="translate(13 ${(top + height - bottom) / 2}) rotate(-90)"`,
  });
  return document(
    width,
    height,
    said.length > 0 ? said.join("; ") : "Knowledge against naming: nothing measured yet",
    grid.join("") + axes + paths.join(""),
  );
}
