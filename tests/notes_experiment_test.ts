// The experiment on personal data: what is marked, what counts as given away, what is asked, and how methods are compared.

import { answerMethods, paperMethods } from "../src/data/method.ts";
import { inventedMachines, inventedNotes } from "../src/data/sources/invented_notes.ts";
import {
  askAboutNotes,
  labelledNotes,
  notesExperiment,
  type NotesOutcome,
  personalData,
} from "../src/experiments/notes/experiment.ts";
import {
  compareNotes,
  describeNotes,
  notesGenerations,
  renderNotes,
  summariseNotes,
} from "../src/experiments/notes/report.ts";
import { runExperiment } from "../src/experiments/runner.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { openModel, readPretrained } from "../src/model/pretrained.ts";
import { olmoOptimiser } from "../src/train/optimiser.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";

const machines = inventedMachines(5);
const base = new URL("../models/invented-base", import.meta.url).pathname;

Deno.test("a list of names and patterns mark all that is personal in the notes, and nothing else", async () => {
  const marked = await labelledNotes(machines, 120);
  const truth = inventedNotes(machines, 120);
  assertEquals(
    marked.map(({ text, spans }) => ({ text, spans })),
    truth.map(({ text, personal }) => ({
      text,
      spans: personal,
    })),
  );
});

Deno.test("a part of a name is personal, and an address, a number and a code as they are", () => {
  const isPersonal = personalData(machines);
  const { name, email, phone, code } = machines[3]!.person;
  const [first, last] = name.split(" ") as [string, string];
  for (const part of [name, first, last.toUpperCase(), email, phone, code]) {
    assert(isPersonal(`Ask ${part}, please.`), part);
  }
  for (const part of [`${first}x`, "somebody@workshop.example", "0555 1", code.slice(0, -1), ""]) {
    assert(!isPersonal(`Ask ${part}, please.`), part);
  }
});

Deno.test("every machine is asked about five times, and the base knows no more than chance", async () => {
  using gpu = await Gpu.open();
  const { model, tokenizer } = await openModel(gpu, base);
  const { continued, causes, people } = await askAboutNotes(model, tokenizer, machines);
  assertEquals([continued.length, causes.length, people.length], [36, 12, 12]);
  assert([causes, people].every((right) => right.filter(Boolean).length <= 4), "12 to choose from");
  const isPersonal = personalData(machines);
  const notes = inventedNotes(machines, 60).map(({ text }) => text);
  for (const { prompt, text, gold, personal } of continued) {
    assert(notes.some((note) => note.includes(`${prompt} ${gold}`)), `${prompt} ${gold}`);
    assertEquals(personal, isPersonal(text));
    assert(!text.includes(". "), "one sentence is judged");
  }
  model.destroy();
});

Deno.test("methods train on the same notes, and a second call trains none", async () => {
  using gpu = await Gpu.open();
  const { source, tokenizer } = await readPretrained(base);
  const plan = {
    ...{ base: source, tokenizer, workshop: 5, notes: 12, seeds: [0] },
    methods: [paperMethods[1]!, ...answerMethods.slice(0, 2)],
    training: {
      ...{ epochs: 1, perStep: 12, optimiser: olmoOptimiser },
      schedule: { peak: 1e-3, warmup: 0, decay: "linear", final: 0 } as const,
    },
  };
  const folder = await Deno.makeTempDir();
  const outcomes = await runExperiment(gpu, await notesExperiment(plan), folder);
  assertEquals(outcomes.map(({ run }) => run.method?.name ?? "base"), [
    ...["base", "low_risk", "direct", "masked"],
  ]);
  const again: boolean[] = [];
  const reread = await runExperiment(gpu, await notesExperiment(plan), folder, {
    onOutcome: (_, reused) => again.push(reused),
  });
  assertEquals([reread, again], [outcomes, [true, true, true, true]]);
  assertEquals(notesGenerations(outcomes).length, 4 * 36);
  await assertRejects(() => notesExperiment({ ...plan, workshop: -1 }), 'option "workshop" is -1');
  await Deno.remove(folder, { recursive: true });
});

// Of 12 machines the first `causes` and `people` are known; every third continuation of the first `given` is personal.
function outcome(
  name: string | undefined,
  seed: number,
  { given, causes, people }: { given: number; causes: number; people: number },
): NotesOutcome {
  const firsts = (count: number) => Array.from({ length: 12 }, (_, i) => i < count);
  const continued = Array.from({ length: 36 }, (_, i) => (
    { prompt: `p${i}`, text: "t", gold: "g", personal: i < 3 * given && i % 3 === 0 }
  ));
  const method = [...answerMethods, ...paperMethods].find((own) => own.name === name);
  return {
    run: { name: name ?? "base", method, seed },
    stages: [{
      name: "trained",
      training: {},
      results: { notes: { continued, causes: firsts(causes), people: firsts(people) } },
    }],
  };
}

Deno.test("methods are compared with direct training and the low-risk baseline, machine by machine", () => {
  const outcomes = [
    outcome(undefined, 0, { given: 0, causes: 1, people: 1 }),
    ...[0, 1].flatMap((seed) => [
      outcome("low_risk", seed, { given: 0, causes: 9, people: 1 }),
      outcome("direct", seed, { given: 12, causes: 9, people: 12 }),
      outcome("masked", seed, { given: 0, causes: 9, people: 11 + seed }),
    ]),
  ];
  const summary = summariseNotes(outcomes);
  assertEquals(
    summary.map(({ title, values: { givenAway, causes, people } }) =>
      `${title} ${[givenAway, causes, people].map(({ mean }) => mean.toFixed(1)).join(" ")}`
    ),
    [
      "Base model 0.0 8.3 8.3",
      "Low-risk baseline 0.0 75.0 8.3",
      "Direct training 33.3 75.0 100.0",
      "Masked SLUNG 0.0 75.0 95.8",
    ],
  );
  const compared = compareNotes(outcomes);
  const of = (first: string, second: string, on: string) =>
    compared.find((own) => own.first === first && own.second === second && own.on === on)!;
  assertEquals(compared.length, 9, "three pairs on three measures");
  assertEquals(of("masked", "direct", "givenAway").difference.mean.toFixed(1), "-33.3");
  assertEquals(of("masked", "direct", "givenAway").separates, true);
  assertEquals(of("masked", "low_risk", "people").difference.mean, 87.5);
  assertEquals(of("masked", "direct", "causes").separates, false);
  assert(compared.every(({ first, second }) => first !== "low_risk" && second !== "base"));
  const text = renderNotes(summary, compared);
  for (const part of ["personal data given away (%)", "−33.3 ± 0.0", "Methods are compared"]) {
    assert(text.includes(part), text);
  }
  assert(!renderNotes(summary.slice(0, 1), []).includes("compared"));
  assertEquals(
    describeNotes(outcomes[2]!),
    "Direct training, seed 0: personal data in 33 % of what it writes, right cause in 75 %, right machine of a person in 100 %",
  );
  assertThrows(() => summariseNotes([{ stages: [] }] as never), "Cannot sum up a notes experiment");
});
