// The few pieces of SVG that the notebook's own figures are made of: text of a known width, colours between two, and
// a document that scales down with the page, is white in dark themes too, and says in words what it shows.

import { displayWidth, escapeHtml } from "../report/table.ts";

/** Black and white apart, the colours of figures: Okabe and Ito's, told apart with any colour vision. */
export const ink = {
  blue: "#0072b2",
  orange: "#d55e00",
  yellow: "#e69f00",
  grey: "#6b6b6b",
} as const;

/** Width of a monospace character, in em; texts are stretched to it, so that every font gives the same layout. */
const advance = 0.6;

/** Pixels that a text takes in monospace. */
export function textWidth(text: string, size: number): number {
  return displayWidth(text) * advance * size;
}

/** A line of text, escaped, with its baseline at y. */
export function svgText(
  text: string,
  { x, y, size = 12, fill = "#222", anchor = "start", mono = false, weight = "normal" }: {
    x: number;
    y: number;
    size?: number;
    fill?: string;
    anchor?: "start" | "middle" | "end";
    mono?: boolean;
    weight?: "normal" | "bold";
  },
): string {
  const font = mono
    ? `font-family="monospace" textLength="${round(textWidth(text, size))}" xml:space="preserve"`
    : `font-family="sans-serif"`;
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" fill="${fill}" ` +
    `text-anchor="${anchor}" font-weight="${weight}" ${font}>${escapeHtml(text)}</text>`;
}

/** A whole picture. */
export function svgDocument(
  width: number,
  height: number,
  alternative: string,
  body: string,
): string {
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" ` +
    `style="max-width:100%;height:auto" role="img" aria-label="${escapeHtml(alternative)}">` +
    `<rect width="${w}" height="${h}" fill="#fff"/>${body}</svg>`;
}

/** Two decimals of a pixel are enough, and keep committed figures small. */
export function round(pixels: number): number {
  return Math.round(pixels * 100) / 100;
}

/** The colour a part of the way from one `#rrggbb` to another. */
export function mix(from: string, to: string, part: number): string {
  const channels = [1, 3, 5].map((at) => {
    const [a, b] = [from, to].map((colour) => parseInt(colour.slice(at, at + 2), 16)) as [
      number,
      number,
    ];
    return Math.round(a + (b - a) * part).toString(16).padStart(2, "0");
  });
  return `#${channels.join("")}`;
}

/** Black or white, whichever has the higher contrast on a colour (WCAG 2: always at least 4.58 : 1). */
export function readableOn(background: string): "#000000" | "#ffffff" {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const channel = parseInt(background.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/** Text that a picture may hold: white space and control characters become visible, no half characters. */
export function visible(text: string): string {
  return text.toWellFormed()
    .replace(/ /g, "·").replace(/\n/g, "⏎").replace(/\t/g, "⇥")
    // deno-lint-ignore no-control-regex -- these are what XML forbids
    .replace(/[\x00-\x1f]/g, (control) => String.fromCharCode(0x2400 + control.charCodeAt(0)))
    .replace(/[\x7f-\x9f\ufffe\uffff]/g, "\ufffd");
}
