// Texts from files, models and services may hold control characters and terminal escapes: an escape sequence can move the
// cursor, hide text or set a window's title. On a terminal they are shown, not obeyed.

// deno-lint-ignore no-control-regex -- these are what it is about
const unprintable = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * A text with its lines and tabs, other control characters as `\x1b`.
 *
 * @param colours Leave escapes that only colour: of a text that was made printable before it was coloured.
 */
export function printableLines(text: string, { colours = false } = {}): string {
  // deno-lint-ignore no-control-regex -- that of colours
  const parts = colours ? text.split(/(\x1b\[[0-9;]*m)/) : [text];
  return parts.map((part, i) =>
    i % 2 === 1 ? part : part.replace(/[^\r\n\t]+|\r(?!\n)/g, printable)
  ).join("");
}

/** A text on one line, line ends as ⏎ and other control characters as `\x1b`. */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "⏎").replace(unprintable, (character) => {
    if (character === "\n") return "⏎";
    if (character === "\t") return " ";
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}
