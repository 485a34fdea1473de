// Any byte-level tokenizer.json (OLMo, GPT-2, GPT-NeoX, Llama 3, Qwen) through transformers.js.
// transformers.js gives ids but no offsets. The tokens of a byte-level tokenizer are the bytes of the
// text itself, so their lengths say where they lie; where normalisation (NFC) has changed the text
// first, positions are carried back grapheme by grapheme, across which NFC never composes.

import { CannotError } from "../base/errors.ts";
import { exists, readText, writeFileAtomic } from "../base/files.ts";
import { endOfText, padding, splitAtSpecial } from "./byte_pair.ts";
import { bytesOfSpelling, locateBytes, textOf, utf8 } from "./token_bytes.ts";
import type { Tokenizer } from "./tokenizer.ts";

interface Component {
  type: string;
  add_prefix_space?: boolean;
  normalizers?: Component[];
  pretokenizers?: Component[];
  decoders?: Component[];
}

interface TokenizerJson {
  normalizer: Component | null;
  pre_tokenizer: Component | null;
  decoder: Component | null;
  added_tokens: { id: number; content: string; special?: boolean; normalized?: boolean }[];
  model: { vocab: Record<string, number> };
}

type TokenizerConfig = Record<string, unknown>;

/**
 * Opens `tokenizer.json`, and `tokenizer_config.json` where there is one, from a local folder.
 * Without a configuration, `<|endoftext|>` is the end of text and `<|padding|>` the padding.
 *
 * @throws {CannotError} when the tokenizer is not byte-level, so that offsets cannot be derived, or
 * when transformers.js is not installed or cannot read it.
 */
export async function loadHuggingFaceTokenizer(folder: string): Promise<Tokenizer> {
  const path = `${folder}/tokenizer.json`, configPath = `${folder}/tokenizer_config.json`;
  const text = await readText(path);
  const configText = await exists(configPath) ? await readText(configPath) : undefined;
  const json = parse(text, path) as unknown as TokenizerJson;
  const config: TokenizerConfig = configText === undefined ? {} : parse(configText, configPath);
  checkByteLevel(json, path);

  const { PreTrainedTokenizer } = await transformers(path);
  let tokenizer: TransformersTokenizer;
  try {
    // AutoTokenizer insists on a tokenizer_config.json, which OLMo's folder lacks, and reads through
    // global settings; all of its classes for byte-level tokenizers encode exactly as this base does.
    tokenizer = new PreTrainedTokenizer(json, config);
  } catch (cause) {
    throw new CannotError(
      `read "${path}"`,
      `transformers.js says: ${(cause as Error).message}`,
      "Check that the file is complete and that its kind of tokenizer is supported",
      { cause },
    );
  }
  const tokens = tokenBytes(json);
  const verbatim = json.added_tokens // cut out of the text before it is normalised
    .filter(({ special, normalized }) => !(normalized ?? !special))
    .map(({ content }) => content);
  const name = folder.replace(/\/+$/, "").split("/").pop()!;

  return {
    name,
    vocabularySize: tokens.length,
    special: specialIds(json, config),
    encode(text) {
      const ids = text === "" ? [] : tokenizer.encode(text, { add_special_tokens: false });
      const pieces = ids.map((id) => tokens[id]);
      const seen = textOf(pieces);
      const { starts, ends } = locateBytes(seen, pieces.map((piece) => piece?.length ?? 3));
      const wellFormed = text.toWellFormed(); // a lone surrogate is encoded as U+FFFD, also one unit
      if (seen !== wellFormed) {
        const original = alignNormalised(wellFormed, seen, verbatim, name);
        for (let i = 0; i < ids.length; i++) {
          ends[i] = ends[i]! > starts[i]! ? original.ends[ends[i]! - 1]! : ends[i]!;
          starts[i] = original.starts[starts[i]!]!;
        }
      }
      return { ids: Uint32Array.from(ids), starts, ends };
    },
    decode: (ids) => textOf(Array.from(ids, (id) => tokens[id])),
    async save(folder) {
      await Deno.mkdir(folder, { recursive: true });
      await writeFileAtomic(`${folder}/tokenizer.json`, text);
      if (configText !== undefined) {
        await writeFileAtomic(`${folder}/tokenizer_config.json`, configText);
      }
    },
  };
}

/**
 * For every UTF-16 unit of a normalised text, the span of the original text it comes from.
 *
 * @param verbatim Special tokens, which are not normalised, nor composed with what follows them.
 * @throws {CannotError} when `seen` is not the NFC form of `text`.
 */
export function alignNormalised(
  text: string,
  seen: string,
  verbatim: readonly string[],
  name: string,
): { starts: Uint32Array; ends: Uint32Array } {
  const starts = new Uint32Array(seen.length);
  const ends = new Uint32Array(seen.length);
  const graphemes = new Intl.Segmenter("en");
  let position = 0, offset = 0; // in `seen` and in `text`
  for (const { part, isSpecial } of splitAtSpecial(text, verbatim)) {
    const segments = isSpecial ? [part] : Array.from(graphemes.segment(part), (s) => s.segment);
    for (const segment of segments) {
      const form = isSpecial ? segment : segment.normalize("NFC");
      if (!seen.startsWith(form, position)) throw unalignable(name, offset);
      const changed = form !== segment;
      for (let unit = 0; unit < form.length; unit++, position++) {
        starts[position] = changed ? offset : offset + unit;
        ends[position] = changed ? offset + segment.length : offset + unit + 1;
        if (changed) continue;
        // Halves of a surrogate pair span the whole character.
        if (isLowSurrogate(form, unit)) starts[position]!--;
        if (isLowSurrogate(form, unit + 1)) ends[position]!++;
      }
      offset += segment.length;
    }
  }
  if (position !== seen.length) throw unalignable(name, offset);
  return { starts, ends };
}

function isLowSurrogate(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xdc00;
}

function unalignable(name: string, offset: number): CannotError {
  return new CannotError(
    `find the tokens of "${name}" in a text`,
    `the tokenizer changed the text at character ${offset} by more than NFC normalisation`,
    "Use a byte-level tokenizer without lower-casing, stripping or added spaces",
  );
}

// The part of transformers.js that is used here. Its own types would put the whole package, 500 MB with its runtimes,
// into the lock file and so into every run.
interface TransformersTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): number[];
}
interface Transformers {
  PreTrainedTokenizer: new (json: object, config: object) => TransformersTokenizer;
}

async function transformers(path: string): Promise<Transformers> {
  // A name Deno cannot see: runs that never come here do not download the package.
  const specifier = "@huggingface/transformers";
  try {
    return await import(specifier);
  } catch (cause) {
    throw new CannotError(
      `open "${path}"`,
      `the package ${specifier} could not be loaded (${(cause as Error).message})`,
      "Run once with network access so that Deno can fetch it",
      { cause },
    );
  }
}

function parse(text: string, path: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CannotError(`read "${path}"`, (cause as Error).message, "Check that it is JSON");
  }
  if (typeof json === "object" && json !== null) return json as Record<string, unknown>;
  throw new CannotError(`read "${path}"`, "it is not an object", "Download the file again");
}

function checkByteLevel(json: TokenizerJson, path: string): void {
  const refuse = (why: string): CannotError =>
    new CannotError(
      `use "${path}"`,
      `${why}, so that the position of its tokens in the text cannot be told exactly`,
      "Use a byte-level tokenizer, such as that of OLMo, GPT-2 or Llama 3",
    );
  if (!json.model?.vocab || !Array.isArray(json.added_tokens)) {
    throw new CannotError(
      `read "${path}"`,
      "it lacks model.vocab or added_tokens",
      "Download the file again",
    );
  }
  if (!flatten(json.decoder).some(({ type }) => type === "ByteLevel")) {
    throw refuse(`its tokens are not bytes (its decoder is ${json.decoder?.type ?? "missing"})`);
  }
  const normalizer = flatten(json.normalizer).find(({ type }) => type !== "NFC");
  if (normalizer) throw refuse(`its normaliser ${normalizer.type} changes the text`);
  if (flatten(json.pre_tokenizer).some((component) => component.add_prefix_space)) {
    throw refuse("it puts a space before the text");
  }
}

function flatten(component: Component | null | undefined): Component[] {
  if (!component) return [];
  if (component.type !== "Sequence") return [component];
  const { normalizers, pretokenizers, decoders } = component;
  return (normalizers ?? pretokenizers ?? decoders ?? []).flatMap(flatten);
}

/** Token id -> its bytes; added tokens are written as they are, the others in the byte alphabet. */
function tokenBytes(json: TokenizerJson): Uint8Array[] {
  const tokens: Uint8Array[] = [];
  for (const [spelling, id] of Object.entries(json.model.vocab)) {
    tokens[id] = bytesOfSpelling(spelling) ?? utf8(spelling);
  }
  for (const { id, content } of json.added_tokens) tokens[id] = utf8(content);
  return tokens;
}

function specialIds(json: TokenizerJson, config: TokenizerConfig): Tokenizer["special"] {
  const added = new Map(json.added_tokens.map(({ content, id }) => [content, id]));
  const idOf = (role: string, conventional?: string): number | undefined => {
    const token = config[role] as string | { content: string } | null | undefined;
    const content = (typeof token === "object" ? token?.content : token) ?? conventional;
    if (content === undefined) return undefined;
    return added.get(content) ?? json.model.vocab[content];
  };
  const bos = idOf("bos_token");
  const eos = idOf("eos_token", endOfText);
  const pad = idOf("pad_token", padding);
  return {
    ...(bos !== undefined && { bos }),
    ...(eos !== undefined && { eos }),
    ...(pad !== undefined && { pad }),
  };
}
