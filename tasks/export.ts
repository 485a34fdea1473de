// deno task export TARGET …: what other programs read.
//   olmo   labelled texts as token shards and masks for OLMo's trainers; see src/data/olmo/export.ts
//   onnx   a model for transformers.js; see src/model/formats/onnx/folder.ts
//   eval   what models wrote, for other programs of evaluation; see src/eval/interchange.ts

import { runTarget } from "../src/report/command_line.ts";
import { exportToEvaluations } from "./export_eval.ts";
import { exportToOlmo } from "./export_olmo.ts";
import { exportToOnnx } from "./export_onnx.ts";

const targets = { olmo: exportToOlmo, onnx: exportToOnnx, eval: exportToEvaluations };

export default targets;

if (import.meta.main) await runTarget("export", targets);
