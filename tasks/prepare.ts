// deno task prepare --data corpus --tokenizer MODEL --out FOLDER: makes texts into token shards, once, so that training
// reads them by position; see src/data/prepare.ts.

import { exists } from "../src/base/files.ts";
import { openCollection } from "../src/data/collection.ts";
import { describeCounts, prepareCollection, type PreparedCollection } from "../src/data/prepare.ts";
import type { ShardManifest } from "../src/data/shards/format.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { onInterrupt } from "../src/report/interrupt.ts";
import { riskNames } from "../src/slung/objective.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
import {
  type CollectionChoice,
  collectionOptions,
  documentChoice,
  partTokens,
  showProgress,
  sliceOf,
} from "./collections.ts";

const command = defineCommand({
  name: "prepare",
  summary:
    "Makes texts into token shards, which training reads by position. Interrupted, the same command goes on.",
  examples: [
    "--data corpus --tokenizer path/to/model --out prepared",
    "--data labelled.jsonl --tokenizer path/to/model --out prepared --held-out-files 0",
  ],
  options: {
    data: {
      type: "path",
      required: true,
      placeholder: "path",
      help:
        "A folder with documents/ and attributes/, a folder of files of documents, one file of " +
        "documents or of texts with spans, or a folder with clean/ and risky/ of these",
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
  async run(options, terminal) {
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
  if (stop.signal.aborted) {
    terminal.note(`Stopped. Run the same command again to go on in ${out}`);
    Deno.exit(130);
  }
  if (prepared === undefined) {
    terminal.print(`Part ${options.part} of ${out} is finished; other parts are not yet.`);
    return undefined;
  }
  terminal.print(`Training, in ${out}/train: ${describe(prepared.train)}`);
  if (prepared.heldOut) {
    terminal.print(`Held out, in ${out}/held_out: ${describe(prepared.heldOut)}`);
  }
  return prepared;
}

function describe(
  { documents, tokens, tokensByClass, parts, dtype, leftOut }: ShardManifest,
): string {
  const classes = tokensByClass.flatMap((count, risk) =>
    count === 0 ? [] : [`${count} ${riskNames[risk]}`]
  );
  const aside = describeCounts(leftOut);
  return `${documents} documents, ${tokens} tokens (${
    classes.join(", ")
  }) in ${parts.length} parts of ` +
    `${dtype}${aside ? `; left out: ${aside}` : ""}.`;
}
