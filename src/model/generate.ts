// Generation with a key-value cache. Sequences of a batch advance together, each at its own position; prompts need no
// padding, because a sequence still inside its prompt takes the prompt's token instead of the chosen one. A sequence that
// ends gives its place to the next prompt. Tokens are chosen on the GPU and read back many steps at once: one read costs
// about 12 ms in Deno.

import { nextToken, noToken } from "../../kernels/next_token.ts";
import { CannotError } from "../base/errors.ts";
import { largest } from "../base/extremes.ts";
import { type Allowed, callback, checkOptions, required, wholeNumber } from "../base/options.ts";
import { Program } from "../gpu/program.ts";
import { allowedDecoding, decodingOf, type DecodingOptions } from "./decoding.ts";
import type { LanguageModel } from "./language_model.ts";

/**
 * How tokens are chosen and when a sequence ends. Draws differ for each prompt, by its index.
 *
 * @example
 * ```ts
 * import type { GenerateOptions } from "@slung/slung";
 *
 * const sampled: GenerateOptions = { maxNewTokens: 50, topK: 40, temperature: 0.8, seed: 1 };
 * ```
 */
export interface GenerateOptions extends DecodingOptions {
  /** Per sequence; prompt and new tokens must fit the context. */
  maxNewTokens: number;
  /** The token, or tokens, that end a sequence; they are not part of the result. */
  eos?: number | readonly number[] | undefined;
  /** Asked now and then with the new tokens of a sequence: whether it may end early. */
  finished?: (tokens: Uint32Array) => boolean;
  /** Sequences that are decoded together. */
  batch?: number;
  /** Called after each read with the number of finished sequences. */
  progress?: (done: number, total: number) => void;
}

const stepsPerRead = 16;

const tokenId: Allowed = wholeNumber({ min: 0, max: 2 ** 32 - 2 });
const tokenIds: Allowed = {
  description: "a token id, or a list of token ids",
  holds: (value) => Array.isArray(value) ? value.every(tokenId.holds) : tokenId.holds(value),
};

/**
 * Continues each prompt and returns its new tokens.
 *
 * @throws {CannotError} for an option that is not allowed, an empty prompt, one that leaves no room for the new tokens
 * or has a token that the model does not know, and for a model whose logits are not finite.
 *
 * @example
 * ```ts
 * import { decodeContinuation, encodePrompt, generate, Gpu, openModel } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { model, tokenizer } = await openModel(gpu, "path/to/model");
 * const prompt = encodePrompt(tokenizer, "The old mill");
 * const [continuation] = await generate(model, [prompt], { maxNewTokens: 8 });
 * const text = decodeContinuation(tokenizer, prompt, continuation!);
 * ```
 */
export async function generate(
  model: LanguageModel,
  prompts: readonly Uint32Array[],
  options: GenerateOptions,
): Promise<Uint32Array[]> {
  checkOptions("generate", options, {
    ...allowedDecoding,
    maxNewTokens: required(wholeNumber({ min: 0 })),
    eos: tokenIds,
    finished: callback,
    batch: wholeNumber({ min: 1 }),
    progress: callback,
  });
  const { maxNewTokens, batch: places = 128 } = options;
  prompts.forEach((prompt, i) => checkPrompt(model, prompt, i, maxNewTokens));
  if (prompts.length === 0 || maxNewTokens === 0) return prompts.map(() => new Uint32Array());
  const batch = Math.min(places, prompts.length);
  const capacity = largest(prompts.map(({ length }) => length)) + maxNewTokens;
  using decoder = new BatchDecoder(model, { ...options, batch, capacity });
  const results: Uint32Array[] = new Array(prompts.length);
  let started = 0;
  let done = 0;
  while (done < prompts.length) {
    const idle = decoder.idle().slice(0, prompts.length - started);
    decoder.start(idle.map((place) => ({ place, prompt: prompts[started]!, id: started++ })));
    for (const { id, tokens } of await decoder.advance()) {
      results[id] = tokens;
      done++;
    }
    options.progress?.(done, prompts.length);
  }
  return results;
}

function checkPrompt(
  { config: { contextLength, vocabularySize } }: LanguageModel,
  prompt: Uint32Array,
  i: number,
  maxNewTokens: number,
): void {
  const unknown = prompt.find((token) => token >= vocabularySize);
  if (prompt.length > 0 && prompt.length + maxNewTokens <= contextLength && unknown === undefined) {
    return;
  }
  throw new CannotError(
    `continue prompt ${i} by ${maxNewTokens} tokens`,
    prompt.length === 0
      ? "it is empty"
      : unknown !== undefined
      ? `it has token ${unknown} and the vocabulary of the model ${vocabularySize}`
      : `it has ${prompt.length} tokens and the context of the model holds ${contextLength}`,
    unknown === undefined
      ? "Give a prompt of at least one token, a shorter prompt, or ask for fewer tokens"
      : "Use the tokenizer that the model was trained with",
  );
}

// A prompt that begins in a place of the batch.
interface Start {
  place: number;
  prompt: Uint32Array;
  id: number;
}

// Runs of places without a gap: what they need is written at once.
function neighbours(starts: readonly Start[]): Start[][] {
  const runs: Start[][] = [];
  for (const start of starts) {
    const run = runs.at(-1);
    if (run && run.at(-1)!.place + 1 === start.place) run.push(start);
    else runs.push([start]);
  }
  return runs;
}

// A prompt in one place of the batch.
interface Running {
  id: number;
  /** Tokens of the prompt. */
  length: number;
  /** Tokens known so far, prompt included. */
  reached: number;
}

// One recorded decoding step, and who is in which place of its batch.
class BatchDecoder {
  readonly #program: Program;
  readonly #options: GenerateOptions & { batch: number; capacity: number };
  readonly #tensors;
  readonly #places: (Running | undefined)[];

  constructor(
    model: LanguageModel,
    options: GenerateOptions & { batch: number; capacity: number },
  ) {
    const { batch, capacity } = options;
    const program = this.#program = new Program(model.gpu, "decode");
    this.#options = options;
    this.#places = new Array(batch).fill(undefined);
    const integers = (name: string, shape: number[]) => program.allocate(name, shape, "u32");
    const tensors = this.#tensors = {
      positions: integers("positions", [batch]),
      current: integers("current", [batch]),
      lengths: integers("lengths", [batch]),
      ids: integers("ids", [batch]),
      tokens: integers("tokens", [batch, capacity]),
    };
    const logits = model.recordStep(program, { batch, capacity, ...tensors });
    nextToken(program, { logits, ...tensors, ...decodingOf(options) });
  }

  /** The places without a sequence. */
  idle(): number[] {
    return [...this.#places.keys()].filter((place) => !this.#places[place]);
  }

  /** Puts prompts into places, given in ascending order. */
  start(starts: readonly Start[]): void {
    const { gpu } = this.#program;
    const { capacity } = this.#options;
    const { positions, current, lengths, ids, tokens } = this.#tensors;
    for (const run of neighbours(starts)) {
      const first = run[0]!.place;
      const rows = new Uint32Array(run.length * capacity);
      run.forEach(({ prompt }, i) => rows.set(prompt, i * capacity));
      gpu.write(tokens, rows, first * capacity);
      gpu.write(positions, new Uint32Array(run.length), first);
      gpu.write(current, Uint32Array.from(run, ({ prompt }) => prompt[0]!), first);
      gpu.write(lengths, Uint32Array.from(run, ({ prompt }) => prompt.length), first);
      gpu.write(ids, Uint32Array.from(run, ({ id }) => id), first);
      for (const { place, prompt, id } of run) {
        this.#places[place] = { id, length: prompt.length, reached: 1 };
      }
    }
  }

  /** Runs some steps; returns the sequences that ended and makes their places idle. */
  async advance(): Promise<{ id: number; tokens: Uint32Array }[]> {
    const { capacity, maxNewTokens } = this.#options;
    const missing = largest(
      this.#places.map((running) => running ? running.length + maxNewTokens - running.reached : 0),
    );
    const steps = Math.min(stepsPerRead, missing);
    this.#program.replay(steps);
    const all = await this.#program.gpu.readIntegers(this.#tensors.tokens);
    const ended: { id: number; tokens: Uint32Array }[] = [];
    this.#places.forEach((running, place) => {
      if (!running) return;
      running.reached = Math.min(running.reached + steps, running.length + maxNewTokens);
      const start = place * capacity;
      const fresh = all.slice(
        start + running.length,
        start + Math.max(running.length, running.reached),
      );
      if (fresh.includes(noToken)) throw notFinite(running.id);
      const tokens = this.#ending(fresh);
      if (!tokens) return;
      ended.push({ id: running.id, tokens });
      this.#places[place] = undefined;
    });
    return ended;
  }

  // The new tokens of a sequence that has ended, `undefined` for one that goes on.
  #ending(fresh: Uint32Array): Uint32Array | undefined {
    const { maxNewTokens, eos = [], finished } = this.#options;
    const ends = [eos].flat();
    const stop = fresh.findIndex((token) => ends.includes(token));
    if (stop >= 0) return fresh.slice(0, stop);
    if (fresh.length === maxNewTokens) return fresh;
    return fresh.length > 0 && finished?.(fresh) ? fresh : undefined;
  }

  [Symbol.dispose](): void {
    this.#program.destroy();
  }
}

function notFinite(prompt: number): CannotError {
  return new CannotError(
    `continue prompt ${prompt}`,
    "the model's logits are not finite",
    "Its training diverged, or its weights overflow f16: use an earlier checkpoint, or f32",
  );
}
