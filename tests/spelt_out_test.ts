// Special tokens that a text spells out: what they become is chosen, counted before training, and said. Losses come from an
// independent float64 pass over golden/tiny_llama.

import { encodeText } from "../src/data/spans.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import { countSpeltOut } from "../src/tokenizers/tokenizer.ts";
import { trainOnSpans } from "../src/train/span_training.ts";
import { describeSpeltOut } from "../tasks/special.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";
import { tinyLlama } from "./fixtures/tiny_llama.ts";
import { temporaryFolder } from "./fixtures/tokenizers.ts";

const text = "The old</s> mill by Oda Venn.";

Deno.test("an end of text that a text spells out is EOS or four bytes, as chosen, and counted either way", async () => {
  const folder = await temporaryFolder({ "text.jsonl": JSON.stringify({ text, spans: [] }) });
  using gpu = await Gpu.open();
  for (
    const [special, loss, targets] of [["tokens", 6.926727, 8], ["text", 6.912371, 11]] as const
  ) {
    let said: [number, number] | undefined;
    const { log } = await trainOnSpans(gpu, {
      ...{ data: `${folder}/text.jsonl`, model: tinyLlama, out: `${folder}/${special}` },
      ...{ special, learningRate: 0 },
    }, { onPlan: ({ speltOut, targets }) => said = [speltOut, targets[1]!] });
    assertEquals(said, [1, targets]);
    assertClose(log[0]!.loss, loss, 1e-6, special);
  }
});

Deno.test("each spelling counts where it stands, the longest first, and tokenizers that find none count none", async () => {
  const { specialTexts } = await openTokenizer(tinyLlama);
  assertEquals(specialTexts, ["<s>", "</s>", "<pad>"]);
  assertEquals(countSpeltOut({ specialTexts }, [text, "<s><s> and </s >", ""]), 3);
  assertEquals(countSpeltOut({ specialTexts: ["<e>", "<e>x", "."] }, ["<e>x<e>"]), 2);
  assertEquals(countSpeltOut({}, [text]), 0);
  assertEquals(trainBytePair(["a"], 258).specialTexts, ["<|endoftext|>", "<|padding|>"]);
  assertThrows(
    () =>
      encodeText(trainBytePair(["a"], 258), { text, spans: [] }, { special: "token" as "text" }),
    'option "special" is "token". Give one of "tokens", "text"',
  );
});

Deno.test("what became of them is one clause, which says how to choose the other", () => {
  assertEquals(describeSpeltOut(0, "tokens"), "");
  assertEquals(
    describeSpeltOut(1, "tokens"),
    "1 special token spelt out in the text, read as what they spell (--special text: as plain text)",
  );
  assertEquals(
    describeSpeltOut(2, "text"),
    "2 special tokens spelt out in the text, read as plain text",
  );
});

Deno.test("the tasks read a spelt-out special token as they are told, and say so", async () => {
  const folder = await temporaryFolder({ "text.txt": text });
  const { stdout, stderr } = await runTask("perplexity", [
    ...["--model", tinyLlama, "--text", `${folder}/text.txt`, "--special", "text", "--json"],
  ]);
  assert(stderr.includes("1 special token spelt out in the text, read as plain text"), stderr);
  assertEquals(JSON.parse(stdout).tokens, 10);
});
