// What notebook cells show: colours that never stand alone, escaped text, and the same content in a terminal.

import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import {
  check,
  checkClose,
  customInspect,
  type Displayable,
  environment,
  jupyterDisplay,
  notebookSize,
  showPlot,
  showTable,
  showTokens,
} from "../src/notebook/mod.ts";
import { mix, readableOn, visible } from "../src/notebook/svg.ts";
import { groupedBars, tradeOffPlot } from "../src/report/plot.ts";
import { studentInterval } from "../src/eval/statistics.ts";

const svgOf = (shown: Displayable) => shown.svg!;
const htmlOf = async (shown: Displayable) => (await shown[jupyterDisplay]())["text/html"]!;
const texts = (svg: string) =>
  Array.from(svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g), (m) => m[1]);

const tokens = ["By", " Mira", " <b>", "\n"];

Deno.test("tokens show their classes by fill, underline, hint and words", () => {
  const shown = showTokens(tokens, { classes: [1, 3, 2, 1] });
  const svg = svgOf(shown);
  assertEquals(svg.match(/<title>[^<]*definitely risky/g)?.length, 1);
  assertEquals(
    svg.match(/stroke-width="3"/g)?.length,
    4,
    "two tokens and their two legend entries",
  );
  assertEquals(svg.match(/stroke-dasharray/g)?.length, 2, "possibly risky is dashed");
  assert(svg.includes("·Mira (definitely risky)"), "the alternative says it in words");
  assertEquals(String(shown), "risk class\nBy ·Mira ·<b> ⏎\n   [3]   [2]");
});

Deno.test("losses, probabilities and values are printed below their tokens", () => {
  const losses = showTokens(tokens, { losses: [0.5, 2, null, NaN], classes: [1, 3, 1, 1] });
  assertEquals(String(losses), "loss (nats)\nBy   ·Mira ·<b> ⏎\n0.50 2.00  –    –\n     [3]");
  const svg = svgOf(losses);
  assert(
    texts(svg).includes("2.00") && svg.includes('fill="#d55e00"'),
    "the largest has full colour",
  );
  assertEquals(svg.match(/fill="#e6e6e6"/g)?.length, 2, "no loss is grey");
  const wide = svgOf(showTokens(tokens, { losses: [0.5, 2, 0, 0], domain: [0, 8] }));
  assert(!/<rect [^>]*rx="3" fill="#d55e00"/.test(wide), "a wider scale pales it");
  const signed = svgOf(showTokens(["a", "b"], { values: [-3, 1.5], legend: "gradient" }));
  assert(signed.includes(`fill="${mix("#ffffff", "#0072b2", 0.5)}"`) && signed.includes("#d55e00"));
  assert(texts(signed).includes("-3.00") && texts(signed).includes("3.00"), "a two-sided scale");
  assert(texts(svgOf(showTokens(["a"], { probabilities: [0.25] }))).includes("1.00"));
});

Deno.test("nothing that a token holds becomes markup or breaks the picture", () => {
  const hostile = ['"><script>', " a&b", "\x00\ud800\uffff", "", "'"];
  const svg = svgOf(showTokens(hostile, { legend: "<i>", values: [1, 2, 3, 4, 5] }));
  // deno-lint-ignore no-control-regex -- what XML forbids
  assert(!svg.includes("<script") && !svg.includes("<i>") && !/[\x00-\x1f\ud800\uffff]/u.test(svg));
  assertEquals(svg.match(/<svg/g)?.length, 1);
  assertEquals(visible(" \n\t\x01"), "·⏎⇥␁");
});

Deno.test("long texts wrap, in the picture and in a terminal", () => {
  const shown = showTokens(Array.from({ length: 60 }, (_, i) => ` word${i}`));
  const width = Number(/width="(\d+)"/.exec(svgOf(shown))![1]);
  assert(width <= 880, `${width} pixels`);
  assert(String(shown).split("\n").every((line) => line.length <= 97));
});

Deno.test("text on any shade has a contrast of at least 4.5", () => {
  const luminance = (colour: string) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4) as [
        number,
        number,
        number,
      ];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const end of ["#d55e00", "#0072b2", "#f3cf73", "#eb9a74"]) {
    for (let part = 0; part <= 1; part += 0.05) {
      const fill = mix("#ffffff", end, part);
      const [dark, light] = [luminance(fill), luminance(readableOn(fill))].sort((a, b) => a - b);
      assert((light! + 0.05) / (dark! + 0.05) >= 4.5, fill);
    }
  }
});

Deno.test("a terminal that shows colours gets them, another gets text", () => {
  const shown = showTokens(["a"], { probabilities: [1] });
  assertEquals(shown[customInspect](undefined, { colors: false }), "probability\na\n1.00");
  assert(
    shown[customInspect](undefined, { colors: true }).includes("\x1b[48;2;0;114;178m\x1b[97ma"),
  );
});

Deno.test("tokens that do not fit their colours are refused with the reason", () => {
  assertThrows(() => showTokens(["a"], { losses: [1, 2] }), "1 tokens but 2 losses");
  assertThrows(() => showTokens(["a"], { classes: [4] }), "token 0 has class 4");
  assertThrows(
    () => showTokens(["a"], { losses: [1], values: [1] }),
    "Cannot show tokens: losses and values are given.",
  );
});

Deno.test("rows become tables, escaped and cut where they are long", async () => {
  const rows = [{ method: "<b>", loss: 1.23456 }, { method: "masked", loss: null }];
  const shown = showTable(rows, { precision: 2 });
  assert(
    (await htmlOf(shown)).includes("&#60;b&#62;") && (await htmlOf(shown)).includes(">1.23</td>"),
  );
  assertEquals(String(shown).split("\n").at(-1), "masked     –");
  const cut = showTable(Array.from({ length: 9 }, (_, i) => ({ i })), { limit: 7 });
  assert(
    String(cut).endsWith("… and 2 more rows") && (await htmlOf(cut)).includes("and 2 more rows"),
  );
});

Deno.test("a figure is SVG, and its data are its text", async () => {
  const point = (label: string, x: number, y: number) => ({
    label,
    x: studentInterval([x]),
    y: studentInterval([y]),
  });
  const points = [point("base", 1.2, 41), point("masked", 2.1, 74.9)];
  const axes = { x: { title: "names", most: 100 }, y: { title: "facts", most: 100 } };
  const shown = await showPlot(tradeOffPlot(points, axes, { title: "Trade-off <1>" }));
  assert(svgOf(shown).startsWith('<svg role="img" aria-label="Trade-off &#60;1&#62;"'));
  const text = String(shown);
  for (const word of ["Trade-off <1>", "label", "masked", "74.9"]) {
    assert(text.includes(word));
  }
  assertEquals(text.match(/masked/g)?.length, 1, "layers that repeat the data are left out");
  const bars = [{ group: "g", series: "s", value: 3 }, { group: "g", series: "t", value: 4 }];
  assert(
    String(await showPlot(groupedBars(bars, "Percent"), { limit: 1 })).endsWith("… and 1 more"),
  );
  await assertRejects(() => showPlot({ mark: 7 }), "Cannot draw the figure");
});

// In a process without a lock file, as a kernel is: the rasteriser and its fonts are fetched by who first shows a figure.
Deno.test("Jupyter gets a figure as PNG alone, of the figure's size", async () => {
  const script = `
import { jupyterDisplay, showTokens } from "${new URL("../src/notebook/mod.ts", import.meta.url)}";
const shown = showTokens(["By", " Mira"], { losses: [1, 2] });
console.log(JSON.stringify({ bundle: await shown[jupyterDisplay](), svg: shown.svg }));`;
  const { stdout } = await new Deno.Command("deno", {
    args: [
      "run",
      "--no-lock",
      "--quiet",
      "-A",
      `data:application/typescript,${encodeURIComponent(script)}`,
    ],
    stderr: "inherit",
  }).output();
  const { bundle, svg } = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(Object.keys(bundle).sort(), ["image/png", "text/plain"]);
  const png = Uint8Array.fromBase64(bundle["image/png"]);
  assertEquals(new TextDecoder().decode(png.subarray(1, 4)), "PNG");
  const [width, height] = [16, 20].map((at) => new DataView(png.buffer).getUint32(at));
  assert(svg.includes(`width="${width}" height="${height}"`), `${width} x ${height}`);
});

Deno.test("the environment names versions and adapter, and no path", async () => {
  const adapter = { name: "llvmpipe <x>", software: true, features: ["subgroups", "other"] };
  const html = await htmlOf(environment({ adapter }));
  assert(html.includes(Deno.version.deno) && html.includes("llvmpipe &#60;x&#62;, on the CPU"));
  assert(html.includes("subgroups") && !html.includes("other") && !html.includes(Deno.cwd()));
  assertEquals(notebookSize(), Deno.env.get("SLUNG_NOTEBOOK") === "full" ? "full" : "quick");
});

Deno.test("a check shows what it found, and fails with the place where it does not hold", () => {
  assertEquals(String(check("the loss fell", true)), "✓ the loss fell");
  assertThrows(() => check("the loss fell", false), "Cannot confirm that the loss fell");
  assertEquals(
    String(checkClose("they agree", [1, 2.25], [1, 2], 0.5)),
    "✓ they agree: largest difference 0.25 over 2 elements, allowed 0.5",
  );
  assertThrows(() => checkClose("they agree", [1, NaN], [1, 2], 9), "element 1: NaN");
  assertThrows(
    () => checkClose("they agree", 1, [1, 2], 9),
    "one side has 1 elements, the other 2",
  );
  assertEquals(
    String(checkClose("infinities agree", Infinity, Infinity, 0)),
    "✓ infinities agree: largest difference 0, allowed 0",
  );
});
