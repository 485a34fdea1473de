// What a file holds, as a digest. It stands apart from the other files, since only Node hashes piece by piece.

import { createHash, type Hash } from "node:crypto";
import { openToRead } from "./files.ts";

/**
 * The digest of all bytes of a file in hexadecimal digits, read piece by piece.
 *
 * @param hash Which one, and what it begins with; SHA-256 unless given.
 */
export async function contentDigest(
  path: string,
  hash: Hash = createHash("sha256"),
): Promise<string> {
  using file = await openToRead(path);
  const piece = new Uint8Array(1 << 20);
  for (let count; (count = await file.read(piece)) !== null;) hash.update(piece.subarray(0, count));
  return hash.digest("hex");
}
