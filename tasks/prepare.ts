// deno task prepare --data corpus --tokenizer MODEL --out FOLDER: makes texts into token shards, once, so that training
// reads them by position; see src/data/prepare.ts.

import { exists } from "../src/base/files.ts";
import { openCollection } from "../src/data/collection.ts";
import { describeCounts, prepareCollection, type PreparedCollection } from "../src/data/prepare.ts";
import type { ShardManifest } from "../src/data/shards/format.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { onInterrupt } from "../src/report/interrupt.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
import {
  type CollectionChoice,
  collectionOptions,
  describeShards,
  documentChoice,
  endIfUnfinished,
  partTokens,
  showProgress,
  sliceOf,
} from "./collections.ts";
import { fetchNamed, orDatasetName } from "./hub.ts";

const command = defineCommand({
  name: "prepare",
  summary:
    "Makes texts into token shards, which training reads by position. Interrupted, the same command goes on.",
  examples: [
    "--data corpus --tokenizer path/to/model --out prepared",
    "--data datasets/owner/name/data --tokenizer allenai/OLMo-1B-hf --out prepared",
  ],
  options: {
    data: {
      ...orDatasetName,
      required: true,
      placeholder: "path",
      help:
        "A folder with documents/ and attributes/, a folder of files of documents, one file of " +
        "documents or of texts with spans, a folder with clean/ and risky/ of these, or " +
        "datasets/owner/name@revision/path on the hub",
    },
    out: { type: "path", required: true, placeholder: "folder", help: "Where the shards go" },
    heldOutFiles: {
      type: "integer",
      default: 1,
      min: 0,
      help: "Files that are held out; of a single file, one document in twenty is",
    },
    ...collectionOptions,
  },
  async run(given, terminal) {
    const options = await fetchNamed(given, terminal);
    const tokenizer = await openTokenizer(options.tokenizer);
    const both = await exists(`${options.data}/clean`) && await exists(`${options.data}/risky`);
    const results: Record<string, PreparedCollection> = {};
    for (const kind of both ? ["clean", "risky"] : [""]) {
      const [data, out] = [options.data, options.out].map((path) =>
        kind ? `${path}/${kind}` : path
      );
      const prepared = await prepareOne(data!, out!, tokenizer, options, terminal);
      if (prepared) results[kind || "collection"] = prepared;
    }
    return results;
  },
});

export default command;

if (import.meta.main) await runCommand(command);

async function prepareOne(
  data: string,
  out: string,
  tokenizer: Tokenizer,
  options: CollectionChoice & { heldOutFiles: number },
  terminal: Terminal,
): Promise<PreparedCollection | undefined> {
  const collection = await openCollection(data, {
    ...documentChoice(options, terminal),
    heldOutFiles: options.heldOutFiles,
  });
  for (const remark of collection.remarks) terminal.note(remark);
  using stop = onInterrupt(terminal);
  const prepared = await (async () => {
    using progress = showProgress(`Preparing MB of ${data}`);
    return await prepareCollection(collection, out, {
      tokenizer,
      partTokens: partTokens(options.partSize, tokenizer.vocabularySize),
      slice: sliceOf(options.part),
      special: options.special,
      onText: progress.onText,
      signal: stop.signal,
    });
  })();
  endIfUnfinished(prepared, { stop: stop.signal, part: options.part, out }, terminal);
  if (prepared === undefined) return undefined;
  terminal.print(`Training, in ${out}/train: ${describe(prepared.train)}`);
  if (prepared.heldOut) {
    terminal.print(`Held out, in ${out}/held_out: ${describe(prepared.heldOut)}`);
  }
  return prepared;
}

function describe(shards: ShardManifest): string {
  const aside = describeCounts(shards.leftOut);
  return `${describeShards(shards)}${aside ? `; left out: ${aside}` : ""}.`;
}
