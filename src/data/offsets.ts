// Where a character stands, in the units that different languages count: JavaScript counts UTF-16 code units, Python and
// Hugging Face code points, Rust and Go bytes of UTF-8. Everything here counts UTF-16 units; offsets that came from
// elsewhere are converted on the way in and out, or five emoji before a name would shift its mask by five characters.

/** The units in which offsets can be given. */
export const offsetUnits = ["utf16", "codepoint", "utf8"] as const;

/** One of the {@linkcode offsetUnits}. */
export type OffsetUnit = (typeof offsetUnits)[number];

/** Stands in {@linkcode offsetsFrom} for an offset inside a character. */
export const insideCharacter = 0xffffffff;

/**
 * The UTF-16 offset of every offset of another unit: [units of the text + 1], {@linkcode insideCharacter} where it falls
 * inside a character. `undefined` when both are the same everywhere.
 */
export function offsetsFrom(text: string, unit: OffsetUnit): Uint32Array | undefined {
  const widths = widthsIn(text, unit);
  if (!widths) return undefined;
  const offsets = new Uint32Array(widths.total + 1).fill(insideCharacter);
  let from = 0, to = 0;
  for (const character of text) {
    offsets[from] = to;
    from += widths.of(character);
    to += character.length;
  }
  offsets[from] = to;
  return offsets;
}

/**
 * The offset in another unit of every UTF-16 offset: [length + 1]; the second half of a surrogate pair counts as the
 * character after it. `undefined` when both are the same everywhere.
 */
export function offsetsTo(text: string, unit: OffsetUnit): Uint32Array | undefined {
  const widths = widthsIn(text, unit);
  if (!widths) return undefined;
  const offsets = new Uint32Array(text.length + 1);
  let from = 0, to = 0;
  for (const character of text) {
    offsets[from] = to;
    to += widths.of(character);
    if (character.length === 2) offsets[from + 1] = to;
    from += character.length;
  }
  offsets[from] = to;
  return offsets;
}

const surrogate = /[\ud800-\udfff]/;
// deno-lint-ignore no-control-regex -- ASCII is a byte a character
const beyondAscii = /[^\x00-\x7f]/;

interface Widths {
  /** Units of one character. */
  of(character: string): number;
  /** Units of the whole text. */
  total: number;
}

function widthsIn(text: string, unit: OffsetUnit): Widths | undefined {
  if (unit === "codepoint" && surrogate.test(text)) return { of: () => 1, total: [...text].length };
  if (unit === "utf8" && beyondAscii.test(text)) {
    return { of: utf8Width, total: new TextEncoder().encode(text).length };
  }
  return undefined;
}

// A lone surrogate is written as U+FFFD, which has three bytes as it would have.
function utf8Width(character: string): number {
  const point = character.codePointAt(0)!;
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}
