// JSON from strangers: nesting is counted before it is parsed, because a file of brackets becomes objects that take fifty
// times its size.

const deepest = 200; // what people write has a depth of ten

/** `JSON.parse`, for values nested at most 200 deep. @throws {Error} saying what is wrong with the text. */
export function parseJson(text: string): unknown {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) i = endOfString(text, i);
    else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > deepest) throw new Error(`it is nested more than ${deepest} deep`);
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
