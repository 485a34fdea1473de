// Reads what make_golden.py wrote: two tiny decoders with the logits, losses, gradients and ten AdamW steps
// that PyTorch computed for them in float64. The same script in float32 (but for the rotary angles) stays within
// 6e-7 of the logits, 1.3e-6 of every gradient and 2e-6 of the final parameters (relative, Euclidean norm).

import { fileURLToPath } from "node:url";
import { readJson } from "../../src/base/files.ts";
import type { DecoderConfig, HostTensor, Weights } from "../../src/model/config.ts";
import { readSafetensorsHeader } from "../../src/model/formats/safetensors.ts";
import { readTensor } from "../../src/model/formats/tensor_data.ts";

/** The golden objectives; "weighted" is "masked" with the weights of the batch. */
export type GoldenObjective = "cross_entropy" | "masked" | "unlikelihood" | "weighted";

/** What PyTorch found for one objective at the initial parameters. */
export interface GoldenLoss {
  /** The term of a target of each class, e.g. `terms[Risk.high]`. */
  terms: Record<number, "none" | "cross_entropy" | "unlikelihood">;
  /** Whether the terms and the denominator count the weights of the batch. */
  weighted: boolean;
  loss: number;
  /** Number (if weighted, sum of the weights) of the targets that have a term. */
  denominator: number;
}

/** Ten AdamW steps on the same batch. */
export interface GoldenTraining {
  objective: GoldenObjective;
  steps: number;
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  clipNorm: number;
  /** The parameters that decay: all matrices but the token embedding. */
  decayed: string[];
  /** Before each step. */
  losses: number[];
  /** Over all parameters, before clipping. */
  gradientNorms: number[];
}

/** One golden model with its batch of B sequences of T tokens. */
export interface Golden {
  config: DecoderConfig;
  B: number;
  T: number;
  /** [B, T], and the token that follows each: [B, T]. */
  inputs: Uint32Array<ArrayBuffer>;
  targets: Uint32Array<ArrayBuffer>;
  /** [B, T], of the targets. */
  classes: Uint8Array<ArrayBuffer>;
  /** [B, T], of the targets, in [0, 2). */
  weights: Float32Array;
  /** [B, T, V] at the initial parameters. */
  logits: HostTensor;
  objectives: Record<GoldenObjective, GoldenLoss>;
  training: GoldenTraining;
  /**
   * The parameters, or values like them, stored under a prefix: "initial", "final" or "<objective>/grad";
   * empty where none are stored (llama has gradients of cross_entropy and unlikelihood only).
   */
  group(prefix: string): Weights;
}

/** Loads one golden model. */
export async function loadGolden(name: "olmo" | "llama"): Promise<Golden> {
  const path = fileURLToPath(new URL(name, import.meta.url));
  const report = await readJson(`${path}.json`) as Pick<
    Golden,
    "config" | "objectives" | "training"
  >;
  const directory = await readSafetensorsHeader(`${path}.safetensors`);
  const tensors: Weights = new Map();
  for (const [key, entry] of directory.tensors) tensors.set(key, await readTensor(entry));
  const { shape: [B, length], data: tokens } = tensors.get("tokens") as HostTensor;
  const T = length! - 1; // the last token of a sequence is only a target
  return {
    ...report,
    B: B!,
    T,
    inputs: Uint32Array.from(tokens.filter((_, i) => i % (T + 1) < T)),
    targets: Uint32Array.from(tokens.filter((_, i) => i % (T + 1) > 0)),
    classes: Uint8Array.from(tensors.get("classes")!.data),
    weights: tensors.get("weights")!.data,
    logits: tensors.get("logits")!,
    group: (prefix) => {
      const members = [...tensors].filter(([key]) => key.startsWith(`${prefix}/`));
      return new Map(members.map(([key, tensor]) => [key.slice(prefix.length + 1), tensor]));
    },
  };
}
