// The wire format of protocol buffers, as far as ONNX files need it: a message is a list of fields, and a field a number
// with a whole number, a float, bytes, or another message. Messages keep their bytes in pieces, so that weights of
// gigabytes are written as they are and never copied together. https://protobuf.dev/programming-guides/encoding

/** A message, or the bytes of a field: pieces that follow each other. */
export type Pieces = readonly Uint8Array[];

const varint = 0, lengthDelimited = 2, fixed32 = 5; // wire types

/** A field with a whole number, an enumeration or a flag. */
export function intField(field: number, value: number | bigint): Pieces {
  return [key(field, varint), encodeVarint(BigInt(value))];
}

/** A field with a float32. */
export function floatField(field: number, value: number): Pieces {
  return [key(field, fixed32), new Uint8Array(new Float32Array([value]).buffer)];
}

/** A field with text. */
export function textField(field: number, text: string): Pieces {
  return messageField(field, [new TextEncoder().encode(text)]);
}

/** A field with several whole numbers in one run of bytes. */
export function packedIntsField(field: number, values: readonly number[]): Pieces {
  return messageField(field, values.map((value) => encodeVarint(BigInt(value))));
}

/** A field with a message, or with bytes. */
export function messageField(field: number, content: Pieces): Pieces {
  return [key(field, lengthDelimited), encodeVarint(BigInt(lengthOf(content))), ...content];
}

/** The bytes of all pieces. */
export function lengthOf(pieces: Pieces): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

function key(field: number, wireType: number): Uint8Array {
  return encodeVarint(BigInt(field << 3 | wireType));
}

// Seven bits a byte, the lowest first; negative numbers as 64 bits in two's complement.
function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}
