// deno task export olmo --data … --tokenizer … --out FOLDER: labelled texts for OLMo's own trainers.

import { shellWord } from "../src/base/words.ts";
import { openCollection } from "../src/data/collection.ts";
import { exportOlmo, trainedClasses } from "../src/data/olmo/export.ts";
import { describeCounts } from "../src/data/prepare.ts";
import { defineCommand } from "../src/report/command_line.ts";
import { onInterrupt } from "../src/report/interrupt.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import {
  collectionOptions,
  describeShards,
  documentChoice,
  endIfUnfinished,
  partTokens,
  showProgress,
  sliceOf,
} from "./collections.ts";
import { fetchNamed, orDatasetName } from "./hub.ts";
import { chosenObjective } from "./objective.ts";

/** The command. */
export const exportToOlmo = defineCommand({
  name: "export olmo",
  summary:
    "Writes labelled texts as token shards and masks for OLMo's trainers. Interrupted, the same command goes on.",
  examples: [
    "--data labelled.jsonl --tokenizer path/to/olmo --out exported",
    "--data corpus --tokenizer allenai/OLMo-1B-hf --root s3://bucket/exported --out exported",
  ],
  options: {
    data: {
      ...orDatasetName,
      required: true,
      placeholder: "path",
      help: "A folder with documents/ and attributes/, a file or folder of texts with spans, or " +
        "datasets/owner/name@revision/path on the hub",
    },
    out: { type: "path", required: true, placeholder: "folder", help: "Where the shards go" },
    objective: {
      type: "path",
      names: ["masked"],
      default: "masked",
      placeholder: "name",
      help: "What is trained on: masked, or a .ts file with cross-entropy for some classes",
    },
    sequenceLength: {
      type: "integer",
      default: 2048,
      min: 2,
      help: "Tokens of a sequence, for the configurations",
    },
    root: {
      type: "string",
      placeholder: "path",
      help: "The folder as the trainer will see it, e.g. s3://bucket/name; OUT unless given",
    },
    ...collectionOptions,
  },
  async run(given, terminal) {
    const options = await fetchNamed(given, terminal);
    const { data, out, sequenceLength, root } = options;
    const objective = await chosenObjective(options.objective, "active");
    trainedClasses(objective); // refuses before anything is read
    const tokenizer = await openTokenizer(options.tokenizer);
    const { train, remarks } = await openCollection(data, documentChoice(options, terminal));
    for (const remark of remarks) terminal.note(remark);
    using stop = onInterrupt(terminal);
    const began = performance.now();
    const manifest = await (async () => {
      using progress = showProgress(`Exporting MB of ${data}`);
      return await exportOlmo(out, train, {
        ...{ tokenizer, objective, sequenceLength, root, special: options.special },
        partTokens: partTokens(options.partSize, tokenizer.vocabularySize),
        slice: sliceOf(options.part),
        onText: progress.onText,
        signal: stop.signal,
      });
    })();
    endIfUnfinished(manifest, { stop: stop.signal, part: options.part, out }, terminal);
    if (manifest === undefined) return {};
    const { documents, tokens, tokensByClass, parts, dtype, leftOut } = manifest;
    const seconds = (performance.now() - began) / 1000;
    terminal.print(
      `${describeShards(manifest)}, in ${out}, with olmo.yaml and olmo_core_dataset.json.`,
    );
    if (Object.keys(leftOut).length > 0) {
      terminal.print(`Left out: ${describeCounts(leftOut)}.`);
    }
    terminal.print(`\`deno task verify olmo ${shellWord(out)}\` reads all of it back.`);
    return {
      out,
      documents,
      tokens,
      tokensByClass,
      parts: parts.length,
      dtype,
      leftOut,
      seconds,
    };
  },
});
