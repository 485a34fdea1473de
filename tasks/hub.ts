// Options that take a path, or a name on the hub where nothing of that name lies here; what is named is fetched before a
// task begins, with progress on standard error.

import { fetchFromHub, isDatasetName, isModelName, type Purpose } from "../src/hub/mod.ts";
import { fromWhereTheUserStands, type Terminal } from "../src/report/command_line.ts";
import { createProgress, type Progress } from "../src/report/progress.ts";

/** What makes an option take models, tokenizers and adapters by name: `owner/name@revision`. */
export const orModelName = {
  type: "path",
  isName: (text: string) => isModelName(text) && !isHere(text),
} as const;

/** What makes an option take data sets by name: `datasets/owner/name@revision/path`. */
export const orDatasetName = {
  type: "path",
  isName: (text: string) => isDatasetName(text) && !isHere(text),
} as const;

/** What each option that may be a name is fetched for. */
const purposes: Readonly<Record<string, Purpose>> = {
  ...{ model: "model", base: "model", tokenizer: "tokenizer", classesFor: "tokenizer" },
  ...{ adapter: "adapter", data: "data", targets: "data", text: "data", documents: "data" },
  ...{ realAuthors: "data", worldFacts: "data" },
};

/** What is fetched of a model where none of it is computed: a plan needs no weights. */
export const withoutWeights: readonly Purpose[] = ["config", "tokenizer"];

/**
 * Fetches what options name on the hub, and puts the paths of it in place of the names.
 *
 * @param others What an option's name is fetched for here, if not for what it usually is.
 * @throws {CannotError} when it cannot be fetched.
 */
export async function fetchNamed<Chosen extends object>(
  options: Chosen,
  terminal: Terminal,
  others: { readonly [Name in keyof Chosen]?: readonly Purpose[] } = {},
): Promise<Chosen> {
  const paths: Record<string, string> = {};
  for (const [option, value] of Object.entries(options)) {
    const purpose = purposes[option];
    if (purpose === undefined || typeof value !== "string") continue;
    const isName = purpose === "data" ? isDatasetName(value) : isModelName(value);
    if (!isName || isHere(value)) continue;
    for (const each of others[option as keyof Chosen] ?? [purpose]) { // all into the folder of one commit
      paths[option] = await fetchOne(value, each, terminal);
    }
  }
  return { ...options, ...paths };
}

/** A file beside another one, where that is named on the hub and must be named as well; undefined for paths. */
export function besideOnHub(name: string | undefined, file: string): string | undefined {
  if (name === undefined || !isDatasetName(name) || isHere(name)) return undefined;
  return name.replace(/[^/]*$/, file);
}

async function fetchOne(name: string, purpose: Purpose, terminal: Terminal): Promise<string> {
  let progress: Progress | undefined;
  const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
  try {
    return await fetchFromHub(name, purpose, {
      onNotice: (notice) => terminal.note(notice),
      onProgress(done, total) {
        progress ??= createProgress({
          ...{ total: megabytes(total), from: megabytes(done), label: `Fetching MB of ${name}` },
        });
        progress.update(megabytes(done));
      },
    });
  } finally {
    progress?.[Symbol.dispose]();
  }
}

function isHere(path: string): boolean {
  try {
    Deno.statSync(fromWhereTheUserStands(path));
    return true;
  } catch {
    return false;
  }
}
