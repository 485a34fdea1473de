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
    throw new CannotError(
      `load the package ${specifier}`,
      (cause as Error).message.split("\n")[0]!.replace(/\.$/, ""),
      "Run once with network access, so that Deno can fetch it",
      { cause },
    );
  }
}
