// deno task verify TARGET …: reads back what other programs will read.
//   olmo   an export for OLMo's trainers; see src/data/olmo/verify.ts

import { runTarget } from "../src/report/command_line.ts";
import { verifyForOlmo } from "./verify_olmo.ts";

const targets = { olmo: verifyForOlmo };

export default targets;

if (import.meta.main) await runTarget("verify", targets);
