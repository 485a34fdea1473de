// What becomes of each risk class while a model is trained, whatever the objective does with it: the mean −log p of its
// tokens on a few fixed texts, every so many steps. What masked training does to the names is seen here and not in the
// training loss, of which they are no part.

import { packSequences } from "../data/packing.ts";
import { checkSequences, type Sequence } from "../data/sequence.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { LossPass } from "../model/loss_pass.ts";
import { objective, riskNames } from "../slung/objective.ts";
import { Risk } from "../slung/risk.ts";

/** Mean −log p in nats per token, of all tokens and by the name of the risk class; classes without a token are left out. */
export type ClassLosses = Readonly<Record<string, number>>;

/** Measures the same texts again and again. */
export interface LossWatch extends Disposable {
  /** Tokens measured, all and by the name of their class. */
  readonly tokens: Readonly<Record<string, number>>;
  /** Measures the model as it is now. */
  measure(): Promise<ClassLosses>;
}

/**
 * Prepares to measure the loss of each risk class on some sequences; the model is not changed by it.
 *
 * @throws {CannotError} for a malformed sequence or an id that the model does not have.
 */
export function watchLosses(model: LanguageModel, sequences: readonly Sequence[]): LossWatch {
  checkSequences(sequences, "watch", model.config.vocabularySize);
  const time = sequences.reduce((most, { tokens }) => Math.max(most, tokens.length - 1), 1);
  const rows = Math.max(1, Math.min(8, sequences.length, Math.floor(4096 / time)));
  const { batches } = packSequences(sequences, { rows, time });
  const { terms } = objective("direct");
  const pass = new LossPass(model, { name: "watch", rows, time, terms });
  const counts = riskNames.map(() => 0);
  for (const { classes, predicted } of batches) {
    predicted.forEach((isTarget, i) => {
      if (isTarget) counts[classes[i]!]!++;
    });
  }
  const byName = (values: readonly number[]) =>
    Object.fromEntries(
      riskNames.flatMap((name, risk) => counts[risk] === 0 ? [] : [[name, values[risk]!]]),
    );
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
  const all = sum(counts);
  return {
    tokens: { all, ...byName(counts) },
    async measure() {
      const { gpu } = model;
      gpu.write(pass.classSums, new Float32Array(riskNames.length));
      for (const batch of batches) {
        pass.run({ ...batch, weights: Float32Array.from(batch.predicted) });
      }
      const sums = await gpu.read(pass.classSums);
      return all === 0 ? {} : {
        all: sum(sums) / all,
        ...byName(counts.map((count, risk) => sums[risk]! / count)),
      };
    },
    [Symbol.dispose]: () => pass[Symbol.dispose](),
  };
}

/**
 * At most `most` sequences, evenly spread over all of them; those that hold a risky token, if there are any.
 */
export function watchedSample(sequences: readonly Sequence[], most: number): Sequence[] {
  const risky = sequences.filter(({ classes }) =>
    classes.some((risk, i) => i > 0 && risk >= Risk.possible)
  );
  return spread(risky.length > 0 ? risky : sequences, most);
}

/** At most `most` items, evenly spread. */
export function spread<Item>(items: readonly Item[], most: number): Item[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.floor(i * items.length / most)]!);
}
