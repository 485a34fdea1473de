// What a notebook cell shows. An object carries a picture or a table for Jupyter and the same content as text, so that a
// cell's last value, `console.log` in a terminal and a screen reader all get it. Figures are pictures rather than styled
// HTML, because code hosts drop styles from committed notebooks but show their images.

import { CannotError } from "../base/errors.ts";
import { toPng } from "./raster.ts";

/** The symbol by which Deno's Jupyter kernel asks an object for its MIME bundle. */
export const jupyterDisplay: unique symbol = Symbol.for("Jupyter.display") as never;
/** The symbol by which `console.log` asks an object for its text. */
export const customInspect: unique symbol = Symbol.for("Deno.customInspect") as never;

/** Renderings of one content by MIME type; a frontend shows the richest that it knows. */
export interface MimeBundle {
  /** What terminals and screen readers get. */
  "text/plain": string;
  /** A table or other HTML; everything in it is escaped. */
  "text/html"?: string;
  /** Markdown, which viewers render with its code highlighted. */
  "text/markdown"?: string;
  /** A figure, in base64. */
  "image/png"?: string;
  /** A figure, where it could not be drawn as PNG. */
  "image/svg+xml"?: string;
}

/** Something that shows itself in a notebook and prints itself in a terminal. */
export interface Displayable {
  /** For Jupyter. */
  [jupyterDisplay](): Promise<MimeBundle>;
  /** For `console.log`; coloured where the terminal is. */
  [customInspect](inspect?: unknown, options?: { colors?: boolean }): string;
  /** The content as text. */
  toString(): string;
  /** The figure as an SVG document, to be written to a file; none of a table or a text. */
  readonly svg?: string;
}

/** What there is to show. */
export interface Content {
  /** For terminals and screen readers. */
  text: string;
  /** The text with ANSI colours, for terminals that show them. */
  coloured?: string;
  /** A table or other HTML; everything in it is escaped. */
  html?: string;
  /** Markdown instead. */
  markdown?: string;
  /** A figure. */
  svg?: string;
}

/** Makes an object that shows a content. */
export function displayable({ text, coloured, html, markdown, svg }: Content): Displayable {
  const bundle = async (): Promise<MimeBundle> => ({
    "text/plain": text,
    ...(html !== undefined && { "text/html": html }),
    ...(markdown !== undefined && { "text/markdown": markdown }),
    ...(svg !== undefined && await picture(svg)),
  });
  return {
    ...(svg !== undefined && { svg }),
    [jupyterDisplay]: bundle,
    [customInspect]: (_inspect, options) => (options?.colors ? coloured : undefined) ?? text,
    toString: () => text,
  };
}

async function picture(svg: string): Promise<Pick<MimeBundle, "image/png" | "image/svg+xml">> {
  try {
    return { "image/png": (await toPng(svg)).toBase64() };
  } catch (error) {
    if (!(error instanceof CannotError)) throw error;
    console.warn(`${error.message} Until then figures are SVG, which some viewers do not show.`);
    return { "image/svg+xml": svg };
  }
}

/** The part of `Deno.jupyter` used here; it exists in the kernel only. */
export interface JupyterDoor {
  /** Sends a bundle to the frontend. */
  display(
    bundle: unknown,
    options: { raw?: boolean; update?: boolean; display_id?: string },
  ): Promise<void>;
}

/** The running kernel, or `undefined` outside Jupyter, where Deno throws when asked for it. */
export function jupyter(): JupyterDoor | undefined {
  try {
    return Reflect.get(Deno, "jupyter") as JupyterDoor | undefined;
  } catch {
    return undefined;
  }
}

/**
 * Sends a thing to the frontend. The kernel passes displays on from another thread; without the pause it may say that
 * the cell is done before the last of them has left, and some frontends drop what comes later.
 */
export async function send(
  door: JupyterDoor,
  thing: Displayable,
  options: { update?: boolean; display_id?: string },
): Promise<void> {
  await door.display(await thing[jupyterDisplay](), { raw: true, ...options });
  await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Shows things in order, before the cell ends; a cell by itself shows only its last value. */
export async function show(...things: readonly Displayable[]): Promise<void> {
  const door = jupyter();
  for (const thing of things) {
    if (door) await send(door, thing, {});
    else printLine(thing[customInspect](undefined, { colors: Deno.stdout.isTerminal() }));
  }
}

function printLine(text: string): void {
  let bytes = new TextEncoder().encode(`${text}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
