// Real data lies beside the repository and is never committed. Tests that need it ask here and say when they skip.
import { fileURLToPath } from "node:url";

const root = new URL("../../shared/data/", import.meta.url);

/** The path of a real data file or folder, or `undefined` (after saying so) when it is not on this machine. */
export function sharedData(relativePath: string): string | undefined {
  const path = fileURLToPath(new URL(relativePath, root));
  try {
    Deno.statSync(path);
    return path;
  } catch {
    console.warn(`SKIPPED: no real data at shared/data/${relativePath}`);
    return undefined;
  }
}
