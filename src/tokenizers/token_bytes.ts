// Tokens are strings of UTF-8 bytes, and a token may hold a part of a character. Texts are UTF-16.
// Here bytes become positions in a text (risk spans are UTF-16 offsets) and text again, and the
// byte-to-unicode alphabet of GPT-2 spells any byte as one printable character.

const replacementCharacter = new Uint8Array([0xef, 0xbf, 0xbd]); // U+FFFD
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // a U+FEFF in the text is text
const utf8Encoder = new TextEncoder();

/** The UTF-8 bytes of a text; a lone surrogate becomes U+FFFD. */
export function utf8(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/**
 * The text of tokens: their bytes in a row, read as UTF-8. Bytes that are no UTF-8, and an id
 * without a token (a row that pads the embedding), become U+FFFD: visible, and never an error.
 */
export function textOf(pieces: readonly (Uint8Array | undefined)[]): string {
  const found = pieces.map((piece) => piece ?? replacementCharacter);
  const bytes = new Uint8Array(found.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of found) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return utf8Decoder.decode(bytes);
}

/**
 * GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the other 68 for U+0100 onwards
 * (openai/gpt-2, `encoder.py`, `bytes_to_unicode`). A space becomes "Ġ".
 */
export const byteAlphabet: readonly string[] = (() => {
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : 0x100 + others++);
  });
})();

const byteOfLetter = new Map(byteAlphabet.map((letter, byte) => [letter, byte]));

/** The bytes of a token spelt in `byteAlphabet`, or `undefined` when it uses another character. */
export function bytesOfSpelling(spelling: string): Uint8Array | undefined {
  const bytes = new Uint8Array(spelling.length);
  for (let i = 0; i < spelling.length; i++) {
    const byte = byteOfLetter.get(spelling[i]!);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
