// Tables, figures, data frames, progress and results: what a reader of a run sees and keeps.

import { describeProcess } from "../src/base/process.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import {
  groupedBars,
  lossCurves,
  paretoFrontier,
  placeLabels,
  renderPlot,
  tradeOffPlot,
} from "../src/report/plot.ts";
import { createProgress, duration, type ProgressOutput } from "../src/report/progress.ts";
import { readResults, type Results, writeResults } from "../src/report/results.ts";
import {
  type Column,
  displayWidth,
  renderHtmlTable,
  renderMarkdownTable,
  renderTable,
} from "../src/report/table.ts";

interface Row {
  method: string;
  knowledge: number | null;
  note?: string;
}
const columns: Column<Row>[] = [
  { key: "method", title: "Method" },
  { key: "knowledge", title: "Knowledge", unit: "%", precision: 1 },
  { key: "note" },
];
const rows: Row[] = [
  { method: "masked", knowledge: 74.25, note: "a|b" },
  { method: "日本語", knowledge: 8, note: "<b>" },
  { method: "none", knowledge: null },
];

Deno.test("a terminal table aligns numbers right, whatever the width of the letters", () => {
  assertEquals(
    renderTable(columns, rows),
    [
      "Method  Knowledge (%)  note",
      "──────  ─────────────  ────",
      "masked           74.3  a|b",
      "日本語            8.0  <b>",
      "none                –  –",
    ].join("\n"),
  );
});

Deno.test("a Markdown table escapes pipes and marks the side", () => {
  assertEquals(
    renderMarkdownTable(columns, rows).split("\n").slice(0, 3),
    [
      "| Method | Knowledge (%) | note |",
      "| ------ | ------------: | ---- |",
      "| masked |          74.3 | a\\|b |",
    ],
  );
});

Deno.test("an HTML table escapes its cells", () => {
  const html = renderHtmlTable(columns, rows);
  assert(!html.includes("<b>") && html.includes("&#60;b&#62;"));
  assert(html.includes('<td style="text-align:right">74.3</td>'));
});

Deno.test("display width counts what a terminal shows", () => {
  assertEquals(["abc", "é", "e\u0301", "語", "👩‍🔬", ""].map(displayWidth), [3, 1, 1, 2, 2, 0]);
});

const points = [
  { method: "base", nameGeneration: 1.2, knowledge: 41 },
  { method: "fine-tuned", nameGeneration: 38.5, knowledge: 78.2 },
  { method: "masked", nameGeneration: 2.1, knowledge: 74.9 },
  { method: "unlikelihood", nameGeneration: 0.3, knowledge: 73.8 },
  { method: "unlikelihood (clamped)", nameGeneration: 0.6, knowledge: 73.5 },
];

Deno.test("a figure is the same bytes each time, and its ids are its own", async () => {
  const spec = lossCurves([{
    name: "masked",
    points: [{ step: 0, loss: 3 }, { step: 9, loss: 1 }],
  }]);
  const first = await renderPlot(spec);
  const [second, other] = await Promise.all([
    renderPlot(spec),
    renderPlot(
      lossCurves([{ name: "full", points: [{ step: 0, loss: 3 }, { step: 9, loss: 1 }] }]),
    ),
  ]);
  assertEquals(second, first);
  const id = /id="(plot-[0-9a-f]{8}-0)"/.exec(first)?.[1];
  assert(
    id !== undefined && first.includes(`url(#${id})`),
    "the clip path is used by its new name",
  );
  assert(!other!.includes(id), "another figure has other ids");
});

Deno.test("figures show every method, series and value", async () => {
  const interval = (mean: number) => ({ mean, low: mean, high: mean, confidence: 0.95, n: 1 });
  const pareto = await renderPlot(tradeOffPlot(
    points.map(({ method, nameGeneration, knowledge }) => ({
      label: method,
      x: interval(nameGeneration),
      y: interval(knowledge),
    })),
    {
      x: { title: "Name generation (%, lower is better)", most: 100, fromZero: true },
      y: { title: "Knowledge (%, higher is better)", most: 100 },
    },
    { title: "Trade-off" },
  ));
  for (const { method } of points) assert(pareto.includes(`>${method}</text>`), method);
  assert(pareto.includes("Name generation (%, lower is better)") && pareto.includes("Trade-off"));
  const bars = await renderPlot(groupedBars([
    { group: "Knowledge", series: "masked", value: 74.9 },
    { group: "Knowledge", series: "full", value: 78.2 },
  ], "Percent"));
  for (const text of ["Knowledge", "masked", "full", "74.9", "78.2"]) {
    assert(bars.includes(`>${text}</text>`), text);
  }
});

Deno.test("the Pareto front holds exactly what no other point beats on both axes", () => {
  assertEquals(
    paretoFrontier(points, { x: (point) => point.nameGeneration, y: (point) => point.knowledge })
      .map((point) => point.method),
    ["unlikelihood", "masked", "fine-tuned"],
  );
});

Deno.test("labels of crowded points do not overlap and stay inside the frame", () => {
  const labels = Array.from({ length: 6 }, (_, i) => ({
    text: `method ${i}`,
    x: 20 + 3 * (i % 3),
    y: 100 + 4 * i,
  }));
  const frame = { left: 0, top: 0, right: 500, bottom: 300 };
  const boxes = placeLabels(labels, frame).map(({ align, dx, dy }, i) => {
    const width = labels[i]!.text.length * 12 * 0.58;
    const anchor = labels[i]!.x + dx;
    const left = align === "left"
      ? anchor
      : align === "right"
      ? anchor - width
      : anchor - width / 2;
    const y = labels[i]!.y + dy;
    return { left, right: left + width, top: y - 7, bottom: y + 7 };
  });
  boxes.forEach((a, i) => {
    assert(a.left >= 0 && a.top >= 0, `label ${i} leaves the frame`);
    for (const b of boxes.slice(i + 1)) {
      const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top ||
        b.bottom <= a.top;
      assert(apart, `label ${i} overlaps another`);
    }
  });
});

function recorder(live: boolean): ProgressOutput & { time: number; text: string } {
  return {
    live,
    columns: 60,
    time: 0,
    text: "",
    now() {
      return this.time;
    },
    write(text) {
      this.text += text;
    },
  };
}

Deno.test("in a log, progress is a plain line every few seconds and the last one", () => {
  const output = recorder(false);
  {
    using progress = createProgress({ total: 100, label: "Training", interval: 5, output });
    for (let done = 10; done <= 100; done += 10) {
      output.time += 1000;
      progress.update(done, `loss ${200 / done}`);
    }
    progress.note("saved");
  }
  assertEquals(output.text.split("\n"), [
    "Training 50/100, 10/s, 5.0 s left, loss 4",
    "Training 100/100, 10/s, 10 s, loss 2",
    "saved",
    "",
  ]);
});

Deno.test("in a terminal, progress redraws one line, below the notes and within the width", () => {
  const output = recorder(true);
  {
    using progress = createProgress({ total: 4, label: "Steps", output });
    for (const done of [1, 2]) {
      output.time += 1000;
      progress.update(done, "a message that is longer than what fits");
    }
    progress.note("halfway");
  }
  const drawn = output.text.split("\r\x1b[K").slice(1);
  assertEquals(drawn.length, 5);
  assert(drawn[0]!.startsWith("██████░░░░░░░░░░░░░░░░░░ Steps 1/4, 1/s, 3.0 s left"), drawn[0]);
  assertEquals(drawn[2], "halfway\n");
  assert(drawn[4]!.endsWith("\n"), "the last line stays");
  assert(drawn.every((line) => displayWidth(line.trimEnd()) < 60));
});

Deno.test("durations read as a person says them", () => {
  assertEquals([0.42, 42, 185, 7620].map(duration), ["0.4 s", "42 s", "3 min 05 s", "2 h 07 min"]);
});

Deno.test("results are written whole, sorted, and read back", async () => {
  const folder = await Deno.makeTempDir();
  const results: Results = {
    ...describeProcess(),
    config: { steps: 3, method: "masked" },
    seeds: { shuffle: 1, init: 2 },
    adapter: null,
    metrics: { b: { d: NaN, c: 0.5 }, a: 1 },
    generations: [{ prompt: "p", text: "t", method: "masked" }],
    timing: { train: 1.5 },
  };
  const path = await writeResults(`${folder}/new`, results);
  const text = await Deno.readTextFile(path);
  const { metrics, config } = await readResults(`${folder}/new`);
  assertEquals(metrics, { a: 1, b: { c: 0.5, d: null } });
  assertEquals(config, results.config);
  const reversed = Object.fromEntries(Object.entries(results).reverse()) as unknown as Results;
  await writeResults(`${folder}/new`, { ...reversed, seeds: { init: 2, shuffle: 1 } });
  assertEquals(await Deno.readTextFile(path), text, "the order of keys does not matter");
  assertEquals([...Deno.readDirSync(`${folder}/new`)].map((entry) => entry.name), ["results.json"]);
  assert(/^\d+\.\d+\.\d+/.test(results.versions.project));

  await Deno.writeTextFile(path, '{ "config": {} }');
  await assertRejects(() => readResults(`${folder}/new`), 'field "seeds" is missing');
  await assertRejects(() => readResults(folder), "there is no such file");
  await assertRejects(() => writeResults(path, results), `Cannot make "${path}"`);
  await Deno.remove(folder, { recursive: true });
});
