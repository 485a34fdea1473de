// Makes a corpus of any size in Dolma's formats by repeating real text under other ids, for measurements at scale:
//   deno run -A bench/corpus.ts --texts passages.jsonl --out FOLDER --megabytes 2000 --files 8
//
//   FOLDER/clean/*.jsonl.gz                    documents
//   FOLDER/risky/{documents,attributes}/…      documents with the scores of their sentences, which are made up: every text
//                                              has some sentences of high risk, or, every fifth one, none
//   FOLDER/prompts.jsonl, FOLDER/probe.csv     what `deno task toxicity --protocol dolma` asks for
//
// Every document of a file is another stretch of the texts, so that no two are alike.

import { makeFolder, writeFileAtomic } from "../src/base/files.ts";
import { Random } from "../src/base/random.ts";
import { readPlainTexts } from "../src/data/plain_texts.ts";
import {
  type DolmaDocument,
  type TaggedDocument,
  writeDolmaAttributes,
  writeDolmaDocuments,
} from "../src/data/sources/dolma.ts";
import { sentenceRanges } from "../src/label/sentences.ts";
import { runCommand } from "../src/report/command_line.ts";

const attribute = "slung__sentence__toxic";

await runCommand({
  name: "corpus",
  summary: "Makes a corpus in Dolma's formats by repeating real text under other ids.",
  options: {
    texts: { type: "path", required: true, placeholder: "file", help: "Real texts" },
    out: { type: "path", required: true, placeholder: "folder", help: "Where the corpus goes" },
    megabytes: { type: "number", default: 2000, min: 0.1, help: "Of text" },
    risky: { type: "number", default: 0.1, min: 0, max: 1, help: "Share of the risky documents" },
    files: { type: "integer", default: 8, min: 1, help: "Files of each kind" },
  },
  async run({ texts: path, out, megabytes, risky, files }, terminal) {
    const texts = await Array.fromAsync(readPlainTexts(path));
    const kinds = { clean: megabytes * (1 - risky), risky: megabytes * risky };
    for (const folder of ["clean", "risky/documents", "risky/attributes"]) {
      await makeFolder(`${out}/${folder}`);
    }
    for (const [kind, size] of Object.entries(kinds)) {
      for (let file = 0; file < files; file++) {
        const name = `${kind}-${String(file).padStart(3, "0")}.jsonl.gz`;
        const bytes = size * 1e6 / files;
        const documents = () => documentsOf(texts, `${kind}-${file}`, bytes);
        if (kind === "clean") {
          await writeDolmaDocuments(`${out}/clean/${name}`, documents());
        } else {
          await writeDolmaDocuments(`${out}/risky/documents/${name}`, documents());
          await writeDolmaAttributes(`${out}/risky/attributes/${name}`, scored(documents()));
        }
        terminal.note(`${name}: ${(bytes / 1e6).toFixed(1)} MB`);
      }
    }
    const opening = (text: string) => text.split(" ").slice(0, 8).join(" ");
    const prompts = texts.slice(0, 20).map((text, i) =>
      JSON.stringify({
        ...{ filename: "made", begin: i, end: i, challenging: false },
        prompt: { text: opening(text), toxicity: 0 },
        continuation: { text: "", toxicity: 0 },
      })
    );
    await writeFileAtomic(`${out}/prompts.jsonl`, prompts.join("\n") + "\n");
    const rows = texts.slice(20, 80).map((text, i) =>
      `${i},"${opening(text).replaceAll('"', "")}",${i % 2}`
    );
    await writeFileAtomic(
      `${out}/probe.csv`,
      ["id,comment_text,target", ...rows].join("\n") + "\n",
    );
    return { out };
  },
});

function* documentsOf(
  texts: readonly string[],
  label: string,
  bytes: number,
): Generator<DolmaDocument> {
  const random = new Random(0, label);
  for (let i = 0, done = 0; done < bytes; i++) {
    const first = random.below(texts.length), count = 1 + random.below(5);
    const stretch = Array.from({ length: count }, (_, k) => texts[(first + k) % texts.length]!);
    const text = `Number ${i} of ${label}. ${stretch.join("\n")}`;
    done += text.length;
    yield { id: `${label}-${i}`, text, source: label };
  }
}

function* scored(documents: Iterable<DolmaDocument>): Generator<TaggedDocument> {
  let i = 0;
  for (const document of documents) {
    const harmless = i++ % 5 === 0;
    const spans = sentenceRanges(document.text).map((range, k) => ({
      ...range,
      score: harmless || k % 3 === 0 ? 0 : k % 3 === 1 ? 1 : 0.5,
    }));
    yield { document, attributes: { [attribute]: spans } };
  }
}
