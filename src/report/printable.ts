// Texts from files, models and services may hold control characters and terminal escapes: an escape sequence can move the
// cursor, hide text or set a window's title. On a terminal they are shown, not obeyed. Whatever a task prints passes
// through here; files and --json hold texts as they are.

// deno-lint-ignore-file no-control-regex -- these are what it is about
const unprintable = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The escape sequences that are ours: possible risk, high risk, and the end of both. */
export const colours = { possible: "\x1b[33m", high: "\x1b[1;31m", end: "\x1b[0m" } as const;
const ours = /(\x1b\[(?:33|1;31|0)m)/;

const longestMessage = 4000;

/** A text on one line, line ends as ⏎ and other control characters as `\x1b`. */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "⏎").replace(unprintable, (character) => {
    if (character === "\n") return "⏎";
    if (character === "\t") return " ";
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** What may be printed of a text that has lines, tabs and our colours; all else as {@linkcode printable} shows it. */
export function printableLines(text: string): string {
  return text.replaceAll("\r\n", "\n").split(ours).map((part, i) =>
    i % 2 === 1
      ? part
      : part.split(/([\n\t])/).map((piece, j) => j % 2 === 1 ? piece : printable(piece)).join("")
  ).join("");
}

/** The same of a message, which may quote what has any length. */
export function printableMessage(text: string): string {
  const shown = text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text;
  return printableLines(shown);
}
