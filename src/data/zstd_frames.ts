// Where the frames of a Zstandard stream end (RFC 8878, section 3). Deno's decoder stops after the
// first frame without a word, and takes a truncated one for whole, so that half of a corpus could go
// missing unnoticed. Walking over the headers, three bytes for every block of at most 128 KB, shows
// both, and gives each frame a decoder of its own.

/** A part of a frame, in order; frames follow each other. */
export interface FramePiece {
  /** Compressed bytes. */
  bytes: Uint8Array;
  /** Whether the frame ends with them. */
  last: boolean;
}

/**
 * Cuts a Zstandard stream where its frames end.
 *
 * @throws {Error} when the bytes are no Zstandard frames or end within one.
 */
export async function* zstdFramePieces(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<FramePiece> {
  const layout = frameLayout();
  let wanted = layout.next().value as Wanted;
  let header: number[] = [], skipped = 0, inside = false;
  for await (const bytes of chunks) {
    let start = 0, at = 0;
    while (at < bytes.length) {
      inside = true;
      if ("take" in wanted) {
        header.push(bytes[at++]!);
        if (header.length < wanted.take) continue;
      } else {
        const step = Math.min(wanted.skip - skipped, bytes.length - at);
        at += step;
        skipped += step;
        if (skipped < wanted.skip) continue;
      }
      let next = layout.next(header).value as Wanted | "end";
      header = [];
      skipped = 0;
      while (next !== "end" && "skip" in next && next.skip === 0) {
        next = layout.next([]).value as Wanted | "end";
      }
      if (next === "end") {
        yield { bytes: bytes.subarray(start, at), last: true };
        start = at;
        inside = false;
        next = layout.next().value as Wanted;
      }
      wanted = next;
    }
    if (start < bytes.length) yield { bytes: bytes.subarray(start), last: false };
  }
  if (inside) throw new Error("it ends within a Zstandard frame");
}

/** The next bytes: so many to look at, or so many to pass over. */
type Wanted = { take: number } | { skip: number };

/** Says what comes next in a stream of frames, given the bytes that were asked for. */
function* frameLayout(): Generator<Wanted | "end", never, number[]> {
  while (true) {
    const magic = littleEndian(yield { take: 4 });
    if (magic >>> 4 === 0x184d2a5) { // a skippable frame
      yield { skip: littleEndian(yield { take: 4 }) };
      yield "end";
      continue;
    }
    if (magic !== 0xfd2fb528) throw new Error("it holds bytes that are no Zstandard frame");
    const [descriptor = 0] = yield { take: 1 };
    const singleSegment = (descriptor & 0x20) !== 0, checksum = (descriptor & 0x04) !== 0;
    const window = singleSegment ? 0 : 1, dictionary = [0, 1, 2, 4][descriptor & 3]!;
    const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
    yield { skip: window + dictionary + contentSize };
    for (let last = false; !last;) {
      const block = littleEndian(yield { take: 3 });
      last = (block & 1) === 1;
      const kind = (block >> 1) & 3; // raw, one byte repeated, compressed, reserved
      if (kind === 3) throw new Error("it holds a damaged Zstandard block");
      yield { skip: kind === 1 ? 1 : block >> 3 };
    }
    yield { skip: checksum ? 4 : 0 };
    yield "end";
  }
}

function littleEndian(bytes: readonly number[]): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}
