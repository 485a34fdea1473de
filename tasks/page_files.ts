// The files of the page: bundled from web/, and the base model packed beside them.

import { answerSpans, questionAndAnswer } from "../src/data/sources/tofu.ts";
import { readJson, readText } from "../src/base/files.ts";
import { CannotError } from "../src/base/errors.ts";
import { inventedTask, shippedWorld } from "../src/experiments/names/invented.ts";
import { readPretrained } from "../src/model/pretrained.ts";
import { type BaseDescription, packWeights } from "../web/engine/base.ts";

const root = new URL("../", import.meta.url);
const replayed = 128;

/** The base model as the page opens it. */
export async function packBase(): Promise<
  { description: BaseDescription; weights: Uint8Array<ArrayBuffer> }
> {
  const folder = pathOf("models/invented-base");
  const { source } = await readPretrained(folder);
  const { replay, replayNames } = inventedTask(shippedWorld, replayed);
  const json = async (name: string) =>
    await readJson(`${folder}/${name}`) as Record<string, unknown>;
  return {
    weights: packWeights(source),
    description: {
      config: source.config,
      tokenizer: await json("tokenizer.json"),
      tokenizerConfig: await json("tokenizer_config.json"),
      replay: replay.map((row) => {
        const text = questionAndAnswer(row);
        return { text, spans: answerSpans(text, replayNames) };
      }),
    },
  };
}

/** The files of the page by their names. @throws {CannotError} when something in web/ does not bundle. */
export async function pageFiles(): Promise<
  Map<string, string | Uint8Array<ArrayBuffer>>
> {
  const files = new Map<string, string | Uint8Array<ArrayBuffer>>();
  for (const name of ["index.html", "labels.html", "style.css"]) {
    files.set(name, await readText(pathOf(`web/${name}`)));
  }
  const bundles = ["main", "labels", "worker"].map(async (name) =>
    [`${name}.js`, await bundle(`web/${name}.ts`)] as const
  );
  for (const [name, text] of await Promise.all(bundles)) files.set(name, text);
  const { description, weights } = await packBase();
  files.set("base.json", JSON.stringify(description));
  files.set("base.bin", weights);
  return files;
}

/** One module for browsers, of a file and all that it imports. */
export async function bundle(
  file: string,
  platform: "browser" | "deno" = "browser",
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("deno", { // by name, as --allow-run=deno grants it
    args: [
      "bundle",
      "--quiet",
      "--no-lock",
      "--minify",
      "--platform",
      platform,
      pathOf(file),
    ],
    env: { NO_COLOR: "1" },
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  const why = new TextDecoder().decode(stderr).trim().split("\n")[0]!;
  throw new CannotError(
    `bundle ${file}`,
    why,
    "Run `deno task check`, which says more",
  );
}

function pathOf(file: string): string {
  return decodeURIComponent(new URL(file, root).pathname);
}
