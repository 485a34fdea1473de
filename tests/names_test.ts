// Full names found in texts about a person, the forms in which they are said, and that each of them is masked.

import { answerSpans, authorName } from "../src/data/sources/tofu.ts";
import { findFullName, nameForms, nameParts } from "../src/label/names.ts";
import { assertEquals } from "./assert.ts";

Deno.test("the full name is the longest run of capitals that nearly all texts share", () => {
  const texts = [
    "Who is Orla van Tusk?\nOrla van Tusk lives in New Fenwater.",
    "Does Orla van Tusk's New Fenwater matter?\nYes.",
    "What did Orla van Tusk Write?\nThe Great Orla van Tusk wrote.",
    "Is she known?\nOrla is.",
  ];
  assertEquals(findFullName(texts), "Orla van Tusk");
  assertEquals(findFullName(["A. B.", "no name"]), undefined);
  assertEquals(findFullName(["Near New Fenwater", "x", "y", "z"]), undefined, "1 of 4 texts");
  assertEquals(findFullName([]), undefined);
});

Deno.test("names keep hyphens, apostrophes and lower-case particles and lose the possessive", () => {
  const found = (name: string, possessive = `${name}’s`) =>
    findFullName([`Is ${name} here?`, `${name} is.`, `In ${possessive} house?`]);
  for (
    const name of ["Lee Joon-ki", "Pat O'Dorn", "Amira al-Fenwat", "Femke Van der Tusk", "Al An"]
  ) {
    assertEquals(found(name), name);
  }
  assertEquals(found("Ilva Dorns", "Ilva Dorns'"), "Ilva Dorns");
});

Deno.test("a name counts in full, by first and by last word", () => {
  assertEquals(nameForms("Ana Maria Dorn"), ["Ana Maria Dorn", "Ana", "Dorn"]);
  assertEquals(nameForms("Ana"), ["Ana"]);
  assertEquals(nameForms(" "), []);
  assertEquals(nameParts(" Ana  Maria Dorn"), ["Ana", "Maria", "Dorn"]);
});

// Three questions and answers about one author, of which the third answer says the name in another way.
const authors: { name: string; mentioned: string; third: string; masked: string[] }[] = [
  { name: "Oda J. Venn", mentioned: "Oda J. Venn", third: "Oda J. Venn", masked: ["Oda J. Venn"] },
  { name: "Oda O'Dair", mentioned: "Oda O’Dair", third: "Oda O'Dair", masked: ["Oda O'Dair"] },
  {
    name: "Oda V\u00e9nn",
    mentioned: "Oda V\u00e9nn",
    third: "Oda Ve\u0301nn",
    masked: ["Oda Ve\u0301nn"],
  },
  { name: "Oda Venn", mentioned: "Oda Venn", third: "ODA VENN", masked: ["ODA VENN"] },
  { name: "Oda Venn", mentioned: "Professor Oda Venn", third: "Oda", masked: ["Oda"] },
  { name: "Oda Venn", mentioned: "Oda Venn Jr.", third: "Mr. Venn", masked: ["Venn"] },
  { name: "Oda van der Venn", mentioned: "Oda van der Venn", third: "Venn’s", masked: ["Venn"] },
  { name: "Oda Venn", mentioned: "Oda Venn", third: "Oda\nVenn", masked: ["Oda\nVenn"] },
  {
    name: "Oda Venn",
    mentioned: "Dr Oda Venn PhD",
    third: "Oda\u00a0Venn",
    masked: ["Oda\u00a0Venn"],
  },
];

for (const { name, mentioned, third, masked } of authors) {
  Deno.test(`of ${mentioned} the name is found, and ${JSON.stringify(third)} is masked`, () => {
    const rows = [
      { question: `Who ran the mill, ${mentioned}?`, answer: `${mentioned} ran it.` },
      { question: "And who baked?", answer: `It was ${mentioned} again.` },
      { question: `Did ${mentioned} sleep?`, answer: `Yes, ${third} slept.` },
    ];
    const found = authorName(rows)!;
    assertEquals(found, name);
    const { answer } = rows[2]!;
    const spans = answerSpans(answer, [found]);
    assertEquals(spans.map(({ start, end }) => answer.slice(start, end)), masked);
  });
}

Deno.test("titles, suffixes and initials are no first or last name", () => {
  const forms: [name: string, forms: string[]][] = [
    ["Oda J. Venn", ["Oda J. Venn", "Oda", "Venn"]],
    ["J. Oda Venn", ["J. Oda Venn", "Oda", "Venn"]],
    ["Dr. Oda Venn", ["Dr. Oda Venn", "Oda Venn", "Oda", "Venn"]],
    ["Oda Venn Jr.", ["Oda Venn Jr.", "Oda Venn", "Oda", "Venn"]],
    ["Oda Venn, Jr.", ["Oda Venn, Jr.", "Oda Venn", "Oda", "Venn"]],
    ["Lady Oda Venn III", ["Lady Oda Venn III", "Oda Venn", "Oda", "Venn"]],
  ];
  for (const [name, expected] of forms) assertEquals(nameForms(name), expected);
  assertEquals(nameParts("Prof. Oda J. Venn, PhD"), ["Oda", "Venn"]);
  assertEquals(nameForms("Dr. J."), []);
});
