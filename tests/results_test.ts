// The tables of the README against the results that are kept, cell by cell; and how results are kept, judged and shown.

import { comparedRows, renderComparisons } from "../src/experiments/compared.ts";
import { claimCell, compareIntervals, judgeClaim } from "../src/experiments/claims.ts";
import { nameClaimCells, nameClaims } from "../src/experiments/names/claims.ts";
import { nameCell } from "../src/experiments/names/report.ts";
import { toxicityClaimCells, toxicityClaims } from "../src/experiments/toxicity/claims.ts";
import {
  fillBlocks,
  keptCaption,
  keptOf,
  namedBlocks,
  readKept,
} from "../src/report/kept_results.ts";
import { type Json, type Results, writeResults } from "../src/report/results.ts";
import { runTask } from "./fixtures/task.ts";
import { hasTable, keptNames, readmeTables, shownFigures } from "../tasks/results_tables.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";

const root = new URL("../", import.meta.url);
const readme = await Deno.readTextFile(new URL("README.md", root));

function cells(markdown: string): string[][] {
  return markdown.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))
    .filter((row) => !row.every((cell) => /^-+:?$/.test(cell)));
}

Deno.test("every cell of the README's tables of results is that of the kept results", async () => {
  const tables = await readmeTables();
  assertEquals(namedBlocks(readme).toSorted(), [...tables.keys()].toSorted());
  for (const [name, content] of tables) {
    const [, shown] = readme.match(
      new RegExp(`<!-- results ${name} -->\\n([\\s\\S]*?)<!-- end -->`),
    )!;
    const wanted = cells(content), found = cells(shown!);
    assertEquals(found.length, wanted.length, `rows of ${name}; deno task results makes them`);
    wanted.forEach((row, i) =>
      row.forEach((cell, j) => assertEquals(found[i]![j], cell, `${name}, row ${i}, column ${j}`))
    );
    const caption = (text: string) =>
      text.split("\n").filter((line) => !line.startsWith("|")).join(" ");
    assertEquals(caption(shown!).trim(), caption(content).trim(), name);
  }
  assertEquals(fillBlocks(readme, tables), readme, "deno task results would change the file");
});

Deno.test("a table of results names its command, seeds and date", async () => {
  for (const name of keptNames) {
    const kept = await readKept(new URL(`docs/results/${name}.json`, root).pathname);
    const caption = (await readmeTables()).get(name)!.replaceAll("\n", " ");
    assert(caption.includes(`\`${kept.command}\`, seed`), caption);
    assert(caption.includes(kept.date) && /^\d{4}-\d\d-\d\d$/.test(kept.date), caption);
  }
});

const run: Results = {
  config: {},
  seeds: { "seed 0": 0, "seed 2": 2 },
  adapter: { name: "llvmpipe", software: true, features: [], limits: {} },
  versions: { deno: "2", v8: "1", project: "0" },
  commandLine: ["demo.ts", "--seeds", "0,2", "--out", "/home/oda/x", "--keep-models=no"],
  metrics: { a: 1 },
  generations: [{ prompt: "secret", text: "secret" }],
  timing: { seconds: 100 },
};

Deno.test("of a run its numbers are kept, not its texts nor where it lay", async () => {
  const kept = keptOf(run, new Date("2026-02-03T10:00:00Z"));
  assertEquals(kept, {
    command: "deno task demo --seeds 0,2",
    date: "2026-02-03",
    seeds: [0, 2],
    adapter: "llvmpipe",
    seconds: 100,
    metrics: { a: 1 },
  });
  assertEquals(
    keptCaption(kept),
    "`deno task demo --seeds 0,2`, seeds 0, 2, 2026-02-03, llvmpipe, 2 minutes.",
  );
  assertEquals(
    keptCaption({ ...kept, seeds: [1], adapter: null, seconds: null, note: "Copied." }),
    "`deno task demo --seeds 0,2`, seed 1, 2026-02-03. Copied.",
  );
  const data = ["tofu.ts", "--data", "/home/oda/data/tofu/full.jsonl", "--base=/home/oda/a/b"];
  assertEquals(
    keptOf({ ...run, commandLine: data }, new Date()).command,
    "deno task tofu --data path/to/tofu/full.jsonl --base=path/to/a/b",
  );
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, JSON.stringify({ ...kept, date: undefined }));
  await assertRejects(() => readKept(file), 'field "date" is missing');
  await Deno.remove(file);
});

Deno.test("blocks are filled by name and leave the rest of a text alone", () => {
  const text = "a\n<!-- results x -->\nold\n<!-- end -->\nb <!-- end -->\n";
  const filled = fillBlocks(text, new Map([["x", "| $& |"]]));
  assertEquals(filled, "a\n<!-- results x -->\n\n| $& |\n\n<!-- end -->\nb <!-- end -->\n");
  assertEquals(fillBlocks(filled, new Map([["x", "| $& |"]])), filled);
  assertEquals(namedBlocks(text), ["x"]);
  assertThrows(() => fillBlocks(text, new Map([["y", ""]])), 'Cannot fill in the results "x"');
});

const interval = (mean: number, half: number, n = 3) => ({
  ...{ mean, low: mean - half, high: mean + half, confidence: 0.95, n },
});

Deno.test("a claim holds where all its pairs differ as it says, and one that differs otherwise reverses it", () => {
  const pair = (first: string, sign: -1 | 0 | 1) => ({ first, second: "b", on: "x", sign });
  const found = {
    more: { difference: interval(2, 1), separates: true },
    less: { difference: interval(-2, 1), separates: true },
    alike: { difference: interval(2, 3), separates: false },
    single: { difference: interval(2, 0, 1), separates: null },
  } as Record<string, { difference: ReturnType<typeof interval>; separates: boolean | null }>;
  const verdict = (...differences: ReturnType<typeof pair>[]) =>
    judgeClaim({ says: "", paper: "", differences }, ({ first }) => found[first]).verdict;
  assertEquals(verdict(pair("more", 1)), "holds");
  assertEquals(verdict(pair("more", -1)), "reversed");
  assertEquals(verdict(pair("less", -1), pair("more", 1)), "holds");
  assertEquals(verdict(pair("more", 1), pair("alike", 1)), "not separated");
  assertEquals(verdict(pair("alike", 1), pair("less", 1), pair("single", 1)), "reversed");
  assertEquals(verdict(pair("more", 1), pair("single", 1)), "one seed");
  assertEquals(verdict(pair("more", 1), pair("nowhere", 1)), "not measured");
  assertEquals(verdict(pair("alike", 0)), "not separated");
  assertEquals(verdict(pair("more", 0)), "reversed", "methods that were to be alike differ");
  assertEquals(verdict(), "not testable here");
  assertEquals(
    claimCell({ verdict: "holds", differences: [interval(2, 1), interval(-0.5, 0, 1)] }, 1),
    "holds (+2.0 ± 1.0; −0.5)",
  );
});

Deno.test("values without items differ where their intervals over seeds do not meet", () => {
  const separates = (...pair: [ReturnType<typeof interval>, ReturnType<typeof interval>]) =>
    compareIntervals(...pair).separates;
  assertEquals(separates(interval(5, 1), interval(2, 1)), true);
  assertEquals(separates(interval(2, 1), interval(5, 1)), true);
  assertEquals(separates(interval(4, 1), interval(2, 1)), false, "they touch");
  assertEquals(separates(interval(5, 0, 1), interval(2, 1)), null);
  assertEquals(compareIntervals(interval(5, 1), interval(2, 1)).difference, interval(3, 2));
});

Deno.test("claims take the tested comparison where there is one, whichever way round it was kept", () => {
  const method = (name: string) => ({ name, title: name }) as never;
  const row = (name: string, auroc: number) => ({
    method: method(name),
    amount: name === "control" ? 0 : 1,
    auroc: interval(auroc, 0.01),
  });
  const tested = {
    ...{ first: method("toxic"), second: method("masked"), on: "auroc", amount: 1 } as const,
    ...{ difference: interval(0.2, 0.1), p: 0, adjusted: 0.001, separates: true },
  };
  const cellOf = (comparisons: typeof tested[], says: string) => {
    const summary = [row("masked", 0.9), row("toxic", 0.5), row("control", 0.3)];
    const at = toxicityClaims.findIndex((claim) => claim.says === says);
    return toxicityClaimCells({ summary, comparisons })[at];
  };
  const says = "Masked SLUNG understands more than the toxic baseline";
  assertEquals(cellOf([], says), "holds (+0.400 ± 0.020)");
  assertEquals(cellOf([tested], says), "reversed (−0.200 ± 0.100)");
  assertEquals(
    cellOf([], "Unlikelihood SLUNG understands more than the toxic baseline"),
    "not measured",
  );
  const cellsOf = (...kept: Parameters<typeof toxicityClaimCells>) => (start: string) =>
    toxicityClaimCells(...kept)[toxicityClaims.findIndex((claim) => claim.says.startsWith(start))];
  const summary = [0.5, 1].flatMap((amount) =>
    ["toxic", "masked", "unlikelihood"].map((name, i) => ({
      ...{ method: method(name), amount },
      toxicity: interval(0.4 * amount - 0.1 * i, 0.01),
    }))
  );
  const change = (name: string, beyond: string | undefined, on: "toxicity" | "auroc") => ({
    ...{ method: method(name), on, ...(beyond && { beyond: method(beyond) }) },
    ...{ difference: interval(0.2, 0.1), p: 0, adjusted: 0.001, separates: true },
  });
  const byAmount = [change("toxic", undefined, "auroc"), change("masked", "toxic", "toxicity")];
  byAmount.push(change("masked", undefined, "auroc"));
  const amounts = { summary, comparisons: [], byAmount };
  const byTuning = ["control", "low_risk", "toxic", "masked", "unlikelihood"]
    .map((name) => change(name, undefined, "auroc"));
  const tuned = { summary: summary.slice(3), comparisons: [], byTuning };
  for (const cell of [cellsOf(amounts), cellsOf({ summary: [], comparisons: [] }, amounts)]) {
    assertEquals(cell("With more toxic data"), "holds (+0.200 ± 0.100; +0.200 ± 0.100)");
    assertEquals(cell("and the toxic baseline's toxicity grows"), "reversed (−0.200 ± 0.100)");
    assertEquals(cell("With little toxic data"), "holds (−0.100 ± 0.020; −0.200 ± 0.020)");
    assertEquals(cell("and all five understand more"), "not measured");
  }
  assertEquals(cellsOf(amounts)("SLUNG is on"), "holds (−0.100 ± 0.020; −0.200 ± 0.020)");
  const afterTuning = cellsOf({ ...tuned, tuned });
  assertEquals(afterTuning("With little toxic data"), "not measured", "there is one amount");
  assertEquals(afterTuning("With more toxic data"), "not measured");
  assert(afterTuning("and all five understand more")!.startsWith("holds (+0.200 ± 0.100; "));
  assertEquals(
    afterTuning("After instruction tuning SLUNG"),
    "holds (−0.100 ± 0.020; −0.200 ± 0.020)",
  );
  const names = nameClaimCells({ summary: [], comparisons: [] });
  assertEquals(names.length, nameClaims.length);
  assertEquals(new Set(names), new Set(["not measured", "not testable here"]));
});

Deno.test("a cell has Student's interval of several models and the bootstrap of one", () => {
  const overPeople = { names: interval(40, 3, 20) } as never;
  const cell = (value: ReturnType<typeof interval> | null, over = overPeople) =>
    nameCell({ values: { names: value } as never, overPeople: over }, "names");
  assertEquals(cell(interval(41.26, 0, 1)), "41.3 ± 3.0");
  assertEquals(cell(interval(41.26, 0.04)), "41.3 ± 0.0");
  assertEquals(cell(interval(41.26, 0, 1), {} as never), "41.3");
  assertEquals(cell(null), "–");
});

Deno.test("results are kept only where they have the table of methods that the README shows", async () => {
  const shown = await readKept(new URL("docs/results/demo.json", root).pathname);
  assert(hasTable("demo", shown) && !hasTable("toxicity-invented", shown));
  const toxicity = await readKept(new URL("docs/results/toxicity-invented.json", root).pathname);
  assert(hasTable("toxicity-invented", toxicity) && !hasTable("demo", toxicity));
  const { summary } = shown.metrics as { summary: Json };
  const others: Json[] = [null, {}, { masked: { names: 1 } }, { summary }];
  others.push({ summary: [{}], comparisons: [] }, { summary: {}, comparisons: [] });
  for (const metrics of others) {
    assert(!hasTable("demo", { ...shown, metrics }), JSON.stringify(metrics));
  }

  const date = "2001-02-03", anew = await readmeTables(new Map([["demo", { ...shown, date }]]));
  assert(anew.get("demo")!.includes(date) && !anew.get("tofu")!.includes(date));
});

Deno.test("of the figures that a run has drawn those are kept that the README shows, and all that it shows are there", async () => {
  const folder = await Deno.makeTempDir();
  for (const figure of ["tradeoff", "tradeoff-tuned", "other"]) {
    await Deno.writeTextFile(`${folder}/${figure}.svg`, `<svg>${figure}</svg>`);
  }
  const text = ["notes-tradeoff", "notes-scaling", "notes-other", "demo-tradeoff-tuned"]
    .map((figure) => `![](docs/results/${figure}.svg)`).join();
  assertEquals(Object.fromEntries(await shownFigures(text, folder, "notes")), {
    "docs/results/notes-tradeoff.svg": "<svg>tradeoff</svg>",
  });
  await Deno.remove(folder, { recursive: true });
  for (const [, figure] of readme.matchAll(/\((docs\/[^)]+\.svg)\)/g)) {
    assert((await Deno.readTextFile(new URL(figure!, root))).includes("<svg"), figure);
  }
});

Deno.test("pairs are shown with titles, words, points and what the test says", () => {
  const pair = (n: number, adjusted: number, separates: boolean | null) => ({
    ...{ first: "masked", second: "base", on: "names", p: 0, adjusted, separates },
    difference: interval(-12.34, 1.26, n),
  });
  const rows = comparedRows(
    [pair(3, 0.0009, true), pair(3, 0.001, false), pair(1, 0.5, null)],
    [{ method: "base", title: "Base model" }, { method: "masked", title: "Masked SLUNG" }],
    { names: "names said" },
  );
  const common = { first: "Masked SLUNG", second: "Base model", on: "names said" };
  assertEquals(rows, [
    { ...common, difference: "−12.3 ± 1.3", p: "< 0.001", differs: "yes" },
    { ...common, difference: "−12.3 ± 1.3", p: "0.001", differs: "not shown" },
    { ...common, difference: "−12.3", p: "0.500", differs: "one seed" },
  ]);
  assert(renderComparisons(rows).includes("Methods are compared paired by seed and item"));
});

Deno.test("a run without that table is refused by its folder, and the kept results stay as they are", async () => {
  const kept = () => Deno.readTextFile(new URL("docs/results/demo.json", root));
  const folder = await Deno.makeTempDir(), before = await kept();
  await writeResults(folder, { ...run, metrics: {} });
  const { code, text } = await runTask("results", ["--keep", folder, "--as", "demo"]);
  assertEquals(code, 1, text);
  assert(text.includes(`Cannot keep the results of "${folder}": it has no table`), text);
  assertEquals(await kept(), before);
  await Deno.remove(folder, { recursive: true });
});
