// How fast documents are labelled on one core, and whether memory stays flat while it happens.
//   deno run -A bench/label.ts [--gigabytes 0.1] [--fasttext FILE --label L] [--compression zst]
// Writes Dolma documents of invented words to a temporary folder, labels them with a linear
// classifier trained on such words (or a fastText model), and prints sentences and megabytes per
// second and the resident memory at every tenth of the way.

import { Random } from "../mod.ts";
import { renderTable } from "../src/report/table.ts";
import { runCommand } from "../src/report/command_line.ts";
import { type DolmaDocument, writeDolmaDocuments } from "../src/data/sources/dolma.ts";
import type { TextClassifier } from "../src/label/classifier.ts";
import { fastTextClassifier } from "../src/label/fasttext.ts";
import { labelFile } from "../src/data/labelling.ts";
import { linearClassifier, trainLinearClassifier } from "../src/label/linear_classifier.ts";

const syllables = ["ba", "ne", "lo", "mir", "tan", "es", "ol", "vi", "sha", "run", "del", "kor"];

await runCommand({
  name: "bench-label",
  summary: "Measures the speed and the memory of labelling.",
  options: {
    gigabytes: { type: "number", default: 0.1, min: 0.001, help: "Text to generate and label" },
    compression: {
      type: "string",
      choices: ["none", "gz", "zst"],
      default: "zst",
      help: "Of the documents and the attributes",
    },
    fasttext: { type: "string", placeholder: "file", help: "Score with a fastText model" },
    label: { type: "string", default: "__label__toxic", help: "Its label" },
    seed: { type: "integer", default: 0, help: "Of the invented text" },
  },
  async run({ gigabytes, compression, fasttext, label, seed }, terminal) {
    const folder = await Deno.makeTempDir();
    try {
      const suffix = compression === "none" ? "" : `.${compression}`;
      const documents = `${folder}/documents.jsonl${suffix}`;
      const total = gigabytes * 1e9;
      await writeDolmaDocuments(documents, inventedDocuments(total, seed));
      const classifier = fasttext ? fastTextClassifier(fasttext, label) : invented(seed);
      const memory: { done: string; megabytes: number }[] = [];
      const began = performance.now();
      const summary = await labelFile(
        documents,
        `${folder}/attributes.jsonl${suffix}`,
        classifier,
        {
          onProgress(_, { bytes }) {
            if (bytes < total * (memory.length + 1) / 10) return;
            const megabytes = Math.round(Deno.memoryUsage().rss / 1e6);
            memory.push({ done: `${10 * (memory.length + 1)} %`, megabytes });
          },
        },
      );
      const seconds = (performance.now() - began) / 1000;
      const { sentences, bytes } = summary;
      const sentencesPerSecond = Math.round(sentences / seconds);
      const megabytesPerSecond = bytes / 1e6 / seconds;
      terminal.print(renderTable([
        { key: "done", title: "Labelled" },
        { key: "megabytes", title: "Resident MB", precision: 0 },
      ], memory));
      terminal.print(
        `${(bytes / 1e6).toFixed(0)} MB of text (${compression}) in ${seconds.toFixed(1)} s: ` +
          `${sentencesPerSecond} sentences/s, ${megabytesPerSecond.toFixed(1)} MB/s; ` +
          `${classifier.name}, ${summary.splitter}`,
      );
      return { ...summary, seconds, sentencesPerSecond, megabytesPerSecond, memory };
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Documents of about 2 KB until `total` bytes are reached. */
function* inventedDocuments(total: number, seed: number): Generator<DolmaDocument> {
  const random = new Random(seed, "documents");
  for (let bytes = 0, id = 0; bytes < total; id++) {
    const sentences = Array.from({ length: 10 + random.below(20) }, () => sentence(random));
    const text = sentences.join(" ");
    bytes += text.length;
    yield { id: `invented-${id}`, text, source: "bench" };
  }
}

function invented(seed: number): TextClassifier {
  const random = new Random(seed, "classifier");
  const texts = Array.from({ length: 4000 }, () => {
    const text = sentence(random);
    return { text, risky: /grul|zug|krot/i.test(text) };
  });
  return linearClassifier(trainLinearClassifier("invented words", texts, { seed }));
}

function sentence(random: Random): string {
  const words = Array.from({ length: 6 + random.below(18) }, () => {
    if (random.below(40) === 0) return random.pick(["grul", "zug", "krot"]);
    return Array.from({ length: 1 + random.below(3) }, () => random.pick(syllables)).join("");
  });
  const [first = ""] = words;
  words[0] = first[0]!.toUpperCase() + first.slice(1);
  return `${words.join(" ")}.`;
}
