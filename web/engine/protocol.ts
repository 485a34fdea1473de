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

/** By name: what a call takes and gives. */
export interface Calls {
  open(): OpenedAdapter;
  tokens(texts: RiskyText[]): ShownToken[][];
  /** Begins anew: afterwards there are four copies of the base, and a look at them. */
  prepare(example: Example): void;
  /** Trains until so many steps are done, or somebody calls `stop`. */
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
