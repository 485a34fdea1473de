// The classifiers that a task can be told to score texts with.

import { CannotError } from "../base/errors.ts";
import { contentDigest } from "../base/content_digest.ts";
import type { TextClassifier } from "./classifier.ts";
import { fastTextClassifier } from "./fasttext.ts";
import { linearClassifier, loadLinearModel } from "./linear_classifier.ts";
import { perspectiveClassifier } from "./perspective.ts";
import { transformersClassifier } from "./transformers_classifier.ts";

/** Those there are; all but the last need a file or a model. */
export const classifierKinds = ["linear", "fasttext", "transformers", "perspective"] as const;

/** One of the {@linkcode classifierKinds}. */
export type ClassifierKind = (typeof classifierKinds)[number];

/**
 * Opens a classifier. Perspective takes its key from PERSPECTIVE_API_KEY.
 *
 * @param source A file for linear and fasttext, the name of a model or a folder for transformers.
 * @param options.label The label whose score counts.
 * @param options.perSecond Requests to Perspective a second.
 */
export async function openClassifier(
  kind: ClassifierKind,
  source: string,
  { label, perSecond = 1 }: { label?: string | undefined; perSecond?: number | undefined } = {},
): Promise<TextClassifier> {
  if (kind === "transformers") return await transformersClassifier(source, { label });
  if (kind === "perspective") {
    const apiKey = Deno.env.get("PERSPECTIVE_API_KEY") ?? "";
    return perspectiveClassifier({ apiKey, perSecond, attribute: label });
  }
  const classifier = kind === "linear"
    ? linearClassifier(await loadLinearModel(source))
    : await fastTextClassifier(source, label ?? "__label__toxic");
  // Results are kept under the name of what scored them, and a file can be made anew under its own.
  return { ...classifier, name: `${classifier.name} (${await digestOf(source)})` };
}

async function digestOf(file: string): Promise<string> {
  return `SHA-256 ${(await contentDigest(file)).slice(0, 8)}`;
}

/** Opens what `KIND:SOURCE` or `KIND:SOURCE#LABEL` names, e.g. `linear:scorer.json` or `perspective`. */
export async function openNamedClassifier(
  name: string,
  perSecond?: number,
): Promise<TextClassifier> {
  const [, kind, source = "", label] = name.match(/^([^:#]+)(?::([^#]*))?(?:#(.+))?$/) ?? [];
  const known = classifierKinds.find((each) => each === kind);
  if (known && (source !== "" || known === "perspective")) {
    return await openClassifier(known, source, { label, perSecond });
  }
  throw new CannotError(
    `open the classifier "${name}"`,
    "it is not KIND:SOURCE",
    "Give linear:FILE, fasttext:FILE#LABEL, transformers:MODEL#LABEL or perspective",
  );
}
