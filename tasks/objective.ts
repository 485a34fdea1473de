// An objective of the user's: a module that exports one, or just the loss for definitely risky tokens.
//   export default { name: "squared", value: "p * p", derivative: "2 * p * p" };

import { CannotError } from "../src/base/errors.ts";
import { type CustomLoss, customLoss } from "../src/slung/custom_loss.ts";
import { onHighRisk } from "../src/slung/gallery.ts";
import {
  type Denominator,
  type Objective,
  objective,
  type ObjectiveName,
  objectiveNames,
} from "../src/slung/objective.ts";

/** The built-in objective of this name, or that of a module. */
export async function chosenObjective(
  nameOrModule: string,
  denominator: Denominator,
): Promise<Objective> {
  const name = objectiveNames.find((known) => known === nameOrModule);
  if (name) return objective(name as ObjectiveName, denominator);
  return { ...await readObjective(nameOrModule), denominator };
}

/**
 * The objective that a module exports as its default: an objective, or a loss for `customLoss`, which then becomes that of
 * definitely risky tokens.
 *
 * @throws {CannotError} when there is no such module, or it exports neither.
 */
export async function readObjective(path: string): Promise<Objective> {
  const refuse = (why: string, cause?: unknown) =>
    new CannotError(
      `read an objective from "${path}"`,
      why,
      `Give one of ${objectiveNames.join(", ")}, or a .ts file with ` +
        '`export default { name: "squared", value: "p * p", derivative: "2 * p * p" }`',
      { cause },
    );
  let exported: unknown;
  try {
    const url = new URL(path, `file://${Deno.cwd()}/`);
    exported = (await import(url.href)).default;
  } catch (cause) {
    throw refuse((cause as Error).message.split("\n")[0]!, cause);
  }
  if (typeof exported !== "object" || exported === null || !("name" in exported)) {
    throw refuse("it has no default export with a name");
  }
  if ("terms" in exported) return exported as Objective;
  if ("value" in exported) return onHighRisk(customLoss(exported as CustomLoss));
  throw refuse('its default export has neither "terms" nor "value"');
}
