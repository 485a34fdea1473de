// deno task lock: writes the lock files anew, after a version has changed. Deno fetches all packages of a lock file as soon
// as a program imports one of them, so those that weigh hundreds of megabytes are locked apart from the others:
//   locks/light.lock      pictures, fonts, the writer of parquet files, and what sources and tests import: for every task
//   locks/packages.lock   all optional packages: for the tasks that end in :transformers
//   locks/npm.lock        the compiler of the npm package
//   locks/bench.lock      what the bench measures against

import { peerPackages } from "../bench/peers/packages.ts";
import { packages } from "../src/base/packages.ts";

const { transformers: _, danfo: __, typescript, ...light } = packages;

await lock("locks/light.lock", [...Object.values(light), "mod.ts", ...await importedBy("tests")]);
await lock("locks/packages.lock", [...Object.values(packages), "mod.ts"]);
await lock("locks/npm.lock", [typescript, "mod.ts"]);
await lock("locks/bench.lock", [...Object.values(peerPackages), "mod.ts"]);

async function lock(path: string, roots: string[]): Promise<void> {
  await Deno.remove(path).catch(() => {});
  const args = ["cache", "--quiet", `--lock=${path}`, "--frozen=false", ...roots];
  const { success } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  if (!success) Deno.exit(1);
}

/** The packages that files of a folder import by their whole specifiers. */
async function importedBy(folder: string): Promise<string[]> {
  const found = new Set<string>();
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(`${folder}/${name}`);
    for (const [, specifier] of text.matchAll(/ from "(npm:[^"]+@\d[^"]*)"/g)) {
      found.add(specifier!);
    }
  }
  return [...found].sort();
}
