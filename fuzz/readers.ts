// Every reader of files from strangers, with small valid files to damage.

import { models } from "./readers_models.ts";
import { runs } from "./readers_runs.ts";
import { texts } from "./readers_texts.ts";
import { tokenizers } from "./readers_tokenizers.ts";
import type { Reader } from "./reader.ts";

/** All of them, in the order in which they are shown. */
export const readers: readonly Reader[] = [...models, ...tokenizers, ...texts, ...runs];
