// Google's Perspective API, with which the paper scores generations. One comment a request, one
// request a second unless the project's quota is higher. The service ends after 2026, so nothing
// here uses it by default; scores made with it cannot be made again later.
// Requests: POST comments:analyze {comment: {text}, languages, requestedAttributes, doNotStore}.

import { CannotError } from "../base/errors.ts";
import type { TextClassifier } from "./classifier.ts";

/** How the service is asked. */
export interface PerspectiveOptions {
  /** Of a Google Cloud project in which the API is enabled. */
  apiKey: string;
  /** `TOXICITY` unless given. */
  attribute?: string;
  /** ISO 639-1; `en` unless given. */
  language?: string;
  /** Requests a second; 1 unless given, which is the quota of a new project. */
  perSecond?: number;
  /** Attempts at one request before giving up; 6 unless given. */
  attempts?: number;
  /** Sends a request; the global `fetch` unless given. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Waits; a timer unless given. */
  sleep?: (milliseconds: number) => Promise<void>;
  /** Milliseconds on a monotonic clock. */
  now?: () => number;
}

const ENDPOINT = "https://commentanalyzer.googleapis.com/v1alpha1/comments:analyze";
const LONGEST_COMMENT = 20_480; // bytes of UTF-8 that the service takes

/**
 * A classifier that asks the Perspective API for the summary score of one attribute. Texts without
 * a letter or digit are not sent, since the service refuses them, and score 0.
 *
 * @throws {CannotError} (from `score`) when a text is too long, the service refuses, or it is still
 * busy after the last attempt.
 * @see https://developers.perspectiveapi.com
 */
export function perspectiveClassifier(options: PerspectiveOptions): TextClassifier {
  const {
    apiKey,
    attribute = "TOXICITY",
    language = "en",
    perSecond = 1,
    attempts = 6,
    fetch = globalThis.fetch,
    sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    now = () => performance.now(),
  } = options;
  if (apiKey === "" || !(perSecond > 0)) {
    throw new CannotError(
      "use the Perspective API",
      apiKey === "" ? "there is no API key" : `${perSecond} requests a second is not above 0`,
      "Give the key of a Google Cloud project with the API enabled, and a rate within its quota",
    );
  }
  let nextAt = -Infinity; // when the next request may leave

  const ask = async (text: string): Promise<number> => {
    const body = JSON.stringify({
      comment: { text },
      languages: [language],
      requestedAttributes: { [attribute]: {} },
      doNotStore: true,
    });
    for (let attempt = 1;; attempt++) {
      const wait = nextAt - now();
      if (wait > 0) await sleep(wait);
      nextAt = now() + 1000 / perSecond;
      const outcome = await send(fetch, apiKey, body);
      if (typeof outcome === "object") return summaryScore(outcome.answer, attribute);
      if (attempt >= attempts) throw refused(`${outcome}, ${attempts} times`, "Try again later");
      await sleep(1000 * 2 ** (attempt - 1));
    }
  };
  return {
    name: `Perspective API ${attribute}`,
    async score(texts) {
      const scores = new Float64Array(texts.length);
      for (const [i, text] of texts.entries()) {
        if (!/[\p{L}\p{N}]/u.test(text)) continue;
        const { length } = new TextEncoder().encode(text);
        if (length > LONGEST_COMMENT) {
          const why = `text ${i} has ${length} bytes, the limit is ${LONGEST_COMMENT}`;
          throw refused(why, "Score it sentence by sentence");
        }
        scores[i] = await ask(text);
      }
      return scores;
    },
  };
}

/** The answer, or why it is worth trying again. */
async function send(
  fetch: NonNullable<PerspectiveOptions["fetch"]>,
  apiKey: string,
  body: string,
): Promise<{ answer: unknown } | string> {
  let response: Response;
  try {
    response = await fetch(ENDPOINT, {
      method: "POST",
      headers: { "content-type": "application/json", "x-goog-api-key": apiKey },
      body,
    });
  } catch (cause) {
    return `the service was not reached (${(cause as Error).message})`;
  }
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return { answer };
  if (response.status === 429) return "the service says that its quota is used up (HTTP 429)";
  if (response.status >= 500) return `the service failed (HTTP ${response.status})`;
  const { message = "no reason given" } =
    (answer as { error?: { message?: string } } | undefined)?.error ?? {};
  throw refused(`the service refused: ${message} (HTTP ${response.status})`, "Check key and text");
}

function summaryScore(answer: unknown, attribute: string): number {
  const { attributeScores } = (answer ?? {}) as {
    attributeScores?: Record<string, { summaryScore?: { value?: unknown } }>;
  };
  const value = attributeScores?.[attribute]?.summaryScore?.value;
  if (typeof value === "number") return value;
  throw refused(`its answer has no summary score of ${attribute}`, "Check the attribute's name");
}

function refused(why: string, remedy: string): CannotError {
  return new CannotError("score a text with the Perspective API", why, remedy);
}
