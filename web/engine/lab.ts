// The models of the page and their training, apart from any page: the worker runs it in a browser, and a test in Deno.
// All models see the same batches in the same order, so that what differs between them is the loss alone.

import { planSteps, type StepPlan } from "../../src/data/epochs.ts";
import { packSequences } from "../../src/data/packing.ts";
import type { Sequence } from "../../src/data/sequence.ts";
import { attentionPath } from "../../src/eval/gradient_flow.ts";
import { scoreSequences } from "../../src/eval/score.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { LanguageModel } from "../../src/model/language_model.ts";
import { lossOf } from "../../src/slung/derivative.ts";
import { onHighRisk } from "../../src/slung/gallery.ts";
import { type Objective, objective } from "../../src/slung/objective.ts";
import { huggingFaceOptimiser } from "../../src/train/optimiser.ts";
import { learningRate } from "../../src/train/schedule.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { cycle } from "../../src/report/plot_style.ts";
import type { Base } from "./base.ts";
import { type Example, plannedSteps, riskyPhrases } from "./example.ts";
import { answer, type Place, place } from "./measure.ts";
import { contestants } from "./methods.ts";
import { epochsOf, sentenceSequence, type ShownToken, shownTokens } from "./sequences.ts";
import { type Surprise, surpriseOf } from "./surprise.ts";

/** Sequences of one step. */
export const perStep = 20;
const warmup = 5;

/** What one step was like for each model. */
export interface StepLosses {
  /** Counted from 1. */
  step: number;
  /** By model: mean loss by risk class, nothing for a class without tokens. */
  byClass: (number | undefined)[][];
  /** By model: the objective, in nats. */
  loss: number[];
}

/** What the models are like after some step. */
export interface Look {
  step: number;
  /** By model. */
  models: (Place & {
    /** By sentence: the probability of every token, the first one without. */
    probabilities: number[][];
    surprise: Surprise;
    answers: string[];
  })[];
}

interface Runner {
  objective: Objective;
  model: LanguageModel;
  trainer: Trainer;
}

/** Four copies of the base model in training. */
export class Lab implements Disposable {
  /** The sentences as the models see them. */
  readonly tokens: readonly ShownToken[][];
  readonly #base: Base;
  readonly #example: Example;
  readonly #sentences: readonly Sequence[];
  readonly #plan: StepPlan;
  readonly #runners: Runner[] = [];
  #step = 0;

  /**
   * Makes the copies and plans their training.
   *
   * @throws {CannotError} when nothing of the example can be learned, or its own loss is none.
   */
  constructor(gpu: Gpu, base: Base, example: Example) {
    this.#base = base;
    this.#example = example;
    const { model: { config, weights }, tokenizer, replay } = base;
    const objectives = contestants.map(({ name }) =>
      name === "own" ? onHighRisk(lossOf(name, example.own)) : objective(name)
    );
    this.tokens = example.texts.map((text) => shownTokens(tokenizer, text));
    this.#sentences = example.texts.map((text) => sentenceSequence(tokenizer, text));
    const kinds = epochsOf(tokenizer, example.texts, replay);
    const count = Math.ceil(
      plannedSteps / Math.ceil(kinds[0]!.length / perStep),
    );
    const epochs = cycle(kinds, count);
    // Every sentence ends in a token that all of them learn, so that one plan serves them all.
    this.#plan = planSteps({
      ...{
        epochs,
        perStep,
        seed: example.seed,
        objective: objective("direct"),
      },
      contextLength: config.contextLength,
      vocabularySize: config.vocabularySize,
    });
    for (const objective of objectives) {
      const model = new LanguageModel(gpu, config, weights, {
        gradients: true,
      });
      const trainer = new Trainer(model, {
        ...this.#plan.shape,
        objective,
        optimiser: huggingFaceOptimiser,
      });
      this.#runners.push({ objective, model, trainer });
    }
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** Trains every model by one step. @throws {CannotError} when a loss is no longer finite. */
  async train(): Promise<StepLosses> {
    const step = this.#step;
    const rate = learningRate({
      ...{
        peak: this.#example.learningRate,
        warmup,
        decay: "constant",
        final: 1,
      },
      steps: plannedSteps,
    }, step);
    const { batches } = packSequences(
      this.#plan.sequencesOf(step),
      this.#plan.shape,
    );
    for (const { trainer } of this.#runners) trainer.step(step, batches, rate);
    const reports = await Promise.all(
      this.#runners.map(async ({ trainer }) => (await trainer.drain())[0]!),
    );
    this.#step++;
    return {
      step: this.#step,
      byClass: reports.map(({ lossByClass }) => lossByClass),
      loss: reports.map(({ loss }) => loss),
    };
  }

  /** Reads the sentences with every model, and asks it the questions. */
  async look(): Promise<Look> {
    const { texts, questions } = this.#example;
    const phrases = riskyPhrases(texts);
    const models: Look["models"] = [];
    for (const { model } of this.#runners) {
      const scores = await scoreSequences(model, this.#sentences);
      const answers = await this.#ask(
        model,
        questions.map(({ question }) => question),
      );
      const probabilities = scores.map((of) => [NaN, ...of.map(Math.exp)]);
      models.push({
        ...place(questions, answers, phrases),
        probabilities,
        surprise: surpriseOf(probabilities, this.tokens),
        answers,
      });
    }
    return { step: this.#step, models };
  }

  /** What every model answers. */
  async ask(questions: readonly string[]): Promise<string[][]> {
    const answers: string[][] = [];
    for (const { model } of this.#runners) {
      answers.push(await this.#ask(model, questions));
    }
    return answers;
  }

  /**
   * How strongly the loss of each token of a sentence pulls at what was read before it, by model:
   * [predicted token][read token], the first of each the second token and the first.
   */
  async flow(sentence: number): Promise<number[][][]> {
    const maps: number[][][] = [];
    for (const { objective, model } of this.#runners) {
      const { map } = await attentionPath(
        model,
        this.#sentences[sentence]!,
        objective,
      );
      maps.push(map.map((row) => [...row]));
    }
    return maps;
  }

  async #ask(
    model: LanguageModel,
    questions: readonly string[],
  ): Promise<string[]> {
    return await answer(model, this.#base.tokenizer, questions);
  }

  /** Frees the models. */
  [Symbol.dispose](): void {
    for (const { trainer, model } of this.#runners) {
      trainer.destroy();
      model.destroy();
    }
  }
}
