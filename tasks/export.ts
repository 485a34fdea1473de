// deno task export TARGET …: what other programs read.
//   olmo   labelled texts as token shards and masks for OLMo's trainers; see src/data/olmo/export.ts

import { runTarget } from "../src/report/command_line.ts";
import { exportToOlmo } from "./export_olmo.ts";

await runTarget("export", { olmo: exportToOlmo });
