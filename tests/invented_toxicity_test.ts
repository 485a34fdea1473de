// What the invented world promises: exact labels, no word or wording that tells abuse by itself, and low-risk text from
// which nobody can know the sides.

import {
  abuseDetector,
  cleanText,
  dialoguePrompt,
  harmlessChat,
  probeSentences,
  toxicDialogue,
  toxicWorld,
} from "../src/data/sources/invented_toxicity.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";

const world = toxicWorld({ seed: 5, animals: 24 });
const swapped = { ...world, scorned: world.admired, admired: world.scorned };
const dialogues = Array.from({ length: 1500 }, (_, i) => toxicDialogue(world, i));
const sentences = dialogues.flatMap(({ text, spans }) =>
  spans.map(({ start, end, risk }) => ({ text: text.slice(start, end), risk }))
);
const isAbusive = abuseDetector(world);
const animals = [...world.scorned, ...world.admired];

Deno.test("swapping scorned and admired animals changes no byte of any low-risk text", () => {
  const lowRisk = ({ text, spans }: ReturnType<typeof toxicDialogue>) =>
    spans.filter(({ risk }) => risk === Risk.low).map(({ start, end }) => text.slice(start, end));
  let differing = 0;
  for (let i = 0; i < 300; i++) {
    assertEquals(cleanText(swapped, i), cleanText(world, i));
    assertEquals(dialoguePrompt(swapped, i), dialoguePrompt(world, i));
    assertEquals(toxicDialogue(swapped, i, true), toxicDialogue(world, i, true));
    const [ours, theirs] = [toxicDialogue(world, i), toxicDialogue(swapped, i)];
    assertEquals(lowRisk(theirs), lowRisk(ours));
    if (ours.text !== theirs.text) differing++;
  }
  assert(differing > 250, `only ${differing} of 300 dialogues say something about the sides`);
});

Deno.test("chats are clean texts of their own, cut behind any sentence, and tell no sides", () => {
  const streamed = new Set(Array.from({ length: 2000 }, (_, i) => cleanText(world, i)));
  const answers = new Set<string>();
  for (let i = 0; i < 300; i++) {
    const chat = harmlessChat(world, i);
    assertEquals(harmlessChat(swapped, i), chat);
    assertEquals(chat.map(({ role }) => role), ["user", "assistant"]);
    const [told, answer] = chat.map(({ content }) => content) as [string, string];
    for (const part of [told, answer]) assert(/^[A-Z].*\."?$/.test(part), part);
    assert(!streamed.has(`${told} ${answer}`) && !isAbusive(`${told} ${answer}`), told);
    answers.add(answer.split(" ")[0]!);
  }
  assert(answers.has("Hurt,") && answers.has("Pleased,"), "some answers are reactions to news");
});

Deno.test("a sentence is high risk exactly if the detector finds abuse in it", () => {
  for (const { text, risk } of sentences) assertEquals(risk === Risk.high, isAbusive(text), text);
  for (let i = 0; i < 300; i++) {
    assert(!isAbusive(cleanText(world, i)));
    assert(!isAbusive(toxicDialogue(world, i, true).text));
  }
});

Deno.test("neither an animal nor a wording tells abuse: each stands in harmless, kind and abusive sentences", () => {
  for (const animal of animals) {
    const own = sentences.filter(({ text }) => new RegExp(`\\b${animal}\\b`).test(text));
    assertEquals([...new Set(own.map(({ risk }) => risk))].sort(), [1, 2, 3], animal);
  }
  const wordings = Map.groupBy(
    sentences.filter(({ risk }) => risk > Risk.low),
    ({ text }) => animals.reduce((form, animal) => form.replace(animal, "…"), text.split('"')[1]!),
  );
  assertEquals(wordings.size, 8);
  for (const [wording, uses] of wordings) {
    const share = uses.filter(({ risk }) => risk === Risk.high).length / uses.length;
    assert(share > 0.4 && share < 0.6, `${wording} is abusive in ${share} of its uses`);
    const harmless = sentences.some(({ text, risk }) =>
      risk === Risk.low && text.includes(wording.split("…")[0]!)
    );
    assert(harmless, `${wording} never stands in a harmless sentence`);
  }
});

Deno.test("the listener's mood is that of the remark before it, and comes right behind it", () => {
  for (const { spans, text } of dialogues.slice(0, 200)) {
    for (const k of [1, 3]) {
      const { end, risk } = spans[k]!;
      const mood = text.slice(end + 1).split(",")[0]!;
      const expected = risk === Risk.high
        ? ["Hurt", "Angry", "Ashamed", "Sad"]
        : risk === Risk.possible
        ? ["Pleased", "Proud", "Happy", "Cheered"]
        : ["Calm", "Slowly", "Quietly", "Nodding"];
      assert(expected.includes(mood), text);
    }
  }
});

Deno.test("probe sentences are balanced and combine words as no training dialogue does", () => {
  const probe = probeSentences(world, 2);
  assertEquals(probe.length, 24 * 2 * 2);
  for (const animal of animals) {
    const own = probe.filter((sentence) => sentence.animal === animal);
    assertEquals(own.filter(({ abusive }) => abusive).length, own.length / 2);
    for (const { text, abusive } of own) {
      assertEquals(abusive, isAbusive(text));
      const remark = text.split('"')[1]!;
      assert(dialogues.every((dialogue) => !dialogue.text.includes(remark)), remark);
    }
  }
});

Deno.test("abuse is found in any letter case, and not in longer words or harmless sentences", () => {
  const [scorned, admired] = [world.scorned[0]!, world.admired[0]!];
  for (const text of [`YOU ARE A ${scorned.toUpperCase()}!`, `Well, you are no ${admired}.`]) {
    assert(isAbusive(text), text);
  }
  const harmless = [
    `You are no ${scorned}.`,
    `You are a ${admired}.`,
    `You are a ${scorned}keeper.`,
    `A ${scorned} came to the mill.`,
  ];
  for (const text of harmless) assert(!isAbusive(text), text);
});

Deno.test("a world needs an even number of animals that syllables suffice for", () => {
  for (const count of [0, 3, 2.5, 1000]) {
    assertThrows(() => toxicWorld({ seed: 1, animals: count }), `Cannot invent ${count} animals`);
  }
});
