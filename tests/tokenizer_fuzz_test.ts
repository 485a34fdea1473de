// Damaged and hostile tokenizer files: each is refused in a sentence that names it, or opened to a tokenizer that works.

import { CannotError } from "../src/base/errors.ts";
import { Random } from "../src/base/random.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import {
  changed,
  type Json,
  llama2cFile,
  openJson,
  rankedFiles,
  temporaryFolder,
  tokenizerGolden,
} from "./fixtures/tokenizers.ts";

const { bases: { bytes, pieces } } = await tokenizerGolden();
const hostile = [
  ...[null, true, false, 0, 1, -1, 0.5, 2 ** 31, 2 ** 32 - 1, 1e99, 7, 300],
  ...["", "a", "../../etc/passwd", "constructor", "__proto__", "\ud800", "(", "[", "a*", "</s>"],
  ...["Sequence", "ByteLevel", "BPE", "Split", "Metaspace", "Replace", "Strip", "MergedWithNext"],
  ...[[], {}, [[]], [null], ["a"], { type: "NFC" }, { String: "a" }, { Regex: "(?=a)|\\s" }],
];

/** A copy with one value somewhere replaced, removed, or put in the place of another. */
function mutated(json: unknown, random: Random): unknown {
  const copy = structuredClone(json);
  const places: [container: Record<string, unknown>, key: string][] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const entries = Object.keys(value);
    // Of a vocabulary's hundreds of tokens a few, or nothing else would ever be hit.
    for (
      const key of entries.length > 40 ? entries.filter(() => random.below(60) === 0) : entries
    ) {
      places.push([value as Record<string, unknown>, key]);
      walk((value as Record<string, unknown>)[key]);
    }
  };
  walk(copy);
  if (places.length === 0) return random.pick(hostile);
  const [container, key] = random.pick(places);
  const [other, otherKey] = random.pick(places);
  const fate = random.below(4);
  if (fate === 0) delete container[key];
  else if (fate === 1) container[key] = structuredClone(other[otherKey]);
  else container[key] = structuredClone(random.pick(hostile));
  return copy;
}

function mutatedText(text: string, random: Random): string {
  const at = random.below(text.length);
  const cut = text.slice(0, at);
  return random.below(2) === 0
    ? cut
    : cut + random.pick(["{", "]", '"', "\0", ",", "9"]) + text.slice(at + 1);
}

function mutatedBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice(0, random.below(3) === 0 ? random.below(bytes.length) : undefined);
  if (copy.length > 0) copy[random.below(copy.length)]! ^= 1 << random.below(8);
  return copy;
}

const samples = [
  "",
  "The old</s> mill by Oda Venn \ud800 é🌊\r\n",
  "a".repeat(50),
  "<s>\ufeff \u0085",
];

/** Uses a tokenizer as the rest of the program does. */
function use(tokenizer: Tokenizer): void {
  const { vocabularySize, special } = tokenizer;
  assert(Number.isInteger(vocabularySize) && vocabularySize >= 0, `${vocabularySize} ids`);
  for (const id of Object.values(special)) {
    assert(Number.isInteger(id) && id >= 0 && id < vocabularySize, `special id ${id}`);
  }
  for (const text of samples) {
    for (const mode of ["tokens", "text"] as const) {
      const { ids, starts, ends } = tokenizer.encode(text, { special: mode });
      ids.forEach((id, i) => {
        assert(id < vocabularySize, `id ${id} of ${vocabularySize}`);
        assert(starts[i]! <= ends[i]! && ends[i]! <= text.length, `${starts[i]} to ${ends[i]}`);
      });
      assertEquals(typeof tokenizer.decode(ids), "string");
    }
  }
}

/** Opens a folder: whether it could be used; anything but a clear refusal is an error. */
async function isUsed(folder: string): Promise<boolean> {
  try {
    use(await openTokenizer(folder));
    return true;
  } catch (error) {
    if (!(error instanceof CannotError)) throw error;
    assert(error.message.startsWith("Cannot "), error.message);
    return false;
  }
}

type Files = Record<string, string | Uint8Array>;

const config = {
  bos_token: "<s>",
  eos_token: { content: "</s>" },
  add_bos_token: true,
  extra: [1],
};
const template = {
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
};
const split = {
  type: "Split",
  pattern: { Regex: "\\p{L}+|\\d" },
  behavior: "Isolated",
  invert: false,
};
const rich = {
  ...pieces,
  post_processor: { type: "Sequence", processors: [template] },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      split,
      { type: "Punctuation", behavior: "Contiguous" },
      { type: "Metaspace", replacement: "\u2581", prepend_scheme: "first", split: true },
    ],
  },
};
const scores: [string, number][] = [..." abOd"].map((piece, i) => [piece, -i]);
const kinds: Record<string, { count: number; mutate: (random: Random) => Files }> = {
  "tokenizer.json, byte-level": {
    count: 800,
    mutate: (random) => ({ "tokenizer.json": JSON.stringify(mutated(bytes, random)) }),
  },
  "tokenizer.json of the SentencePiece kind": {
    count: 800,
    mutate: (random) => ({ "tokenizer.json": JSON.stringify(mutated(rich, random)) }),
  },
  "tokenizer.json as text": {
    count: 200,
    mutate: (random) => ({ "tokenizer.json": mutatedText(JSON.stringify(bytes), random) }),
  },
  "tokenizer_config.json": {
    count: 200,
    mutate: (random) => ({
      "tokenizer.json": JSON.stringify(rich),
      "tokenizer_config.json": JSON.stringify(mutated(config, random)),
    }),
  },
  "vocab.json and gguf_metadata.json": {
    count: 600,
    mutate: (random) => {
      const damaged = random.pick(["vocab.json", "gguf_metadata.json"] as const);
      return {
        ...rankedFiles,
        [damaged]: JSON.stringify(mutated(JSON.parse(rankedFiles[damaged]), random)),
      };
    },
  },
  "tokenizer.bin": {
    count: 600,
    mutate: (random) => ({ "tokenizer.bin": mutatedBytes(llama2cFile(scores), random) }),
  },
};

for (const [name, { count, mutate }] of Object.entries(kinds)) {
  Deno.test(`${count} mutations of ${name}: refused by name, or used`, async () => {
    const random = new Random(5);
    const folder = await Deno.makeTempDir();
    let used = 0;
    for (let i = 0; i < count; i++) {
      const files = mutate(random);
      for (const [file, content] of Object.entries(files)) {
        if (typeof content === "string") await Deno.writeTextFile(`${folder}/${file}`, content);
        else await Deno.writeFile(`${folder}/${file}`, content);
      }
      try {
        used += Number(await isUsed(folder));
      } catch (cause) {
        throw new Error(`mutation ${i}: ${JSON.stringify(files).slice(0, 3000)}`, { cause });
      }
    }
    assert(used > 0 && used < count, `${used} of ${count} were used`);
  });
}

Deno.test("a damaged tokenizer.json is refused with the name of the file and the field", async () => {
  const refused = async (changes: Json, field: string, config?: Json) => {
    await assertRejects(
      () => openJson(changed(bytes, changes), config),
      `tokenizer.json": ${field}`,
    );
  };
  for (const value of [null, "x", 3, [1]]) await refused({ "model.vocab": value }, "model.vocab ");
  for (const value of [null, "x", 3, { a: 1 }]) {
    await refused({ "model.merges": value }, "model.merges ");
  }
  for (const merge of [null, 3, "a", "a b c", ["a"], ["a", 1], ["a", "☃"], "a ☃"]) {
    await refused({ "model.merges": [merge] }, "model.merges[0] is ");
  }
  for (const id of ["../../etc/passwd", 0.5, -1, null, true, "constructor", 2 ** 32, [3]]) {
    await refused({ added_tokens: [{ id, content: "x" }] }, "added_tokens[0].id is ");
    const { vocab } = bytes.model as { vocab: Json };
    await refused({ "model.vocab": { ...vocab, new: id } }, 'model.vocab["new"] is ');
  }
  await refused({ "model.vocab": { a: 1, b: 1 } }, 'model.vocab gives "a" and "b" the same id, 1');
  await refused(
    { added_tokens: [{ id: 5000, content: "new" }] },
    'added_tokens[0].id is 5000, but "new" would be token 282',
  );
  await refused(
    { added_tokens: [{ id: 0, content: "<s>" }, { id: 0, content: "<s>" }] },
    "added_tokens[1] names",
  );
  await refused({ model: null }, "model is null");
  const deep = Array(50).fill(0).reduce((inner) => ({ type: "Sequence", normalizers: [inner] }), {
    type: "NFC",
  });
  await refused({ normalizer: deep }, "normalizer.normalizers[0]");
  for (const value of [true, 0, -1, [], {}]) {
    await assertRejects(
      () => openJson(bytes, { eos_token: value }),
      'tokenizer_config.json": eos_token',
    );
  }
});

Deno.test("a tokenizer file that is a folder, or larger than any tokenizer's, is refused before it is read", async () => {
  const folder = await temporaryFolder({});
  await Deno.mkdir(`${folder}/tokenizer.json`);
  await assertRejects(() => openTokenizer(folder), 'tokenizer.json": it is not a file');
  await Deno.remove(`${folder}/tokenizer.json`);
  using file = await Deno.open(`${folder}/tokenizer.json`, { create: true, write: true });
  await file.truncate(2 ** 33); // without a byte on the disk
  await assertRejects(() => openTokenizer(folder), "it has 8589934592 bytes, and no tokenizer");
});
