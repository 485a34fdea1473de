// A page that can be sent: one HTML file with its style and figures in it, which loads nothing and runs nothing, for a
// light or a dark screen and for paper.

import type { RiskSpan } from "../slung/risk.ts";
import { Risk } from "../slung/risk.ts";
import { type Html, html, type HtmlPart, trustedHtml } from "./html.ts";

/** A part of a page under a heading. */
export interface PageSection {
  /** The heading. */
  title: string;
  /** What stands below it. */
  body: readonly Html[];
}

/** The whole page. */
export function renderPage(title: string, lead: Html, sections: readonly PageSection[]): string {
  const id = (i: number) => `part-${i + 1}`;
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'">
        <meta name="color-scheme" content="light dark">
        <title>${title}</title>
        <style>${trustedHtml(style)}</style>
      </head>
      <body>
        <header><h1>${title}</h1>${lead}
    <nav>${sections.map(({ title }, i) =>
      html`
        <a href="#${id(i)}">${title}</a>
      `
    )}</nav></header>
        <main>${sections.map(({ title, body }, i) =>
          html`<section id="${id(i)}"><h2>${title}</h2>${body}</section>\n`
        )}</main>
      </body>
    </html>
  `.markup;
}

/** A table; numbers stand right. Wide ones are scrolled. */
export function pageTable(
  headings: readonly HtmlPart[],
  rows: readonly (readonly HtmlPart[])[],
): Html {
  const right = headings.map((_, i) => rows.length > 0 && rows.every((row) => isNumeric(row[i])));
  const line = (tag: "th" | "td", row: readonly HtmlPart[]) =>
    row.map((cell, i) => {
      const start = right[i] ? `<${tag} class="number">` : `<${tag}>`;
      return html`${trustedHtml(start)}${cell}${trustedHtml(`</${tag}>`)}`;
    });
  return html`
    <div class="wide">
      <table>
        <thead>
          <tr>${line("th", headings)}</tr>
        </thead>
        <tbody>${rows.map((row) => html`<tr>${line("td", row)}</tr>\n`)}</tbody>
      </table>
    </div>
  `;
}

function isNumeric(part: HtmlPart | undefined): boolean {
  if (typeof part === "number") return true;
  return typeof part === "string" && /^(–|−?\d[\d.]*( ± \d[\d.]*)?)$/.test(part);
}

/** A figure with what is to be seen in it below. */
export function pageFigure(svg: string, caption: HtmlPart): Html {
  return html`<figure>${trustedHtml(svg)}<figcaption>${caption}</figcaption></figure>`;
}

/** A text in which what is risky is coloured. @param expected Underlined where it is risky: the name that was asked about. */
export function markedText(
  text: string,
  spans: readonly RiskSpan[],
  expected: readonly RiskSpan[] = [],
): Html {
  const parts: HtmlPart[] = [];
  let at = 0;
  for (const { start, end, risk } of spans.toSorted((a, b) => a.start - b.start)) {
    const from = Math.max(at, start);
    if (risk < Risk.possible || from >= end) continue;
    const isExpected = expected.some((own) => own.start < end && own.end > from);
    const kind = (risk === Risk.high ? "high" : "possible") + (isExpected ? " expected" : "");
    parts.push(text.slice(at, from), html`<mark class="${kind}">${text.slice(from, end)}</mark>`);
    at = end;
  }
  return html`<span class="text">${[...parts, text.slice(at)]}</span>`;
}

/** Something to copy. */
export function pageCode(code: string): Html {
  return html`<pre><code>${code}</code></pre>`;
}

// Contrast of at least 4.5 : 1 for all text, in both schemes. Figures are drawn for white paper.
const style = `
:root { --ground: #fff; --ink: #1b1f23; --faint: #57606a; --line: #d6dade; --tint: #f5f7f9;
  --high: #ffd9d2; --high-ink: #8a1500; --possible: #fff0c2; --possible-ink: #6b4a00; --link: #0550ae }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --ink: #e4e8ec; --faint: #9aa4ae;
  --line: #353c44; --tint: #1d232a; --high: #5c1a10; --high-ink: #ffc9bf; --possible: #4a3a08;
  --possible-ink: #ffe7a3; --link: #79b8ff } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-top: .5rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem }
p { max-width: 46rem; margin: .5rem 0 }
a { color: var(--link) } nav { margin-top: .6rem } nav a { margin-right: .8rem }
.wide { overflow-x: auto; margin: .6rem 0 }
table { border-collapse: collapse; font-size: .92rem }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
th { color: var(--faint); font-weight: 600 }
td:first-child { white-space: nowrap }
td .text { display: inline-block; min-width: 8rem; max-width: 24rem; white-space: pre-wrap;
  overflow-wrap: anywhere }
.number { text-align: right; font-variant-numeric: tabular-nums } td.number { white-space: nowrap }
.differs td:first-child { font-weight: 600 } .faint { color: var(--faint) }
mark { padding: 0 .15em; border-radius: .2em; background: var(--possible); color: var(--possible-ink) }
mark.expected { text-decoration: underline; text-decoration-thickness: 2px; text-underline-offset: 2px }
mark.high { background: var(--high); color: var(--high-ink); font-weight: 600 }
figure { margin: 1rem 0; display: inline-block; max-width: 100%; vertical-align: top; margin-right: 1rem }
figure svg { display: block; max-width: 100%; height: auto; background: #fff; border-radius: .4rem;
  padding: .6rem; border: 1px solid var(--line) }
figcaption { color: var(--faint); font-size: .9rem; max-width: 40rem; margin-top: .3rem }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem;
  overflow-x: auto; font-size: .88rem; white-space: pre-wrap; overflow-wrap: anywhere }
code { font-family: ui-monospace, monospace }
@media print { nav { display: none } body { max-width: none; padding: 0 } figure, tr { break-inside: avoid }
  .wide { overflow: visible } table { font-size: 7.5pt } th, td { padding: .15rem .3rem }
  td .text { min-width: 0 } td.number, td:first-child { white-space: normal } mark { print-color-adjust: exact } }
`;
