// JSON from strangers: objects and lists, and their nesting, are counted before anything is parsed, because a file of
// brackets becomes objects that take fifty times its size.

const deepest = 200; // what people write has a depth of ten
const most = 4_000_000; // some 400 MB

/**
 * `JSON.parse`, for values nested at most 200 deep that have at most four million objects and lists.
 *
 * @throws {Error} saying what is wrong with the text.
 */
export function parseJson(text: string): unknown {
  let depth = 0, count = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) i = endOfString(text, i);
    else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > deepest) throw new Error(`it is nested more than ${deepest} deep`);
      if (++count > most) throw new Error(`it has more than ${most} objects and lists`);
    } else if (unit === 0x7d || unit === 0x5d) depth--;
  }
  return JSON.parse(text);
}

// Of the quotation mark that ends the string which begins at `start`.
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 1;
}
