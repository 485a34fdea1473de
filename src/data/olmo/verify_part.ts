// One part of an export, file by file: ids, documents, mask, classes.

import { createHash } from "node:crypto";
import { Risk } from "../../slung/risk.ts";
import { readLines } from "../lines.ts";
import { bytesOf, partFiles } from "../shards/format.ts";
import { exportedNames } from "./export.ts";
import { type Looked, remedies } from "./verification.ts";

/** Verifies the files of one part. */
export async function verifyPart(looked: Looked, part: number, digits: string): Promise<void> {
  const { manifest, sizes, dtype, found, fault } = looked;
  const name = `token_ids_part_${digits}.npy`;
  const known = manifest?.parts.find(({ number }) => number === part);
  if (manifest && !known) fault(name, "the manifest does not know it", remedies.again);
  found.parts++;
  if (!await checkSize(looked, name, known?.tokens)) return;
  const tokens = sizes.get(name)! / bytesOf(dtype);
  const ends = await boundsOf(looked, exportedNames.bounds(part), tokens, name);
  if (!await checkTokens(looked, name, ends)) return;
  found.tokens += tokens;
  await checkMask(looked, part, tokens, name);
  const { documents } = partFiles(part);
  if (sizes.has(documents)) {
    checkSum(looked, documents, await readValues(looked, documents, () => {}));
  }
}

/** The ends of the documents in ascending order, where all is well with them. */
async function boundsOf(
  looked: Looked,
  name: string,
  tokens: number,
  ofFile: string,
): Promise<number[] | undefined> {
  const { folder, sizes, found, fault } = looked;
  if (!sizes.has(name)) {
    fault(name, `it is missing: nothing says where the documents of ${ofFile} are`, remedies.again);
    return undefined;
  }
  const ends: number[] = [];
  let last = 0;
  const wrong = (line: number, why: string): undefined =>
    void fault(name, `line ${line}: ${why}`, remedies.again);
  try {
    for await (const { text, line } of readLines(`${folder}/${name}`)) {
      const [start, end] = text.split(",", 2).map((each) =>
        /^\d+$/.test(each) ? Number(each) : NaN
      );
      if (!(start! < end!)) return wrong(line, `"${text.slice(0, 40)}" is no start and end`);
      if (start! < last) {
        return wrong(line, `it begins at ${start}, before ${last}: unsorted or overlapping`);
      }
      if (start! > last) return wrong(line, `no document holds tokens ${last} to ${start}`);
      if (end! > tokens) {
        return wrong(line, `it ends at ${end}, behind the last of ${tokens} tokens`);
      }
      ends.push(last = end!);
    }
  } catch (error) {
    fault(name, (error as Error).message, remedies.again);
    return undefined;
  }
  if (last < tokens) {
    fault(name, `no document holds tokens ${last} to ${tokens}`, remedies.again);
    return undefined;
  }
  found.documents += ends.length;
  return checkSum(looked, name, await readValues(looked, name, () => {})) ? ends : undefined;
}

/** Whether a file of ids has the bytes that it should. */
async function checkSize(
  looked: Looked,
  name: string,
  expected: number | undefined,
): Promise<boolean> {
  const { sizes, dtype, fault } = looked;
  const size = sizes.get(name)!;
  const width = bytesOf(dtype);
  const per = expected === undefined ? width : size / expected; // bytes a token
  if (await hasHeader(looked, name)) fault(name, headed, remedies.header);
  else if (per !== width && [1, 2, 4, 8].includes(per)) {
    fault(
      name,
      `it has ${per} bytes a token, and ${dtype} has ${width}`,
      `Write its ids as ${dtype}`,
    );
  } else if (per !== width) {
    const why = `it has ${size} bytes, and the manifest says ${expected} tokens of ${width}`;
    fault(name, why, remedies.again);
  } else if (size % width !== 0) {
    fault(name, `its ${size} bytes are not whole values of ${width} bytes`, remedies.again);
  } else return true;
  return false;
}

/** Whether the ids can be ids; only then does it make sense to look at masks. */
async function checkTokens(
  looked: Looked,
  name: string,
  ends: readonly number[] | undefined,
): Promise<boolean> {
  const { dtype, eos, vocabularySize, found, fault } = looked;
  const width = bytesOf(dtype);
  const fail = (why: string, remedy: string) => {
    fault(name, why, remedy);
    return false;
  };
  let at = 0, zeros = 0, highest = 0, highestAt = 0, inner = 0, unended = 0, document = 0;
  const sum = await readValues(looked, name, (bytes) => {
    const ids = width === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
    for (const id of ids) {
      if (id > highest) [highest, highestAt] = [id, at];
      if (id === 0) zeros += at & 1;
      at++;
      if (at === ends?.[document]) {
        document++;
        if (id !== eos) unended++;
      } else if (id === eos) inner++;
    }
  });
  if (sum === undefined) return false;
  if (width === 2 && at >= 8 && zeros === Math.floor(at / 2)) {
    return fail(
      "every second id is 0: these are ids of 32 bits",
      "Write its ids as uint16, or say uint32 in the manifest and the configurations",
    );
  }
  if (highest >= vocabularySize) {
    return fail(
      `token ${highestAt} is id ${highest}, and the vocabulary ends at ${vocabularySize - 1}`,
      "Check the type of its ids, their byte order (little-endian) and the tokenizer",
    );
  }
  if (eos !== undefined && unended > 0) {
    const why = `${unended} documents do not end in EOS (${eos}), by which OLMo-core finds them`;
    fault(name, why, "End every document in EOS");
  }
  if (inner > 0 && ends) {
    const times = inner === 1 ? "once" : `${inner} times`;
    found.remarks.push(
      `${name}: EOS stands ${times} inside a document, which OLMo-core takes for two.`,
    );
  }
  return unended > 0 || checkSum(looked, name, sum);
}

async function checkMask(
  looked: Looked,
  part: number,
  tokens: number,
  ofFile: string,
): Promise<void> {
  const { sizes, found, masked, learned, fault } = looked;
  const name = exportedNames.mask(part), { classes } = partFiles(part);
  const size = sizes.get(name);
  if (size === undefined) {
    return fault(name, `it is missing: all of ${ofFile} would be trained on`, remedies.again);
  }
  if (await hasHeader(looked, name)) return fault(name, headed, remedies.header);
  if (size !== tokens) {
    const why =
      `it has ${size} values for ${tokens} tokens; OLMo-core refuses it, and the legacy trainer may not`;
    return fault(name, why, "Write one byte for each token");
  }
  const classed = sizes.get(classes);
  if (classed !== undefined && classed !== tokens) {
    fault(classes, `it has ${classed} classes for ${tokens} tokens`, remedies.again);
  }
  const blocks: Uint8Array[] = []; // a bit for each token
  let trained = 0, largest = 0;
  const sum = await readValues(looked, name, (bytes) => {
    for (const value of bytes) {
      if (value > largest) largest = value;
      trained += value === 0 ? 0 : 1;
    }
    if (classed === tokens) blocks.push(asBits(bytes));
  });
  if (sum === undefined) return;
  if (largest > 1) {
    const why =
      `it holds values up to ${largest}: risk classes, of which a trainer takes all but 0 for true`;
    return fault(name, why, remedies.mask);
  }
  if (!checkSum(looked, name, sum)) return;
  found.trained += trained;
  if (classed !== tokens) return;
  let block = 0, unknown = 0;
  const classSum = await readValues(looked, classes, (bytes) => {
    const bits = blocks[block++]!;
    bytes.forEach((risk, i) => {
      if (risk > Risk.high) unknown++;
      else (bits[i >> 3]! >> (i & 7) & 1 ? learned : masked)[risk]!++;
    });
  });
  if (unknown > 0) fault(classes, `${unknown} values are no class from 0 to 3`, remedies.again);
  else checkSum(looked, classes, classSum);
}

const headed = "it begins with NumPy's header (\\x93NUMPY), which trainers read as values";
const blockBytes = 1 << 20;

/** Reads a file block by block. Returns its SHA-256; none, with the fault told, when it became shorter. */
async function readValues(
  { folder, sizes, fault, onBytes }: Looked,
  name: string,
  take: (bytes: Uint8Array<ArrayBuffer>) => void,
): Promise<string | undefined> {
  const size = sizes.get(name)!;
  const hash = createHash("sha256");
  using file = await Deno.open(`${folder}/${name}`);
  for (let start = 0; start < size; start += blockBytes) {
    const bytes = new Uint8Array(Math.min(blockBytes, size - start));
    for (let done = 0; done < bytes.length;) {
      const count = await file.read(bytes.subarray(done));
      if (count === null) {
        fault(name, "it became shorter while it was read", remedies.again);
        return undefined;
      }
      done += count;
    }
    hash.update(bytes);
    take(bytes);
    onBytes(bytes.length);
  }
  return hash.digest("hex");
}

function checkSum({ manifest, fault }: Looked, name: string, sum: string | undefined): boolean {
  if (sum === undefined) return false;
  const expected = manifest?.parts.map(({ files }) => files[name]).find((each) =>
    each !== undefined
  );
  if (expected === undefined || expected === sum) return true;
  fault(
    name,
    "its checksum is not that of the manifest: it was damaged or changed",
    remedies.again,
  );
  return false;
}

async function hasHeader({ folder }: Looked, name: string): Promise<boolean> {
  using file = await Deno.open(`${folder}/${name}`);
  const head = new Uint8Array(6);
  return await file.read(head) === 6 && String.fromCharCode(...head) === "\x93NUMPY";
}

function asBits(bytes: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(bytes.length / 8));
  bytes.forEach((value, i) => bits[i >> 3]! |= (value === 0 ? 0 : 1) << (i & 7));
  return bits;
}
