// Figures 2 and 3 and Tables 1 and 2: everything is drawn, nothing is covered, and published values stay apart from ours.

import { renderPlot } from "../src/report/plot.ts";
import { renderTable } from "../src/report/table.ts";
import { spreadApart } from "../src/report/scaling.ts";
import { toxicityScaling, toxicityTradeOff } from "../src/experiments/toxicity/plots.ts";
import {
  dataMixColumns,
  dataMixRows,
  paperMethods,
  perplexityColumns,
  perplexityRows,
  siCount,
} from "../src/experiments/toxicity/paper_tables.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";

const around = (mean: number, half: number) => ({ mean, low: mean - half, high: mean + half });
const points = paperMethods.map((method, i) => ({
  method,
  toxicity: around(0.1 + 0.02 * i, 0.005),
  auroc: around(0.8 + 0.01 * ((3 * i) % 5), 0.004),
  onFrontier: i === 0 || i === 3,
}));

/** The layers of a figure with a mark of this type. */
function layers(spec: Readonly<Record<string, unknown>>, type: string) {
  const all = spec.layer as {
    mark: { type: string };
    data?: { values: Record<string, number>[] };
    encoding: Record<string, { field?: string; value?: number }>;
  }[];
  return all.filter(({ mark }) => mark.type === type);
}

Deno.test("figure 2 draws every method with its name, its intervals and the frontier", async () => {
  const spec = toxicityTradeOff(points, "Invented");
  const svg = await renderPlot(spec);
  for (const method of paperMethods) assert(svg.includes(`>${method}</text>`), method);
  for (const text of ["Invented", "Pareto frontier", "Toxicity of generations", "Probe AUROC"]) {
    assert(svg.includes(text), text);
  }
  const [frontier] = layers(spec, "line");
  assertEquals(
    frontier!.data!.values.map(({ method }) => method as unknown),
    ["Control", "Masked SLUNG", "Masked SLUNG"],
  );
  const ends = layers(spec, "tick").flatMap((
    { encoding },
  ) => [encoding.x!.field, encoding.y!.field]);
  for (const field of ["toxicityLow", "toxicityHigh", "aurocLow", "aurocHigh"]) {
    assert(ends.includes(field), field);
  }
});

Deno.test("a method has the same colour in both figures, whoever stands beside it", async () => {
  const colourOf = (svg: string) => {
    const marks = svg.matchAll(
      /method: Masked SLUNG"[^>]*aria-roledescription="(?:point|tick)"[^>]*\bfill="(#\w+)"/g,
    );
    return Array.from(marks, (match) => match[1]);
  };
  const masked = points[3]!;
  const alone = colourOf(await renderPlot(toxicityTradeOff([masked])));
  const among = colourOf(
    await renderPlot(toxicityTradeOff([{ ...points[0]!, method: "Another" }, ...points])),
  );
  const scaled = colourOf(await renderPlot(toxicityScaling([{ ...masked, amount: 1000 }])));
  assert(alone.length > 0 && among.length > 0 && scaled.length > 0, "marks were found");
  assertEquals(new Set([...alone, ...among, ...scaled]).size, 1);
});

Deno.test("intervals that leave the possible are drawn to its edge", () => {
  const wild = { ...points[0]!, toxicity: around(0.01, 0.2), auroc: around(0.99, 0.2) };
  const { values } = toxicityTradeOff([wild]).data as { values: Record<string, number>[] };
  assertEquals(values[0]!.toxicityLow, 0);
  assertEquals(values[0]!.aurocHigh, 1);
});

Deno.test("figure 3 has a line and a name per method in both panels, and a level line without toxic data", async () => {
  const scaling = [
    { ...points[0]!, amount: 0 },
    ...[20e6, 40e6, 80e6].flatMap((amount) =>
      points.slice(1).map((point) => ({ ...point, amount }))
    ),
  ];
  const svg = await renderPlot(toxicityScaling(scaling, "Invented"));
  for (const method of paperMethods) assertEquals(svg.split(`>${method}</text>`).length - 1, 2);
  for (const amount of ["20M", "40M", "80M"]) assert(svg.includes(`>${amount}</text>`), amount);
  assertEquals(svg.match(/stroke-dasharray="5,4"/g)?.length, 2);
  assertThrows(() => toxicityScaling(scaling.slice(0, 1)), "no method was trained on any");
});

Deno.test("names are moved as little as keeps them apart", () => {
  assertEquals(spreadApart([50, 10, 90], 15, [0, 100]), [50, 10, 90]);
  assertClose(spreadApart([50, 51, 52], 15, [0, 100]), [36, 51, 66], 1e-12);
  assertClose(spreadApart([99, 99, 20], 15, [0, 100]), [85, 100, 20], 1e-12);
  assertClose(spreadApart([0, 1], 15, [0, 100]), [0, 15], 1e-12);
  const crowd = spreadApart([30, 31, 45, 46, 60, 61], 15, [0, 100]).sort((a, b) => a - b);
  crowd.slice(1).forEach((y, i) => assert(y - crowd[i]! >= 15 - 1e-9, `${y}`));
});

Deno.test("table 1 shows tokens and their use, the paper's in rows of their own", () => {
  const bucket = (tokens: number, use: "learned" | "masked" | "absent") => ({ tokens, use });
  const rows = dataMixRows([
    {
      method: "Masked SLUNG",
      buckets: {
        base: bucket(81234, "learned"),
        notToxic: bucket(912, "learned"),
        possiblyToxic: bucket(1500, "masked"),
        definitelyToxic: bucket(340, "masked"),
      },
    },
    {
      method: "Goldfish",
      buckets: {
        base: bucket(81234, "learned"),
        notToxic: bucket(0, "absent"),
        possiblyToxic: bucket(0, "absent"),
        definitelyToxic: bucket(0, "absent"),
      },
    },
  ]);
  assertEquals(
    renderTable(dataMixColumns, rows).split("\n").map((line) => line.trim().split(/ {2,}/)).slice(
      2,
    ),
    [
      ["Masked SLUNG", "ours", "81.2k learned", "912 learned", "1.5k masked", "340 masked"],
      ["Masked SLUNG", "paper, Table 1", "4B learned", "97M learned", "81M masked", "34M masked"],
      ["Goldfish", "ours", "81.2k learned", "–", "–", "–"],
    ],
  );
});

Deno.test("table 2 has ours and the paper's perplexities in different columns", () => {
  const rows = perplexityRows([
    { method: "Control", base: { mean: 21.5 }, domain: { mean: 90 } },
    {
      method: "Unlikelihood SLUNG",
      base: { mean: 21.512, halfWidth: 0.3 },
      domain: { mean: 80, halfWidth: 1 },
    },
    { method: "Goldfish", base: { mean: 30 }, domain: { mean: 40 } },
  ]);
  assertEquals(rows, [
    { method: "Control", base: "21.50", domain: "90.00", paperBase: null, paperDomain: "18.78" },
    {
      method: "Unlikelihood SLUNG",
      base: "21.51 ± 0.30",
      domain: "80.00 ± 1.00",
      paperBase: "10.83 ± 0.03",
      paperDomain: "17.91 ± 0.16",
    },
    { method: "Goldfish", base: "30.00", domain: "40.00", paperBase: null, paperDomain: null },
  ]);
  const heading = renderTable(perplexityColumns, rows).split("\n")[0]!;
  assertEquals(heading.match(/Paper, Table 2/g)?.length, 2);
});

Deno.test("counts are printed to three digits", () => {
  assertEquals(
    [0, 512, 999.6, 1234, 81_234, 999_999, 97e6, 4e9, 3e15].map(siCount),
    ["0", "512", "1k", "1.23k", "81.2k", "1M", "97M", "4B", "3000T"],
  );
  assertThrows(() => siCount(NaN), "it is NaN");
});
