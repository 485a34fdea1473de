// Real data lies beside the repository and is never committed. Tests that need it ask here and say when they skip.

const root = new URL("../../shared/data/", import.meta.url);

/** The path of a real data file or folder, or `undefined` (after saying so) when it is not on this machine. */
export function sharedData(relativePath: string): string | undefined {
  const path = decodeURIComponent(new URL(relativePath, root).pathname);
  try {
    Deno.statSync(path);
    return path;
  } catch {
    console.warn(`SKIPPED: no real data at shared/data/${relativePath}`);
    return undefined;
  }
}
