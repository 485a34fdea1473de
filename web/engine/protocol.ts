// What the page asks of the worker, and what the worker tells it unasked.

import type { RiskyText } from "../../src/data/spans.ts";
import type { Example } from "./example.ts";
import type { Look, StepLosses } from "./lab.ts";
import type { ShownToken } from "./sequences.ts";

/** The adapter that trains. */
export interface OpenedAdapter {
  name: string;
  /** It computes on the CPU. */
  software: boolean;
}

/** Four fresh copies of the base. */
export interface Prepared {
  adapter: OpenedAdapter;
  /** Of the sentences. */
  tokens: readonly ShownToken[][];
  look: Look;
}

/** By name: what a call takes and gives. */
export interface Calls {
  tokens(texts: RiskyText[]): ShownToken[][];
  /** The slope of a loss of one line, which is checked here: at so many points that it would hold up the page. */
  slope(loss: string): string;
  /** Begins anew; where it fails, the models that there are stay. */
  prepare(example: Example): Prepared;
  /** Trains until so many steps are done, or somebody calls `stop`; what it measures is news. */
  train(until: number): void;
  stop(): void;
  ask(questions: string[]): string[][];
  flow(sentence: number): number[][][];
}

/** To the worker. */
export type Request = {
  [Name in keyof Calls]: {
    id: number;
    name: Name;
    args: Parameters<Calls[Name]>;
  };
}[keyof Calls];

/** From the worker: the answer to a call, or news. */
export type Message =
  | { id: number; result: unknown }
  | { id: number; error: string }
  | { news: News };

/** What happens while it trains. */
export type News = { kind: "losses"; losses: StepLosses } | {
  kind: "look";
  look: Look;
};
