// An example in a link's fragment, which browsers keep to themselves: JSON, deflated, in base64url.

import type { Example } from "./example.ts";
import { CannotError } from "../../src/base/errors.ts";
import { validateSpans } from "../../src/slung/risk.ts";

const longest = 1 << 20; // characters of JSON that are taken

/** The fragment that holds an example, without `#`. */
export async function fragmentOf(example: Example): Promise<string> {
  const bytes = await through(
    new TextEncoder().encode(JSON.stringify(example)),
    new CompressionStream("deflate-raw"),
  );
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join(
    "",
  );
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll(
    "=",
    "",
  );
}

/** The example in a fragment. @throws {CannotError} when it holds none. */
export async function exampleFrom(fragment: string): Promise<Example> {
  try {
    const binary = atob(
      fragment.replace(/^#/, "").replaceAll("-", "+").replaceAll("_", "/"),
    );
    const packed = Uint8Array.from(
      binary,
      (character) => character.charCodeAt(0),
    );
    const bytes = await through(packed, new DecompressionStream("deflate-raw"));
    return checked(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    if (cause instanceof CannotError) throw cause;
    throw refused("it is damaged or cut off", cause);
  }
}

function checked(example: Example): Example {
  const { texts, questions, own, seed, learningRate } = example;
  if (!Array.isArray(texts) || !Array.isArray(questions)) {
    throw refused("it holds no sentences");
  }
  for (const { text, spans } of texts) {
    if (typeof text !== "string" || !Array.isArray(spans)) {
      throw refused("a sentence is none");
    }
    validateSpans(spans, text.length, "the link");
  }
  for (const { question, answer } of questions) {
    if (typeof question !== "string" || typeof answer !== "string") {
      throw refused("a question is none");
    }
  }
  if (
    typeof own !== "string" || !Number.isInteger(seed) || !(learningRate > 0)
  ) {
    throw refused("its settings are none");
  }
  return {
    texts: texts.map(({ text, spans }) => ({ text, spans })),
    questions: questions.map(({ question, answer }) => ({ question, answer })),
    ...{ own, seed, learningRate },
  };
}

function refused(why: string, cause?: unknown): CannotError {
  return new CannotError(
    "open the example in the link",
    why,
    "Copy the whole link again",
    {
      cause,
    },
  );
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (
    const part of readerOf(new Blob([bytes]).stream().pipeThrough(stream))
  ) {
    parts.push(part);
    length += part.length;
    if (length > longest) {
      throw refused(`it is longer than ${longest} characters`);
    }
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// Safari's streams are not iterable.
async function* readerOf(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
