// Decompresses Zstandard as a stream. Deno's asynchronous decoder throws outside any try block when a file is damaged,
// which ends the process; the synchronous one throws where it is called, but wants a whole frame, and frames of corpora
// have gigabytes. So the decoder below both is driven by hand, 64 KiB of output at a time, as node:zlib itself does it.

import { Buffer } from "node:buffer";
import { constants, createZstdDecompress } from "node:zlib";
import { CannotError } from "../base/errors.ts";
import { zstdFramePieces } from "./zstd_frames.ts";

const CHUNK = 1 << 16;
const LONGEST_WINDOW = 31; // log2; Pushshift's dumps need windows of 2 GB

/** What node:zlib has behind a decoder; minizlib, which npm unpacks with, relies on it too. */
interface Decoder {
  _handle: {
    writeSync(flush: number, ...args: [Buffer, number, number, Buffer, number, number]): void;
  };
  /** [Room left in the output, bytes left of the input] after a write. */
  _writeState: Uint32Array;
  close(): void;
}

/**
 * The content of all frames.
 *
 * @throws {Error} when the bytes are no Zstandard, damaged as far as that can be seen, or end within a frame.
 */
export async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let decoder: Decoder | undefined;
  try {
    for await (const { bytes, last } of zstdFramePieces(chunks)) {
      decoder ??= openDecoder();
      yield* decode(decoder, bytes);
      if (!last) continue;
      decoder.close();
      decoder = undefined; // each frame has one of its own
    }
  } finally {
    decoder?.close();
  }
}

function* decode(
  { _handle: handle, _writeState: state }: Decoder,
  bytes: Uint8Array,
): Generator<Uint8Array> {
  const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let read = 0, full = true; full || read < input.length;) {
    const output = Buffer.alloc(CHUNK);
    const left = input.length - read;
    handle.writeSync(constants.ZSTD_e_continue, input, read, left, output, 0, CHUNK);
    const [room, unread] = state;
    full = room === 0;
    read = input.length - unread!;
    if (!full && room === CHUNK && unread === left && left > 0) throw new Error("it is damaged");
    if (room! < CHUNK) yield output.subarray(0, CHUNK - room!);
  }
}

function openDecoder(): Decoder {
  const params = { [constants.ZSTD_d_windowLogMax]: LONGEST_WINDOW };
  const decoder = createZstdDecompress({ params }) as unknown as Decoder;
  if (typeof decoder._handle?.writeSync === "function" && decoder._writeState) return decoder;
  throw new CannotError(
    "read Zstandard files",
    `the decoder of Deno ${Deno.version.deno} works in another way`,
    "Decompress them first, with zstd -d, or use Deno 2.9",
  );
}
