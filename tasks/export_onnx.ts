// deno task export onnx --model FOLDER --out FOLDER: a model for transformers.js and other users of ONNX Runtime.

import { describeBytes } from "../src/base/bytes.ts";
import { saveOnnx } from "../src/model/formats/onnx/folder.ts";
import type { OnnxPrecision } from "../src/model/formats/onnx/decoder.ts";
import { openFolder } from "../src/model/pretrained.ts";
import { defineCommand } from "../src/report/command_line.ts";
import { fetchNamed } from "./hub.ts";
import { modelOptions } from "./shared.ts";

/** The command. */
export const exportToOnnx = defineCommand({
  name: "export onnx",
  summary: "Writes a model for transformers.js and other users of ONNX Runtime.",
  examples: [
    "--model models/invented-base --out runs/for-browsers",
    "--model path/to/model --precision f32,f16 --out exported",
  ],
  options: {
    ...modelOptions,
    out: { type: "path", required: true, placeholder: "folder", help: "Where the model goes" },
    precision: {
      type: "list",
      choices: ["f32", "f16"],
      default: ["f32"],
      help: "Of weights and activations: f32, f16 or both, the first one unless a program asks",
    },
  },
  async run(options, terminal) {
    const { model, tokenizer, adapter, out, precision } = await fetchNamed(options, terminal);
    const opened = await openFolder(model, tokenizer, adapter);
    terminal.note(opened.description);
    const precisions = precision.filter(isPrecision);
    const written = await saveOnnx(out, opened.files, { ...opened, precisions });
    for (const { path, bytes } of written) terminal.print(`${path}: ${describeBytes(bytes)}`);
    return { out, files: written };
  },
});

function isPrecision(text: string | number): text is OnnxPrecision {
  return text === "f32" || text === "f16";
}
