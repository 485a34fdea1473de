// People in texts by a token classifier, over a stand-in for its pipeline: no model is downloaded.

import { entityLabeller, type EntityPiece, type EntityPipeline } from "../src/label/entities.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";

/** A pipeline that gives these pieces for any text, as `word/KIND`, without a kind where none is risky. */
function standIn(pieces: string): EntityPipeline {
  return (_, options) => {
    assertEquals(options, { ignore_labels: [] }, "harmless pieces are asked for too");
    return Promise.resolve(
      pieces.split(" ").map((piece): EntityPiece => {
        const [word, entity = "O"] = piece.split("/");
        return { word: word!, entity };
      }),
    );
  };
}

async function found(text: string, pieces: string, kinds?: string[]): Promise<string[]> {
  const labeller = await entityLabeller("a/model", {
    ...(kinds && { kinds }),
    open: () => Promise.resolve(standIn(pieces)),
  });
  const [spans] = await labeller.label([text]);
  assert(spans!.every(({ risk }) => risk === Risk.high));
  return spans!.map(({ start, end }) => text.slice(start, end));
}

Deno.test("pieces of a name become one span, and two names stay two", async () => {
  const text = "Then Oda Venn met Tovik.";
  assertEquals(await found(text, "Then Oda/B-PER V/I-PER ##enn/I-PER met To/B-PER ##vik/I-PER ."), [
    "Oda Venn",
    "Tovik",
  ]);
  assertEquals(await found("Oda Venn", "Oda/B-PER Venn/B-PER"), ["Oda", "Venn"]);
  assertEquals(await found("Oda, Venn", "Oda/B-PER , Venn/I-PER"), ["Oda", "Venn"]);
});

Deno.test("a piece is not found inside an earlier word", async () => {
  assertEquals(await found("And then Ana.", "And then An/B-PER ##a/I-PER ."), ["Ana"]);
});

Deno.test("only the kinds that are asked for are marked", async () => {
  const pieces = "Oda/B-PER in Ren/B-LOC ##ne/I-LOC by Venn/B-PERSON";
  assertEquals(await found("Oda in Renne by Venn", pieces), ["Oda", "Venn"]);
  assertEquals(await found("Oda in Renne by Venn", pieces, ["LOC"]), ["Renne"]);
  assertEquals(await found("Oda Renne", "Oda/S-PER Renne/E-LOC", ["PER"]), ["Oda"]);
});

Deno.test("a word is marked to its end, though the model lets go of a later piece", async () => {
  assertEquals(await found("by Tovik here", "by To/B-PER ##vi ##k/O here"), ["Tovik"]);
});

Deno.test("case, accents, and letters that change length when lowered do not move a span", async () => {
  assertEquals(await found("İİİ met Élan here", "iii met elan/B-PER here"), ["Élan"]);
  assertEquals(await found("e\u0301 by Ve\u0301nn ran", "e by venn/B-PER ran"), ["Ve\u0301nn"]);
  assertEquals(await found("🎉🎉 Oda", "Oda/B-PER"), ["Oda"], "unknown words have no piece");
  assertEquals(await found("x Oda\u00a0Venn", "Ġx ĠOda/B-PER ▁Venn/I-PER"), ["Oda\u00a0Venn"]);
});

Deno.test("a piece that stands nowhere is taken to be what lies between its neighbours", async () => {
  assertEquals(await found("met Œda then", "met [UNK]/B-PER then"), ["Œda"]);
  assertEquals(await found("met Œda then", "met [UNK] then/B-PER"), ["then"]);
  assertEquals(await found("then Œda", "then ?/B-PER"), ["Œda"]);
});

Deno.test("what the model leaves out of a long text is asked for again", async () => {
  const asked: string[] = [];
  const people = new Set(["oda", "venn", "tovik"]);
  // Reads eight letters at most, in pieces of four.
  const short: EntityPipeline = (text) => {
    asked.push(text);
    const pieces: EntityPiece[] = [];
    let letters = 0;
    for (const word of text.match(/\S+/g)!) {
      const entity = people.has(word.toLowerCase()) ? "PER" : "O";
      for (let at = 0; at < word.length && letters < 8; at += 4) {
        const piece = word.slice(at, Math.min(at + 4, at + 8 - letters));
        letters += piece.length;
        const kind = entity === "O" ? "O" : at === 0 ? "B-PER" : "I-PER";
        pieces.push({ word: at === 0 ? piece : `##${piece}`, entity: kind });
      }
    }
    return Promise.resolve(pieces);
  };
  const labeller = await entityLabeller("a/model", { open: () => Promise.resolve(short) });
  const text = "Oda ran on and Tovik ran from immeasurably long Venn.".replace(".", "");
  const [spans] = await labeller.label([text]);
  assertEquals(spans!.map(({ start, end }) => text.slice(start, end)), ["Oda", "Tovik", "Venn"]);
  assert(asked.length > 2 && asked.every((part) => text.endsWith(part)), `${asked}`);
});

Deno.test("texts keep their order, and empty ones have no spans", async () => {
  const open = () => Promise.resolve(standIn("Oda/B-PER"));
  const labeller = await entityLabeller("a/model", { open });
  assertEquals(labeller.name, "entities PER, PERSON of a/model");
  const spans = await labeller.label(["", "Oda", " ", "x Oda"]);
  assertEquals(spans, [
    [],
    [{ start: 0, end: 3, risk: Risk.high }],
    [],
    [{ start: 2, end: 5, risk: Risk.high }],
  ]);
});

Deno.test("a model that cannot be loaded is named", async () => {
  await assertRejects(
    () => entityLabeller("no/model", { open: () => Promise.reject(new Error("not found")) }),
    'Cannot load the model of entities "no/model": not found. Give a token-classification model',
  );
});
