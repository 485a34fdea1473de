import type { HostTensor } from "../src/model/config.ts";
import { readSafetensorsHeader, readSafetensorsIndex } from "../src/model/formats/safetensors.ts";
import { type Dtype, readTensor, writeSafetensors } from "../src/model/formats/tensor_data.ts";
import { Random } from "../src/base/random.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";

const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const path = `${folder}/model.safetensors`;

function tensor(shape: number[], values: Iterable<number>): HostTensor {
  return { shape, data: Float32Array.from(values) };
}

async function readAll(file: string): Promise<Map<string, HostTensor>> {
  const read = new Map<string, HostTensor>();
  for (const [name, entry] of (await readSafetensorsHeader(file)).tensors) {
    read.set(name, await readTensor(entry));
  }
  return read;
}

function bits(values: Float32Array): number[] {
  return [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
}

/** Writes `header` (text as it is, or an object as JSON) and `dataSize` bytes of data. */
async function writeRaw(
  header: string | Record<string, unknown>,
  dataSize: number,
  claimedLength?: bigint,
): Promise<void> {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const file = new Uint8Array(8 + json.length + dataSize);
  new DataView(file.buffer).setBigUint64(0, claimedLength ?? BigInt(json.length), true);
  file.set(json, 8);
  await Deno.writeFile(path, file);
}

Deno.test("every bit of a float32 tensor survives, in every rank, by name, with the metadata", async () => {
  const values = [0, -0, 1, -1.5, 1e-45, 3.4e38, Infinity, -Infinity];
  const tensors = new Map([
    ["matrix", tensor([2, 4], values)],
    ["scalar", tensor([], [7])],
    ["empty", tensor([0, 3], [])],
    ['名 "quoted" \n', tensor([1, 1, 1], [NaN])],
  ]);
  await writeSafetensors(path, tensors, { metadata: { format: "pt", note: "ü" } });
  const { metadata } = await readSafetensorsHeader(path);
  assertEquals([...metadata], [["format", "pt"], ["note", "ü"]]);
  const read = await readAll(path);
  assertEquals([...read.keys()], [...tensors.keys()].sort());
  for (const [name, { shape, data }] of tensors) {
    assertEquals(read.get(name)!.shape, shape);
    assertEquals(bits(read.get(name)!.data), bits(data));
  }
});

for (const dtype of ["F16", "BF16"] as const) {
  Deno.test(`all 65,536 ${dtype} values survive reading and writing`, async () => {
    const halves = new Uint16Array(65536).map((_, i) => i);
    await writeHalves(dtype, halves);
    const read = await readAll(path);
    await writeSafetensors(path, read, { dtype });
    const bytes = await Deno.readFile(path);
    const written = new Uint16Array(bytes.buffer, bytes.length - 131072);
    for (let i = 0; i < 65536; i++) {
      if (Number.isNaN(read.get("x")!.data[i])) { // a NaN may lose its payload, not its nature
        const exponent = dtype === "F16" ? 0x7c00 : 0x7f80;
        assert((written[i]! & 0x7fff) > exponent, `NaN ${i} became ${written[i]}`);
      } else assertEquals(written[i], i);
    }
  });
}

async function writeHalves(dtype: Dtype, halves: Uint16Array<ArrayBuffer>): Promise<void> {
  const end = halves.byteLength;
  await writeRaw({ x: { dtype, shape: [halves.length], data_offsets: [0, end] } }, end);
  using file = await Deno.open(path, { write: true });
  await file.seek(-end, Deno.SeekMode.End);
  await file.write(new Uint8Array(halves.buffer));
}

Deno.test("half floats are decoded to their values, subnormals included", async () => {
  await writeHalves("F16", Uint16Array.of(0x0001, 0x03ff, 0x0400, 0x3555, 0x7bff, 0xfc00, 0x8000));
  const smallest = 2 ** -24;
  assertEquals(
    [...(await readAll(path)).get("x")!.data],
    [smallest, 1023 * smallest, 2 ** -14, 0.333251953125, 65504, -Infinity, -0],
  );
  await writeHalves("BF16", Uint16Array.of(0x0001, 0x3f80, 0xc049, 0x7f7f, 0x7f80));
  assertEquals(
    [...(await readAll(path)).get("x")!.data],
    [2 ** -133, 1, -3.140625, 2 ** 128 - 2 ** 120, Infinity],
  );
});

Deno.test("writing halves rounds to the nearest, ties to even", async () => {
  const written = async (dtype: Dtype, values: number[]) => {
    await writeSafetensors(path, new Map([["x", tensor([values.length], values)]]), { dtype });
    return [...(await readAll(path)).get("x")!.data];
  };
  const step16 = 2 ** -10, step8 = 2 ** -7; // between 1 and 2
  assertEquals(
    await written("F16", [1 + step16 / 2, 1 + 1.5 * step16, 1 + 0.51 * step16, 2 ** -25, 65519]),
    [1, 1 + 2 * step16, 1 + step16, 0, 65504],
  );
  assertEquals(
    await written("BF16", [1 + step8 / 2, 1 + 1.5 * step8, 1 + 0.51 * step8, -1.5 * 2 ** -133]),
    [1, 1 + 2 * step8, 1 + step8, -2 * 2 ** -133],
  );
});

Deno.test("a tensor longer than one conversion chunk is whole", async () => {
  const random = new Random(1);
  const data = Float32Array.from({ length: (1 << 20) + 3 }, () => Math.fround(random.below(256)));
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    await writeSafetensors(path, new Map([["x", { shape: [data.length], data }]]), { dtype });
    assertEquals(bits((await readAll(path)).get("x")!.data), bits(data));
  }
});

Deno.test("a finite value that a half cannot hold is refused, and the old file stays", async () => {
  await writeSafetensors(path, new Map([["x", tensor([1], [5])]]));
  const large = new Map([["w", tensor([2], [1, 65520])]]);
  const reason = 'value 65520 of tensor "w" is too large for F16';
  await assertRejects(() => writeSafetensors(path, large, { dtype: "F16" }), reason);
  const larger = new Map([["w", tensor([1], [3.4e38])]]);
  await assertRejects(() => writeSafetensors(path, larger, { dtype: "BF16" }), "large for BF16");
  assertEquals([...(await readAll(path)).get("x")!.data], [5]);
});

const F32 = (shape: unknown, begin: unknown, end: unknown) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});
const hostile: [string, string | Record<string, unknown>, number, string][] = [
  ["is not JSON", "{'a': 1}", 0, "its header is not JSON"],
  ["has a byte order mark", "\ufeff{}", 0, "its header is not JSON"],
  ["is a list", "[]", 0, "its header is not a JSON object"],
  ["has a number for a tensor", { a: 4 }, 0, 'tensor "a" is not a JSON object'],
  ["has metadata that is text", { __metadata__: "x" }, 0, "its __metadata__ is not a JSON object"],
  ["has a number in its metadata", { __metadata__: { a: 1 } }, 0, 'metadata "a" is not a string'],
  ["names a tensor twice", dup('"a"'), 8, 'its header has "a" twice'],
  ["names a tensor twice in disguise", dup('"\\u0061"'), 8, 'its header has "a" twice'],
  [
    "has two shapes for one tensor",
    '{"a":{"dtype":"F32","shape":[9],"shape":[1],"data_offsets":[0,4]}}',
    4,
    'its header has "shape" twice',
  ],
  [
    "has an unknown dtype",
    { a: { ...F32([1], 0, 1), dtype: "Q4_0" } },
    1,
    'tensor "a" has dtype "Q4_0"',
  ],
  [
    "has a dtype inherited from Object",
    { a: { ...F32([1], 0, 4), dtype: "toString" } },
    4,
    'has dtype "toString"',
  ],
  [
    "has no dtype",
    { a: { shape: [1], data_offsets: [0, 4] } },
    4,
    'tensor "a" has dtype undefined',
  ],
  ["has a shape that is text", { a: F32("1", 0, 4) }, 4, 'tensor "a" has shape "1"'],
  ["has a negative size", { a: F32([-1], 0, 4) }, 4, 'tensor "a" has shape [-1]'],
  ["has half a size", { a: F32([0.5], 0, 2) }, 2, 'tensor "a" has shape [0.5]'],
  ["has a shape of shapes", { a: F32([[1]], 0, 4) }, 4, 'tensor "a" has shape [[…]]'],
  [
    "has a shape that overflows",
    { a: F32([2 ** 40, 2 ** 40], 0, 4) },
    4,
    "too large to exist",
  ],
  [
    "has a shape that overflows to nothing",
    { a: F32([2 ** 40, 2 ** 40, 0], 0, 0) },
    0,
    "too large to exist",
  ],
  ["has one offset", { a: { ...F32([1], 0, 4), data_offsets: [0] } }, 4, "not a begin and an end"],
  ["has an offset that is text", { a: F32([1], "0", 4) }, 4, "not a begin and an end"],
  ["has a negative offset", { a: F32([1], -4, 0) }, 4, "not a begin and an end"],
  ["begins after its end", { a: F32([1], 4, 0) }, 4, "begins at byte 4, after its end 0"],
  ["ends outside", { a: F32([2], 0, 8) }, 4, "ends at byte 8, but the file has 4 bytes of data"],
  ["has too few bytes", { a: F32([2], 0, 4) }, 4, "has 4 bytes, but F32 [2] needs 8"],
  ["has too many bytes", { a: F32([], 0, 8) }, 8, "has 8 bytes, but F32 [] needs 4"],
  [
    "overlaps",
    { a: F32([2], 0, 8), b: F32([2], 4, 12) },
    12,
    'tensor "b" overlaps the one before it',
  ],
  [
    "shares all its bytes",
    { a: F32([1], 0, 4), b: F32([1], 0, 4) },
    4,
    'tensor "b" overlaps the one before it',
  ],
  ["has a hole", { a: F32([1], 0, 4), b: F32([1], 8, 12) }, 12, '4 bytes before tensor "b"'],
  ["begins with a hole", { a: F32([1], 4, 8) }, 8, '4 bytes before tensor "a" belong to none'],
  ["has a tail", { a: F32([1], 0, 4) }, 9, "5 bytes after its last tensor belong to none"],
];

function dup(second: string): string {
  return `{"a":${JSON.stringify(F32([1], 0, 4))},${second}:${JSON.stringify(F32([1], 4, 8))}}`;
}

for (const [what, header, dataSize, message] of hostile) {
  Deno.test(`a header that ${what} is refused`, async () => {
    await writeRaw(header, dataSize);
    await assertRejects(() => readSafetensorsHeader(path), message);
    await assertRejects(() => readSafetensorsHeader(path), `Cannot read "${path}"`);
  });
}

Deno.test("a header length beyond the file, beyond the limit or beyond 2^63 is refused", async () => {
  await writeRaw("{}", 0, 3n);
  await assertRejects(() => readSafetensorsHeader(path), "claims 3 bytes, but the file has 10");
  await writeRaw(" ".repeat(99_000_000), 0);
  await assertRejects(
    () => readSafetensorsHeader(path),
    "its header claims 94.4 MiB, which take 1.4 GiB to parse, and at most 10 MiB are read",
  );
  await writeRaw("{}", 0, 2n ** 64n - 1n);
  await assertRejects(() => readSafetensorsHeader(path), "claims 18446744073709551615 bytes");
  await Deno.writeFile(path, new Uint8Array(7));
  await assertRejects(() => readSafetensorsHeader(path), "it has 7 bytes");
  await assertRejects(() => readSafetensorsHeader(`${folder}/none`), "there is no such file");
});

Deno.test("a header of brackets is refused before it is parsed", async () => {
  await writeRaw(`{"a":${"[".repeat(5_000_000)}`, 0);
  await assertRejects(() => readSafetensorsHeader(path), "nested more than 200 deep");
});

Deno.test("metadata may be null, as the format's own reader takes it", async () => {
  await writeRaw({ __metadata__: null, a: F32([1], 0, 4) }, 4);
  const { metadata, tensors } = await readSafetensorsHeader(path);
  assertEquals([metadata.size, [...tensors.keys()]], [0, ["a"]]);
});

Deno.test("a tensor of integers or doubles may lie in a file, but not be read as weights", async () => {
  for (const [dtype, bytes] of [["I64", 8], ["F64", 8], ["U8", 1], ["BOOL", 1]] as const) {
    await writeRaw({ ids: { dtype, shape: [3], data_offsets: [0, 3 * bytes] } }, 3 * bytes);
    const { tensors } = await readSafetensorsHeader(path);
    const message = `tensor "ids" has dtype "${dtype}". Convert it to one of F32, F16, BF16`;
    await assertRejects(() => readTensor(tensors.get("ids")!), message);
  }
});

Deno.test("a header that is not UTF-8 is refused", async () => {
  const file = Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0xfe, 0x7d);
  await Deno.writeFile(path, file);
  await assertRejects(() => readSafetensorsHeader(path), "its header is not UTF-8");
});

Deno.test("no prefix of a file is taken for the file, and no one-bit flip ends in a crash", async () => {
  await writeSafetensors(path, new Map([["a", tensor([2], [1, 2])], ["b", tensor([1], [3])]]));
  const whole = await Deno.readFile(path);
  for (let length = 0; length < whole.length; length += 5) {
    await Deno.writeFile(path, whole.subarray(0, length));
    await assertRejects(() => readSafetensorsHeader(path), `Cannot read "${path}"`);
  }
  let refused = 0;
  for (let i = 0; i < whole.length - 12; i++) {
    const flipped = whole.slice();
    flipped[i]! ^= 1 << (i % 7);
    await Deno.writeFile(path, flipped);
    await readAll(path).catch((error) => {
      assertEquals(error.name, "CannotError");
      refused++;
    });
  }
  assert(refused > whole.length / 2, `only ${refused} of ${whole.length} flips were noticed`);
});

Deno.test("a file that shrinks after its header was read is refused", async () => {
  await writeSafetensors(path, new Map([["a", tensor([2], [1, 2])]]));
  const { tensors } = await readSafetensorsHeader(path);
  await Deno.truncate(path, (await Deno.stat(path)).size - 3);
  await assertRejects(() => readTensor(tensors.get("a")!), "it ends 3 bytes early");
});

async function writeShards(weightMap: unknown): Promise<string> {
  await writeSafetensors(`${folder}/1.safetensors`, new Map([["a", tensor([1], [1])]]));
  await writeSafetensors(
    `${folder}/2.safetensors`,
    new Map([["b", tensor([1], [2])], ["c", tensor([1], [3])]]),
  );
  const index = `${folder}/model.safetensors.index.json`;
  await Deno.writeTextFile(index, JSON.stringify({ weight_map: weightMap }));
  return index;
}
const SHARDS = { a: "1.safetensors", b: "2.safetensors", c: "2.safetensors" };

Deno.test("shards are read as one", async () => {
  const { tensors } = await readSafetensorsIndex(await writeShards(SHARDS));
  const values: [string, number][] = [];
  for (const [name, entry] of tensors) values.push([name, (await readTensor(entry)).data[0]!]);
  assertEquals(values, [["a", 1], ["b", 2], ["c", 3]]);
});

const badIndexes: [string, unknown, string][] = [
  ["has no map", undefined, "its weight_map is not a JSON object"],
  ["names a missing tensor", { ...SHARDS, d: "1.safetensors" }, 'tensor "d" is not in shard "1.'],
  ["names a missing file", { ...SHARDS, a: "9.safetensors" }, "9.safetensors"],
  ["forgets a tensor", { a: SHARDS.a, b: SHARDS.b }, 'tensor "c" is in shard "2.safetensors"'],
  ["names the wrong shard", { ...SHARDS, c: "1.safetensors" }, 'tensor "c" is in shard "2.'],
  ["leads up", { a: "../1.safetensors" }, 'shard "../1.safetensors" is not the name of a file'],
  ["leads to the root", { a: "/etc/passwd" }, 'shard "/etc/passwd" is not the name of a file'],
  ["leads into a folder", { a: "x\\y" }, "is not the name of a file beside it"],
  ["names the folder", { a: ".." }, 'shard ".." is not the name of a file beside it'],
  ["has a number for a file", { a: 1 }, "shard 1 is not the name of a file beside it"],
];
for (const [what, weightMap, message] of badIndexes) {
  Deno.test(`an index that ${what} is refused`, async () => {
    const index = await writeShards(weightMap);
    await assertRejects(() => readSafetensorsIndex(index), message);
  });
}
