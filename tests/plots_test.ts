// Two measures against each other and a measure over an amount: everything is drawn, nothing is covered, and the Pareto
// frontier is what its definition says.

import { Random } from "../src/base/random.ts";
import { methodOrder } from "../src/experiments/titles.ts";
import { paretoFrontier, renderPlot, scalingPlot, tradeOffPlot } from "../src/report/plot.ts";
import { spreadApart } from "../src/report/scaling.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";

interface Tradeoff {
  toxicity: number;
  auroc: number;
}

const point = (toxicity: number, auroc: number): Tradeoff => ({ toxicity, auroc });
const frontierOf = (points: readonly Tradeoff[]) =>
  paretoFrontier(points, { x: ({ toxicity }) => toxicity, y: ({ auroc }) => auroc });

Deno.test("the frontier holds what nothing beats, from the least toxic on", () => {
  const control = point(0.1, 0.8), masked = point(0.12, 0.86), toxic = point(0.3, 0.85);
  const lowRisk = point(0.13, 0.81), best = point(0.2, 0.9);
  assertEquals(frontierOf([toxic, best, masked, lowRisk, control]), [control, masked, best]);
});

Deno.test("equal points stay together; of points that tie on one axis only the better stays", () => {
  assertEquals(frontierOf([point(1, 5), point(1, 5)]).length, 2);
  assertEquals(frontierOf([point(1, 5), point(1, 6), point(2, 6)]), [point(1, 6)]);
  assertEquals(frontierOf([]), []);
});

Deno.test("inside the frontier nothing dominates, and everything outside is dominated by it", () => {
  const random = new Random(1, "pareto");
  for (let round = 0; round < 200; round++) {
    const points = Array.from({ length: 1 + random.below(8) }, () => ({
      toxicity: random.below(5),
      auroc: random.below(5),
    }));
    const frontier = frontierOf(points);
    const beats = (a: Tradeoff, b: Tradeoff) =>
      a.toxicity <= b.toxicity && a.auroc >= b.auroc &&
      !(a.toxicity === b.toxicity && a.auroc === b.auroc);
    for (const candidate of points) {
      const beaten = frontier.some((other) => beats(other, candidate));
      assertEquals(frontier.includes(candidate), !beaten);
    }
  }
});

const around = (mean: number, half: number) => ({
  mean,
  low: mean - half,
  high: mean + half,
  confidence: 0.95,
  n: 3,
});
const titles = [
  "Control",
  "Low-risk baseline",
  "Toxic baseline",
  "Masked SLUNG",
  "Unlikelihood SLUNG",
];
const points = titles.map((label, i) => ({
  label,
  x: around(0.1 + 0.02 * i, 0.005),
  y: around(0.8 + 0.01 * ((3 * i) % 5), 0.004),
}));
const axes = {
  x: { title: "Toxicity of generations", most: 1 },
  y: { title: "Probe AUROC", most: 1 },
};

/** The layers of a figure with a mark of this type. */
function layers(spec: Readonly<Record<string, unknown>>, type: string) {
  const all = spec.layer as {
    mark: { type: string };
    data?: { values: Record<string, number>[] };
    encoding: Record<string, { field?: string; value?: number }>;
  }[];
  return all.filter(({ mark }) => mark.type === type);
}

Deno.test("a trade-off draws every point with its name, its intervals and the frontier", async () => {
  const spec = tradeOffPlot(points, axes, { title: "Invented" });
  const svg = await renderPlot(spec);
  for (const title of titles) assert(svg.includes(`>${title}</text>`), title);
  for (const text of ["Invented", "Pareto frontier", "Toxicity of generations", "Probe AUROC"]) {
    assert(svg.includes(text), text);
  }
  const [frontier] = layers(spec, "line");
  assertEquals(
    frontier!.data!.values.map(({ label }) => label as unknown),
    ["Control", "Low-risk baseline", "Masked SLUNG", "Masked SLUNG"],
  );
  const ends = layers(spec, "tick").flatMap((
    { encoding },
  ) => [encoding.x!.field, encoding.y!.field]);
  for (const field of ["xLow", "xHigh", "yLow", "yHigh"]) assert(ends.includes(field), field);
  assert(svg.includes("Bars: 95 % intervals"), "intervals are explained where there are any");
  const single = points.map((point) => ({
    ...point,
    x: around(point.x.mean, 0),
    y: around(point.y.mean, 0),
  }));
  assert(!(await renderPlot(tradeOffPlot(single, axes))).includes("Bars:"));
});

Deno.test("a method has the same colour in both figures, whoever stands beside it", async () => {
  const colourOf = (svg: string) => {
    const marks = svg.matchAll(
      /label: Masked SLUNG"[^>]*aria-roledescription="(?:point|tick)"[^>]*\bfill="(#\w+)"/g,
    );
    return Array.from(marks, (match) => match[1]);
  };
  const masked = points[3]!;
  const order = { order: methodOrder };
  const alone = colourOf(await renderPlot(tradeOffPlot([masked], axes, order)));
  const other = { ...points[0]!, label: "Another" };
  const among = colourOf(await renderPlot(tradeOffPlot([other, ...points], axes, order)));
  const scaled = colourOf(
    await renderPlot(
      scalingPlot([{ label: masked.label, amount: 1000, values: masked }], axes, {
        amountTitle: "Tokens",
        ...order,
      }),
    ),
  );
  assert(alone.length > 0 && among.length > 0 && scaled.length > 0, "marks were found");
  assertEquals(new Set([...alone, ...among, ...scaled]).size, 1);
});

Deno.test("intervals that leave the possible are drawn to its edge", () => {
  const wild = { ...points[0]!, x: around(0.01, 0.2), y: around(0.99, 0.2) };
  const { values } = tradeOffPlot([wild], axes).data as { values: Record<string, number>[] };
  assertEquals(values[0]!.xLow, 0);
  assertEquals(values[0]!.yHigh, 1);
});

Deno.test("a measure over an amount has a line and a name per label in both panels, and a level line at amount 0", async () => {
  const scaling = [
    { label: titles[0]!, values: points[0]!, amount: 0 },
    ...[20e6, 40e6, 80e6].flatMap((amount) =>
      points.slice(1).map((point) => ({ label: point.label, values: point, amount }))
    ),
  ];
  const words = { title: "Invented", amountTitle: "Toxic tokens in training" };
  const svg = await renderPlot(scalingPlot(scaling, axes, words));
  for (const title of titles) assertEquals(svg.split(`>${title}</text>`).length - 1, 2);
  for (const amount of ["20M", "40M", "80M"]) assert(svg.includes(`>${amount}</text>`), amount);
  assertEquals(svg.match(/stroke-dasharray="5,4"/g)?.length, 2);
  assert(svg.includes(words.title) && svg.includes(words.amountTitle));
  assertThrows(() => scalingPlot(scaling.slice(0, 1), axes, words), "no point has any");
});

Deno.test("names are moved as little as keeps them apart", () => {
  assertEquals(spreadApart([50, 10, 90], 15, [0, 100]), [50, 10, 90]);
  assertClose(spreadApart([50, 51, 52], 15, [0, 100]), [36, 51, 66], 1e-12);
  assertClose(spreadApart([99, 99, 20], 15, [0, 100]), [85, 100, 20], 1e-12);
  assertClose(spreadApart([0, 1], 15, [0, 100]), [0, 15], 1e-12);
  const crowd = spreadApart([30, 31, 45, 46, 60, 61], 15, [0, 100]).sort((a, b) => a - b);
  crowd.slice(1).forEach((y, i) => assert(y - crowd[i]! >= 15 - 1e-9, `${y}`));
});
