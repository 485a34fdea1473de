// The invented workshop: every personal stretch is marked, nothing else is, and the same seed gives the same notes.

import { inventedMachines, inventedNotes } from "../src/data/sources/invented_notes.ts";
import { assert, assertEquals } from "./assert.ts";

Deno.test("every personal detail of a note is marked, and what is worth knowing is not", () => {
  const machines = inventedMachines(3, 12);
  const notes = inventedNotes(machines, 60);
  assertEquals(new Set(notes.map(({ text }) => text)).size, 60, "12 machines in 5 forms");
  for (const { text, personal, machine } of notes) {
    const marked = personal.map(({ start, end }) => text.slice(start, end));
    const rest = personal.toReversed().reduce(
      (left, { start, end }) => left.slice(0, start) + left.slice(end),
      text,
    );
    assert(marked.length > 0, text);
    for (const part of [...Object.values(machine.person), ...machine.person.name.split(" ")]) {
      assert(!rest.includes(part), `${part} is left in "${rest}"`);
    }
    assert(marked.every((part) => Object.values(machine.person).includes(part)), text);
  }
  for (const key of ["name", "email", "phone", "code"] as const) {
    assertEquals(new Set(machines.map(({ person }) => person[key])).size, 12, key);
  }
  for (const key of ["cause", "remedy"] as const) {
    assertEquals(new Set(machines.map((machine) => machine[key])).size, 12, key);
  }
});

Deno.test("the same seed gives the same workshop, and another seed another", () => {
  assertEquals(inventedMachines(3, 4), inventedMachines(3, 4));
  assert(inventedMachines(3, 4)[0]!.person.name !== inventedMachines(4, 4)[0]!.person.name);
});
