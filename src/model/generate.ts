// Generation with a key-value cache. All sequences of a batch advance together, one position a step; prompts of
// different length need no padding, because a sequence still inside its prompt takes the prompt's token instead of the
// chosen one. Tokens are chosen on the GPU and read back many steps at once: one read costs about 12 ms in Deno.

import { nextToken } from "../../kernels/next_token.ts";
import { CannotError } from "../base/errors.ts";
import { Program } from "../gpu/program.ts";
import type { LanguageModel } from "./language_model.ts";

/** How tokens are chosen and when a sequence ends. */
export interface GenerateOptions {
  /** Per sequence; prompt and new tokens must fit the context. */
  maxNewTokens: number;
  /** 1 (default) is greedy; otherwise one of the k likeliest tokens is drawn. */
  topK?: number;
  /** Divides the logits before drawing; 1 unless given. */
  temperature?: number;
  /** Decides the draws, for each prompt by its index; 0 unless given. */
  seed?: number;
  /** Ends a sequence; it is not part of the result. */
  eos?: number;
  /** Asked now and then with the new tokens of a sequence: whether it may end early. */
  finished?: (tokens: Uint32Array) => boolean;
  /** Sequences that are decoded together. */
  batch?: number;
  /** Called after each read with the number of finished sequences. */
  progress?: (done: number, total: number) => void;
}

const stepsPerRead = 16;

/**
 * Continues each prompt and returns its new tokens.
 *
 * @throws {CannotError} for an empty prompt, or one that leaves no room for the new tokens.
 */
export async function generate(
  model: LanguageModel,
  prompts: readonly Uint32Array[],
  options: GenerateOptions,
): Promise<Uint32Array[]> {
  const { maxNewTokens, batch: largest = 64 } = options;
  const { contextLength } = model.config;
  prompts.forEach((prompt, i) => {
    if (prompt.length > 0 && prompt.length + maxNewTokens <= contextLength) return;
    throw new CannotError(
      `continue prompt ${i} by ${maxNewTokens} tokens`,
      prompt.length === 0
        ? "it is empty"
        : `it has ${prompt.length} tokens and the context of the model holds ${contextLength}`,
      "Give a prompt of at least one token, a shorter prompt, or ask for fewer tokens",
    );
  });
  if (prompts.length === 0 || maxNewTokens === 0) return prompts.map(() => new Uint32Array());
  const batch = Math.min(largest, prompts.length);
  const capacity = Math.max(...prompts.map(({ length }) => length)) + maxNewTokens;
  using decoder = new BatchDecoder(model, { ...options, batch, capacity });
  const results: Uint32Array[] = [];
  for (let first = 0; first < prompts.length; first += batch) {
    const chunk = prompts.slice(first, first + batch);
    results.push(
      ...await decoder.run(chunk, first, (done) => {
        options.progress?.(first + done, prompts.length);
      }),
    );
  }
  return results;
}

// One recorded decoding step, replayed for every position of every batch of prompts.
class BatchDecoder {
  readonly #program: Program;
  readonly #options: GenerateOptions & { batch: number; capacity: number };
  readonly #tensors;

  constructor(
    model: LanguageModel,
    options: GenerateOptions & { batch: number; capacity: number },
  ) {
    const { batch, capacity, topK = 1, temperature = 1, seed = 0 } = options;
    const program = this.#program = new Program(model.gpu, "decode");
    this.#options = options;
    const integers = (name: string, shape: number[]) => program.allocate(name, shape, "u32");
    const tensors = this.#tensors = {
      position: integers("position", [1]),
      positions: integers("positions", [batch]),
      current: integers("current", [batch]),
      lengths: integers("lengths", [batch]),
      ids: integers("ids", [batch]),
      tokens: integers("tokens", [batch, capacity]),
    };
    const logits = model.recordStep(program, { batch, capacity, ...tensors });
    nextToken(program, { logits, ...tensors, topK, temperature, seed });
  }

  async run(
    prompts: readonly Uint32Array[],
    firstId: number,
    progress: (done: number) => void,
  ): Promise<Uint32Array[]> {
    const { gpu } = this.#program;
    const { batch, capacity, maxNewTokens, eos, finished } = this.#options;
    const { position, positions, current, lengths, ids, tokens } = this.#tensors;
    // A last batch with fewer prompts repeats its first one.
    const padded = Array.from({ length: batch }, (_, i) => prompts[i] ?? prompts[0]!);
    const table = new Uint32Array(batch * capacity);
    padded.forEach((prompt, i) => table.set(prompt, i * capacity));
    gpu.write(tokens, table);
    gpu.write(position, new Uint32Array(1));
    gpu.write(positions, new Uint32Array(batch));
    gpu.write(current, Uint32Array.from(padded, (prompt) => prompt[0]!));
    gpu.write(lengths, Uint32Array.from(padded, ({ length }) => length));
    gpu.write(ids, Uint32Array.from(padded, (_, i) => firstId + i));

    const needed = Math.max(...prompts.map(({ length }) => length)) + maxNewTokens;
    const results: (Uint32Array | undefined)[] = prompts.map(() => undefined);
    for (let reached = 1; reached < needed;) {
      const steps = Math.min(stepsPerRead, needed - reached);
      this.#program.replay(steps);
      reached += steps;
      const all = await gpu.readIntegers(tokens);
      prompts.forEach(({ length }, i) => {
        if (results[i]) return;
        const end = Math.min(reached, length + maxNewTokens);
        const fresh = all.slice(i * capacity + length, i * capacity + Math.max(length, end));
        const stop = eos === undefined ? -1 : fresh.indexOf(eos);
        if (stop >= 0) results[i] = fresh.slice(0, stop);
        else if (fresh.length === maxNewTokens) results[i] = fresh;
        else if (fresh.length > 0 && finished?.(fresh)) results[i] = fresh;
      });
      const done = results.filter((result) => result).length;
      progress(done);
      if (done === prompts.length) break;
    }
    return results as Uint32Array[];
  }

  [Symbol.dispose](): void {
    this.#program.destroy();
  }
}
