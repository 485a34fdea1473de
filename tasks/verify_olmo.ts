// deno task verify olmo FOLDER: whether OLMo's trainers will read what was meant.

import { CannotError } from "../src/base/errors.ts";
import { verifyOlmo } from "../src/data/olmo/verify.ts";
import { defineCommand } from "../src/report/command_line.ts";
import { createProgress, type Progress } from "../src/report/progress.ts";

/** The command. */
export const verifyForOlmo = defineCommand({
  name: "verify olmo",
  summary: "Reads shards back and refuses what OLMo's trainers would accept and be ruined by.",
  examples: ["exported", "shards --dtype uint16 --vocabulary 50280 --eos 50279"],
  operand: "folder",
  options: {
    folder: { type: "path", required: true, placeholder: "folder", help: "The export" },
    dtype: {
      type: "string",
      choices: ["uint16", "uint32"],
      help: "The type of the ids, for shards without a manifest",
    },
    vocabulary: {
      type: "integer",
      min: 2,
      help: "One more than the highest id, for shards without a manifest",
    },
    eos: { type: "integer", min: 0, help: "The id that ends documents, without a manifest" },
  },
  async run({ folder, dtype, vocabulary, eos }, terminal) {
    let progress: Progress | undefined;
    const found = await verifyOlmo(folder, {
      ...{ dtype, vocabularySize: vocabulary, eos },
      onRead(bytes, total) {
        progress ??= createProgress({ total: Math.ceil(total / 1e6), label: "Verifying MB" });
        progress.update(Math.ceil(bytes / 1e6));
      },
    });
    progress?.[Symbol.dispose]();
    const { faults, remarks, parts, tokens, trained, documents } = found;
    for (const { file, why, remedy } of faults) terminal.print(`${file}: ${why}. ${remedy}.`);
    for (const remark of remarks) terminal.print(remark);
    if (faults.length > 0) {
      throw new CannotError(
        `pass "${folder}"`,
        faults.length === 1 ? "it has the fault above" : `it has the ${faults.length} faults above`,
        "Nothing should be trained on it",
      );
    }
    const share = (100 * trained / tokens).toFixed(2);
    terminal.print(
      `${parts} parts, ${documents} documents, ${tokens} tokens, ${trained} of them in the loss (${share} %): no fault.`,
    );
    return found;
  },
});
