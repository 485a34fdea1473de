// Tables 1 and 2 of the paper: ours and the published values stay apart.

import { renderTable } from "../src/report/table.ts";
import {
  dataMixColumns,
  dataMixRows,
  perplexityColumns,
  perplexityRows,
  siCount,
} from "../src/experiments/toxicity/paper_tables.ts";
import { assertEquals, assertThrows } from "./assert.ts";

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
