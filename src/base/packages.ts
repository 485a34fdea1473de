// Packages that only some programs need, fetched when one first asks for them. Their specifiers are values, which Deno does
// not follow when a program starts; and whole ones, with `npm:` and a version, so that they are found from any project,
// whatever its own import map says.

import { CannotError } from "./errors.ts";

/** The packages that are fetched when first used. */
export const packages = {
  /** Models of sentences and entities, in ONNX: 450 MB with its runtimes. */
  transformers: "npm:@huggingface/transformers@4.3.1",
  /** DataFrames for notebooks: 300 MB with TensorFlow.js. */
  danfo: "npm:danfojs-node@1.1.2",
  /** Draws SVG as PNG. */
  resvg: "npm:@resvg/resvg-wasm@2.6.2",
  /** A sans serif with the metrics of Arial. */
  arimo: "npm:@expo-google-fonts/arimo@0.4.3",
  /** Fonts with nearly every sign. */
  dejavu: "npm:dejavu-fonts-ttf@2.37.3",
  /** Writes parquet files: 0.4 MB with the next. */
  parquet: "npm:hyparquet-writer@0.17.0",
  /** Reads them. */
  parquetReader: "npm:hyparquet@1.31.5",
  /** Pictures, with the next: 30 MB. */
  vega: "npm:vega@6.4.0",
  /** Compiles what a picture says into what Vega draws. */
  vegaLite: "npm:vega-lite@6.5.0",
  /** Types and older syntax for the npm package: 24 MB. */
  typescript: "npm:typescript@5.9.3",
} as const;

/**
 * Imports one of the {@linkcode packages}, or a file of JSON in it.
 *
 * @throws {CannotError} naming the package, when it can be had neither from the cache nor from the registry.
 */
export async function importPackage<Module>(
  name: keyof typeof packages,
  json?: string,
): Promise<Module> {
  const specifier = packages[name];
  try {
    if (json) return await import(`${specifier}/${json}`, { with: { type: "json" } });
    return await import(specifier);
  } catch (cause) {
    const why = reasonOf((cause as Error).message);
    throw new CannotError(`load the package ${specifier}`, why, remedyFor(specifier, why), {
      cause,
    });
  }
}

// Deno's first line, and the reason that it numbers 0 below it.
function reasonOf(message: string): string {
  const [first, ...more] = message.split("\n");
  const reason = more.map((line) => /^\s*0: (.+)/.exec(line)?.[1]).find(Boolean);
  return `${first!}${reason ? `: ${reason}` : ""}`.replace(/\.$/, "");
}

function remedyFor(specifier: string, why: string): string {
  if (/lockfile/i.test(why)) {
    return "Use a lock file that holds it: the tasks of this project that end in :transformers have one, and a program " +
      "of your own gets one by running without --frozen";
  }
  return `It comes from npm when it is first used: \`deno cache ${specifier}\` fetches it, or shows what is in the way`;
}
