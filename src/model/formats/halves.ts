// Numbers of 16 bits, widened and rounded. They stand apart from files, since pages need them too.

// Loops over plain integers: `new Float32Array(halves)` takes fifteen times as long.

let valuesOfF16: Uint32Array | undefined; // the bits of the f32 of each of the 65,536

/** Widens f16, given by their bits. */
export function fromF16(bits: Uint16Array, values: Float32Array): void {
  valuesOfF16 ??= new Uint32Array(
    new Float32Array(new Float16Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer))
      .buffer,
  );
  const words = wordsOf(values);
  for (let i = 0; i < bits.length; i++) words[i] = valuesOfF16[bits[i]!]!;
}

/** A bfloat16 is the upper half of a float32. */
export function fromBF16(bits: Uint16Array, values: Float32Array): void {
  const words = wordsOf(values);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
}

function wordsOf({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}

/** Rounds to bfloat16, ties to even. */
export function toBF16(values: Float32Array): Uint16Array {
  const words = wordsOf(values);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    // Adding 0x7fff, or 0x8000 if the kept part is odd, carries exactly when rounding goes up;
    // a NaN would carry into infinity and keeps its upper half with the quiet bit instead.
    bits[i] = isNaN ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}
