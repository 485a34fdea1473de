// Any byte pair tokenizer.json, byte-level (OLMo, GPT-2, GPT-NeoX, Llama 3, Qwen) or of the SentencePiece kind (Llama 2,
// Mistral), with the ids of Hugging Face's own tokenizers and the exact offsets of every token. The parts of the file
// lie in the folder huggingface/; whatever in them is not known is refused by name when the file is opened.
// A text is cut at added tokens, normalised, cut at those that are looked for afterwards, cut into words, merged.

import { show } from "../base/show.ts";
import { exists, writeFileAtomic } from "../base/files.ts";
import { type Fields, fieldsOf, readObject } from "./fields.ts";
import { type AddedToken, cutterAt, readAddedTokens } from "./huggingface/added_tokens.ts";
import { readDecoder } from "./huggingface/decoder.ts";
import { type Aligned, readNormalizer } from "./huggingface/normalizer.ts";
import { readPostProcessor, type Surroundings } from "./huggingface/post_processor.ts";
import { readPreTokenizer } from "./huggingface/pre_tokenizer.ts";
import { readModel, readVocabulary } from "./huggingface/words.ts";
import type { EncodeOptions, Encoding, Tokenizer } from "./tokenizer.ts";

/** The spelling of the special tokens in the OLMo and GPT-NeoX family. */
export const endOfText = "<|endoftext|>", padding = "<|padding|>";

/** A tokenizer's files as text, in the order in which they are read. */
export type TokenizerFiles = ReadonlyMap<"tokenizer.json" | "tokenizer_config.json", string>;

/**
 * Opens `tokenizer.json`, and `tokenizer_config.json` where there is one.
 * Without a configuration, `<|endoftext|>` is the end of text and `<|padding|>` the padding.
 *
 * @throws {CannotError} naming the file and the field that is damaged, or that is not supported.
 */
export async function openHuggingFace(folder: string): Promise<Tokenizer> {
  const path = `${folder}/tokenizer.json`, configPath = `${folder}/tokenizer_config.json`;
  const { text, json } = await readObject(path);
  const config = await exists(configPath) ? await readObject(configPath) : undefined;
  return huggingFaceTokenizer({
    name: folder.replace(/\/+$/, "").split("/").pop()!,
    json,
    config: config?.json ?? {},
    fields: fieldsOf(path),
    configFields: fieldsOf(configPath),
    files: new Map([
      ["tokenizer.json", text] as const,
      ...(config ? [["tokenizer_config.json", config.text] as const] : []),
    ]),
  });
}

/** What a tokenizer is made of. */
export interface HuggingFaceSource {
  name: string;
  /** The content of tokenizer.json. */
  json: Record<string, unknown>;
  /** The content of tokenizer_config.json. */
  config: Record<string, unknown>;
  fields: Fields;
  configFields: Fields;
  /** What `save` writes. */
  files: TokenizerFiles;
}

/** The tokenizer that a tokenizer.json describes. @throws {CannotError} as {@linkcode openHuggingFace}. */
export function huggingFaceTokenizer(source: HuggingFaceSource): Tokenizer {
  const { name, json, fields, files } = source;
  const model = fields.object(json.model, "model");
  const vocabulary = readVocabulary(model, fields);
  const added = readAddedTokens(json.added_tokens, vocabulary, fields);
  const idOf = new Map(vocabulary);
  for (const { content, id } of added) idOf.set(content, id);
  const tokens = spellingsOf(idOf);
  const normalize = readNormalizer(json.normalizer, fields);
  for (const { content, id, normalized } of added) {
    if (normalized) tokens[id] = normalize(content).text; // as it stands in the text that it was found in
  }

  const preTokenizer = readPreTokenizer(json.pre_tokenizer, fields);
  const around = readPostProcessor(json.post_processor, tokens.length, fields);
  const encode = encoder({
    added,
    normalize,
    split: preTokenizer.split,
    encodeWord: readModel(model, vocabulary, preTokenizer.byteLevel, fields),
  });
  const addedIds = new Set(added.map(({ id }) => id));
  return {
    name,
    vocabularySize: tokens.length,
    special: specialIds(source, idOf, around),
    specialTexts: added.filter(({ special }) => special).map(({ content }) => content),
    encode: (text, { special = "tokens" } = {}) => encode(text.toWellFormed(), special),
    decode: readDecoder(json.decoder, tokens, addedIds, preTokenizer.byteLevel, fields),
    async save(folder) {
      await Deno.mkdir(folder, { recursive: true });
      for (const [file, text] of files) await writeFileAtomic(`${folder}/${file}`, text);
    },
  };
}

/** Token id -> spelling; nothing where the ids have a gap. */
function spellingsOf(idOf: ReadonlyMap<string, number>): (string | undefined)[] {
  let size = 0;
  for (const id of idOf.values()) size = Math.max(size, id + 1);
  const spellings = new Array<string | undefined>(size).fill(undefined);
  for (const [spelling, id] of idOf) spellings[id] = spelling;
  return spellings;
}

interface Parts {
  added: readonly AddedToken[];
  normalize: (text: string) => Aligned;
  split: ReturnType<typeof readPreTokenizer>["split"];
  encodeWord: ReturnType<typeof readModel>;
}

type Encode = (text: string, special: NonNullable<EncodeOptions["special"]>) => Encoding;

function encoder({ added, normalize, split, encodeWord }: Parts): Encode {
  const cutters = (tokens: readonly AddedToken[]) => ({
    verbatim: cutterAt(tokens.filter(({ normalized }) => !normalized)),
    normalized: cutterAt(
      tokens.filter(({ normalized }) => normalized),
      (content) => normalize(content).text,
    ),
  });
  const withSpecial = cutters(added);
  const withoutSpecial = cutters(added.filter(({ special }) => !special));

  return (text, special) => {
    const ids: number[] = [], starts: number[] = [], ends: number[] = [];
    const put = (id: number, start: number, end: number): void => {
      ids.push(id);
      starts.push(start);
      ends.push(end);
    };
    const cut = special === "tokens" ? withSpecial : withoutSpecial;
    for (const section of cut.verbatim(text)) {
      if (section.id !== undefined) {
        put(section.id, section.start, section.end);
        continue;
      }
      const aligned = normalize(text.slice(section.start, section.end));
      const locate = locator(aligned, section.start);
      for (const stretch of cut.normalized(aligned.text)) {
        if (stretch.id !== undefined) {
          locate(stretch.id, stretch.start, stretch.end, put);
          continue;
        }
        const first = section.start === 0 && stretch.start === 0;
        for (const piece of split(aligned.text.slice(stretch.start, stretch.end), first)) {
          const word = encodeWord(piece.text);
          const base = stretch.start + piece.at;
          for (let i = 0; i < word.ids.length; i++) {
            const start = base + Math.max(0, word.starts[i]! - piece.added);
            const end = base + Math.max(0, word.ends[i]! - piece.added);
            locate(word.ids[i]!, start, end, put);
          }
        }
      }
    }
    return {
      ids: Uint32Array.from(ids),
      starts: Uint32Array.from(starts),
      ends: Uint32Array.from(ends),
    };
  };
}

type Put = (id: number, start: number, end: number) => void;

/** Leads a token of a normalised section back to the text that it comes from. */
function locator(
  { origin }: Aligned,
  offset: number,
): (id: number, start: number, end: number, put: Put) => void {
  if (!origin) return (id, start, end, put) => put(id, offset + start, offset + end);
  const { starts, ends } = origin;
  return (id, start, end, put) => {
    const from = offset + (starts[start] ?? ends.at(-1) ?? 0);
    put(id, from, end > start ? offset + ends[end - 1]! : from);
  };
}

/**
 * The ids of the special tokens. BOS is what the post-processor puts before a text, unless the configuration says with
 * `add_bos_token` that there is one or none.
 */
function specialIds(
  { config, configFields }: HuggingFaceSource,
  idOf: ReadonlyMap<string, number>,
  { before, behind }: Surroundings,
): Tokenizer["special"] {
  const named = (role: string): number | undefined => {
    const value = config[role] ?? undefined;
    if (value === undefined) return undefined;
    const spelling = typeof value === "string"
      ? value
      : configFields.string(configFields.object(value, role).content, `${role}.content`);
    const id = idOf.get(spelling);
    if (id !== undefined) return id;
    throw configFields.refuse(
      role,
      `is ${show(spelling)}, which the tokenizer does not have`,
      "Name one of its tokens, or null",
    );
  };
  const adds = config.add_bos_token ?? undefined;
  let bos = before;
  if (adds !== undefined) {
    const wanted = configFields.flag(adds, "add_bos_token");
    bos = wanted ? before ?? named("bos_token") : undefined;
    if (wanted && bos === undefined) {
      throw configFields.refuse("add_bos_token", "is true, but there is no bos_token");
    }
  }
  const eos = named("eos_token") ?? behind ?? idOf.get(endOfText);
  const pad = named("pad_token") ?? idOf.get(padding);
  return {
    ...(bos !== undefined && { bos }),
    ...(eos !== undefined && { eos }),
    ...(pad !== undefined && { pad }),
  };
}
