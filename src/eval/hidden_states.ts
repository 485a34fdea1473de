// What a probe reads: the hidden state of each text's last token, after the final norm (reference: `hidden_states[-1]`
// at the last position, with left padding). Texts are packed several to a row as for scoring, so nothing is padded, and
// only the rows of last tokens are read back: [texts, C] instead of [B·T, C].

import { largest } from "../base/extremes.ts";
import { embeddingForward } from "../../kernels/embedding.ts";
import { CannotError } from "../base/errors.ts";
import { checkOptions } from "../base/options.ts";
import { packSequences } from "../data/packing.ts";
import { lowRiskSequence } from "../data/sequence.ts";
import { Program } from "../gpu/program.ts";
import { BatchTensors } from "../model/batch_tensors.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { objective } from "../slung/objective.ts";
import { expectFinite } from "./finite.ts";
import { allowedScoring, type ScoreOptions, scoringRows } from "./score.ts";

/**
 * The hidden states [n, C] of the last tokens of n texts, row-major: the input of the unembedding. The same texts and
 * options give the same bytes.
 *
 * @param texts Token ids, each at most the model's context long; the reference cuts longer ones on the left.
 * @throws {CannotError} for an empty text or one that is longer than the context of the model.
 * @see llm-decouple, src/eval/evaluate.py; paper, section 4.2
 */
export async function hiddenStates(
  model: LanguageModel,
  texts: readonly Uint32Array[],
  options: ScoreOptions = {},
): Promise<Float32Array<ArrayBuffer>> {
  checkOptions("take hidden states", options, allowedScoring);
  const { contextLength, width } = model.config;
  texts.forEach(({ length }, i) => {
    if (length > 0 && length <= contextLength) return;
    throw new CannotError(
      `take the last hidden state of text ${i}`,
      length === 0
        ? "it has no tokens"
        : `it has ${length} tokens and the context of the model holds ${contextLength}`,
      "Leave empty texts out and keep only the last tokens of long ones",
    );
  });
  if (texts.length === 0) return new Float32Array();
  const longest = texts.reduce((most, { length }) => Math.max(most, length), 1);
  const { time = Math.max(longest, Math.min(128, contextLength)) } = options;
  const { rows = scoringRows(time) } = options;
  const { batches, placements } = packSequences(texts.map(withTarget), { rows, time });
  const members: number[][] = batches.map(() => []); // the texts in each batch
  placements.forEach(({ batch }, i) => members[batch]!.push(i));
  const most = largest(members.map(({ length }) => length));

  using program = new Program(model.gpu, "hidden_states");
  const tensors = new BatchTensors(program, rows * time, time);
  const { hidden } = model.recordBatch(program, tensors, { batch: rows, training: false });
  const lastRows = program.allocate("last_rows", [most], "u32");
  const lastStates = program.allocate("last_states", [most, width]);
  embeddingForward(program, { tokens: lastRows, table: hidden.value, y: lastStates }); // a gather of rows
  const states = new Float32Array(texts.length * width);
  for (const [b, batch] of batches.entries()) {
    const own = members[b]!;
    const last = new Uint32Array(most);
    own.forEach((text, k) => last[k] = placements[text]!.start + texts[text]!.length - 1);
    model.gpu.write(lastRows, last);
    tensors.write(batch, objective("direct").terms);
    program.replay();
    const gathered = await model.gpu.read(lastStates);
    const stateOf = (k: number) => gathered.subarray(k * width, (k + 1) * width);
    own.forEach((text, k) => {
      expectFinite(`take the hidden state of text ${text}`, stateOf(k));
      states.set(stateOf(k), text * width);
    });
    options.progress?.(b + 1, batches.length);
  }
  return states;
}

/**
 * The means [n, C] of each text's token embeddings, row-major: what a model's words tell without order or context. A probe
 * on them is the floor of one on hidden states.
 *
 * @throws {CannotError} for an empty text.
 */
export async function meanEmbeddings(
  model: LanguageModel,
  texts: readonly Uint32Array[],
): Promise<Float32Array<ArrayBuffer>> {
  const { width } = model.config;
  const table = await model.gpu.read(model.parameters.get("model.embed_tokens.weight").value);
  const means = new Float32Array(texts.length * width);
  texts.forEach((tokens, text) => {
    if (tokens.length === 0) {
      throw new CannotError(
        `take the embeddings of text ${text}`,
        "it has no tokens",
        "Leave empty texts out",
      );
    }
    const mean = means.subarray(text * width, (text + 1) * width);
    for (const token of tokens) {
      for (let j = 0; j < width; j++) mean[j]! += table[token * width + j]! / tokens.length;
    }
  });
  return means;
}

// A sequence's last token is only a target, so one more is appended; nothing looks at it.
function withTarget(tokens: Uint32Array): ReturnType<typeof lowRiskSequence> {
  const extended = new Uint32Array(tokens.length + 1);
  extended.set(tokens);
  return lowRiskSequence(extended);
}
