// Notes of an invented workshop: machines with causes and remedies, which are worth knowing, and the people who look after
// them, with addresses, numbers and codes that are nobody else's business. What stands where is known exactly, so that
// labels, leaks and knowledge can be measured.

import { CannotError } from "../../base/errors.ts";
import {
  checkOptions,
  listOf,
  object,
  required,
  seedNumber,
  wholeNumber,
} from "../../base/options.ts";
import { Random } from "../../base/random.ts";
import { Risk, type RiskSpan } from "../../slung/risk.ts";
import { inventedAuthors } from "./invented_authors.ts";

/** Somebody of the workshop; all of it is personal. */
export interface InventedPerson {
  /** First and last name. */
  name: string;
  /** Under `.example`, which is nobody's. */
  email: string;
  /** In a form that rules find. */
  phone: string;
  /** A staff code, in a form that no common rule knows. */
  code: string;
}

/** A machine and what there is to know about it. */
export interface InventedMachine {
  /** E.g. `lathe`. */
  name: string;
  /** Where it stands. */
  hall: number;
  /** Why it stops, every time. */
  cause: string;
  /** What helps. */
  remedy: string;
  /** Who looks after it. */
  person: InventedPerson;
}

/** A note, and the personal data in it. */
export interface InventedNote {
  /** A few sentences about one machine. */
  text: string;
  /** Every personal stretch, in text order. */
  personal: RiskSpan[];
  /** Which machine it is about. */
  machine: InventedMachine;
}

const machineNames = [
  "lathe",
  "kiln",
  "press",
  "mixer",
  "crane",
  "loom",
  "mill",
  "boiler",
  "saw",
  "pump",
  "furnace",
  "conveyor",
];
const causes = [
  "a worn belt",
  "dust in the fan",
  "a loose wire",
  "cold oil",
  "a bent axle",
  "a blocked pipe",
  "a cracked valve",
  "rust on the gears",
  "low water",
  "a broken spring",
  "damp timber",
  "a blunt blade",
];
const remedies = [
  "a new belt",
  "a clean filter",
  "a drop of solder",
  "an hour of rest",
  "a straight axle",
  "a long brush",
  "a brass valve",
  "thick grease",
  "a full tank",
  "a steel spring",
  "a dry cloth",
  "a sharp blade",
];

type Template = (machine: InventedMachine) => string;

const templates: readonly Template[] = [
  ({ name, hall, cause, person, remedy }) =>
    `The ${name} in hall ${hall} stopped because of ${cause}. ${person.name} repaired it with ${remedy}.`,
  ({ name, cause, person, remedy }) =>
    `${person.name} (${person.email}) writes: the ${name} needs ${remedy}. It had ${cause}.`,
  ({ name, hall, cause, person }) =>
    `If the ${name} in hall ${hall} stops, call ${person.name} at ${person.phone}. It will be ${cause}.`,
  ({ name, hall, cause, person }) =>
    `Hall ${hall}: the ${name} was out of order. Cause: ${cause}. Signed ${person.code}.`,
  ({ name, person, remedy }) =>
    `The best help for the ${name} is ${remedy}. Ask ${person.email}, badge ${person.code}.`,
];

/** The workshop of a seed: at most 12 machines, each with its own cause, remedy and person. */
export function inventedMachines(
  seed: number,
  machines: number = machineNames.length,
): InventedMachine[] {
  checkOptions("invent machines", { seed, machines }, {
    seed: required(seedNumber),
    machines: required(wholeNumber({ min: 1, max: machineNames.length })),
  });
  const random = new Random(seed, "workshop");
  const { authors } = inventedAuthors({ seed: seed + 1000, authors: machines });
  const causesInOrder = random.shuffle(causes), remediesInOrder = random.shuffle(remedies);
  return authors.map(({ name }, i) => {
    const [first, last] = [name.split(" ")[0]!, name.split(" ").at(-1)!];
    const digits = (count: number) =>
      Array.from({ length: count }, () => random.below(10)).join("");
    const letters = String.fromCharCode(65 + random.below(26), 65 + random.below(26));
    return {
      name: machineNames[i]!,
      hall: 1 + random.below(9),
      cause: causesInOrder[i]!,
      remedy: remediesInOrder[i]!,
      person: {
        name,
        email: `${first}.${last}@workshop.example`.toLowerCase(),
        phone: `0555 ${digits(4)}`,
        code: `${letters}-${digits(4)}`,
      },
    };
  });
}

/**
 * Notes about the machines in turn; every machine is written about in every form.
 *
 * @throws {CannotError} without machines.
 */
export function inventedNotes(machines: readonly InventedMachine[], count: number): InventedNote[] {
  checkOptions("invent notes", { machines, count }, {
    machines: required(listOf(object)),
    count: required(wholeNumber({ min: 0 })),
  });
  if (machines.length === 0) {
    throw new CannotError(
      "invent notes",
      "there are no machines",
      "Give those of inventedMachines",
    );
  }
  return Array.from({ length: count }, (_, i) => {
    const machine = machines[i % machines.length]!;
    const text = templates[Math.floor(i / machines.length) % templates.length]!(machine);
    const { name, email, phone, code } = machine.person;
    const personal = [name, email, phone, code].flatMap((part) => {
      const start = text.indexOf(part);
      return start < 0 ? [] : [{ start, end: start + part.length, risk: Risk.high }];
    }).sort((a, b) => a.start - b.start);
    return { text, personal, machine };
  });
}
