// deno task export TARGET …: what other programs read.
//   olmo   labelled texts as token shards and masks for OLMo's trainers; see src/data/olmo/export.ts

import { runTarget } from "../src/report/command_line.ts";
import { exportToOlmo } from "./export_olmo.ts";

const targets = { olmo: exportToOlmo };

export default targets;

if (import.meta.main) await runTarget("export", targets);
