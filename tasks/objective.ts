// An objective of the user's: a module that exports one, or just the loss for definitely risky tokens.
//   export default { name: "squared", value: "p * p", derivative: "2 * p * p" };

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CannotError } from "../src/base/errors.ts";
import { type CustomLoss, customLoss } from "../src/slung/custom_loss.ts";
import { onHighRisk } from "../src/slung/gallery.ts";
import {
  type Denominator,
  denominators,
  type LossTerm,
  type Objective,
  objective,
  type ObjectiveName,
  objectiveNames,
  termsToWgsl,
} from "../src/slung/objective.ts";

/** The built-in objective of this name, or that of a module, with another denominator where one is given. */
export async function chosenObjective(
  nameOrModule: string,
  denominator: Denominator | undefined,
): Promise<Objective> {
  const name = objectiveNames.find((known) => known === nameOrModule);
  if (name) return objective(name as ObjectiveName, denominator);
  return { ...await readObjective(nameOrModule), ...(denominator && { denominator }) };
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
    exported = (await import(pathToFileURL(resolve(path)).href)).default;
  } catch (cause) {
    throw refuse((cause as Error).message.split("\n")[0]!, cause);
  }
  if (typeof exported !== "object" || exported === null || !("name" in exported)) {
    throw refuse("it has no default export with a name");
  }
  if ("terms" in exported) return checked(exported as Objective, refuse);
  if ("value" in exported) return onHighRisk(customLoss(exported as CustomLoss));
  throw refuse('its default export has neither "terms" nor "value"');
}

// A term that is missing, null or misspelt would leave its class out of the loss.
function checked(
  { name, terms, denominator = "active" }: Objective,
  refuse: (why: string) => CannotError,
): Objective {
  if (typeof name !== "string") throw refuse("its name is no text");
  if (!denominators.includes(denominator)) {
    throw refuse(`its denominator is not one of ${denominators.join(", ")}`);
  }
  const isTerm = (term: unknown) =>
    term === undefined ||
    typeof (term as LossTerm | null)?.value === "string" &&
      typeof (term as LossTerm).slope === "string";
  if (!Array.isArray(terms) || terms.length !== 4 || !Array.from(terms).every(isTerm)) {
    throw refuse("its terms are not four, each undefined or made by customLoss");
  }
  termsToWgsl(terms); // refuses what the kernel could not be made of
  return { name, terms, denominator };
}
