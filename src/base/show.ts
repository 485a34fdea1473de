// Values of untrusted files and options in error messages: quoted, so that they cannot steer a terminal;
// short; and never followed into depth, because JSON nested a million times would overflow the stack of a
// printer.

const LONGEST_TEXT = 200;
const LONGEST_LIST = 8;

/** A value as it may stand in an error message, e.g. `"F8"` or `[3, -1]`. */
export function show(value: unknown): string {
  if (!Array.isArray(value)) return showScalar(value);
  const shown = value.slice(0, LONGEST_LIST).map(showScalar);
  if (value.length > LONGEST_LIST) shown.push("…");
  return `[${shown.join(", ")}]`;
}

function showScalar(value: unknown): string {
  if (Array.isArray(value)) return "[…]";
  if (typeof value === "object" && value !== null) return "{…}";
  if (typeof value === "function") return "a function";
  if (typeof value !== "string") return String(value);
  const isShort = value.length <= LONGEST_TEXT;
  return JSON.stringify(isShort ? value : `${value.slice(0, LONGEST_TEXT)}…`);
}
