// What can be taken home: the sentences as `deno task train` reads them, and the run as JSON.

import { labelRecord } from "../../src/data/label_record.ts";
import type { RiskyText } from "../../src/data/spans.ts";
import type { Example } from "./example.ts";
import type { Look, StepLosses } from "./lab.ts";
import { contestants } from "./methods.ts";

/** Lines of JSON. */
export function jsonLinesOf(texts: readonly RiskyText[]): string {
  return texts.map((text) => `${JSON.stringify(labelRecord(text))}\n`).join("");
}

/** Everything that was decided and measured. */
export function runRecord(
  example: Example,
  adapter: string,
  losses: readonly StepLosses[],
  looks: readonly Look[],
): string {
  const methods = contestants.map(({ name }) => name);
  return JSON.stringify({ example, adapter, methods, losses, looks }, null, 1) +
    "\n";
}
