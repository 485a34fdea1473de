// HTML in which every text is escaped: a template takes texts and pieces of HTML, and only the latter go in as they are.

import { escapeHtml } from "./table.ts";

/** A piece of HTML. */
export interface Html {
  /** Its markup. */
  readonly markup: string;
}

/** What may stand in a template: a text, which is escaped, HTML, or a list of both. */
export type HtmlPart = Html | string | number | readonly HtmlPart[];

/**
 * HTML with values in it.
 *
 * @example
 * ```ts ignore
 * html`<p>${"1 < 2"}</p>`.markup; // <p>1 &#60; 2</p>
 * ```
 */
export function html(strings: TemplateStringsArray, ...values: HtmlPart[]): Html {
  return {
    markup: strings.map((text, i) => (i === 0 ? "" : markupOf(values[i - 1]!)) + text).join(""),
  };
}

/** Markup that was made elsewhere, such as the SVG of a figure, as it is. */
export function trustedHtml(markup: string): Html {
  return { markup };
}

function markupOf(part: HtmlPart): string {
  if (typeof part === "string" || typeof part === "number") return escapeHtml(String(part));
  return "markup" in part ? part.markup : part.map(markupOf).join("");
}
