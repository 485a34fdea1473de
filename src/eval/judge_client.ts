// Asks a model behind an OpenAI-compatible endpoint (POST chat/completions), which many services and local servers have.
//   tried again   time-out, cut connection, HTTP 408, 409, 429 and 5xx, and a reply that can't be read; after a wait that
//                 doubles, or as long as Retry-After says
//   given up      any other status, a quota that is used up, and after the last attempt
// The key travels in a header only, never over plain HTTP to another machine, and to no address that is redirected to. It is
// in no message: what a service says about a refused key is not repeated, since some repeat the key.

import { CannotError } from "../base/errors.ts";
import type { JudgeReply } from "./judge_cache.ts";

/** Who judges, and how. Everything that decides a reply. */
export interface JudgeModel {
  /** The address under which `chat/completions` is, e.g. `https://api.openai.com/v1`. */
  endpoint: string;
  /** As the service names it. */
  model: string;
  /** 1 in the reference code. */
  temperature: number;
  /** Longest reply in tokens; 2048 in the reference code. */
  maxTokens: number;
}

/** How a service is asked. */
export interface JudgeClientOptions {
  /** The key, where the service wants one. */
  apiKey?: string | undefined;
  /** Attempts at one request before giving up; 6 unless given. */
  attempts?: number;
  /** Milliseconds until an attempt is given up; 60,000 unless given. */
  timeout?: number;
  /** Waits; a timer unless given. */
  sleep?: (milliseconds: number) => Promise<void>;
}

const longestWait = 600_000;

/** The body of a request: what a reply is kept under, together with the endpoint. */
export function judgeRequest(
  { model, temperature, maxTokens }: JudgeModel,
  prompt: string,
): string {
  return JSON.stringify({
    model,
    messages: [{ role: "user", content: prompt }],
    temperature,
    max_tokens: maxTokens,
  });
}

/**
 * A function that sends a request and returns the reply.
 *
 * @throws {CannotError} at once for an address that a key must not go to, and, from the function, when the service refuses
 * or fails to the last.
 */
export function judgeClient(
  { endpoint }: Pick<JudgeModel, "endpoint">,
  options: JudgeClientOptions = {},
): (request: string) => Promise<JudgeReply> {
  const {
    apiKey,
    attempts = 6,
    timeout = 60_000,
    sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  } = options;
  const url = requestAddress(endpoint, apiKey);
  return async (body) => {
    for (let attempt = 1;; attempt++) {
      const outcome = await send(url, body, apiKey, timeout);
      if ("reply" in outcome) return outcome.reply;
      if (attempt >= attempts) {
        throw refused(`${outcome.why}, ${attempts} times`, "Go on later: what was replied is kept");
      }
      await sleep(outcome.wait ?? 1000 * 2 ** (attempt - 1));
    }
  };
}

function requestAddress(endpoint: string, apiKey: string | undefined): URL {
  const url = URL.parse(`${endpoint.replace(/\/+$/, "")}/chat/completions`);
  if (
    !url || !/^https?:$/.test(url.protocol) || url.username || url.password || /[?#]/.test(endpoint)
  ) {
    throw new CannotError(
      "ask a judge",
      "its endpoint is no plain http or https address",
      "Give it as https://api.openai.com/v1, and the key in the environment",
    );
  }
  if (apiKey === undefined) return url;
  const isLocal = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === "http:" && !isLocal) {
    throw new CannotError(
      "ask a judge",
      `the key would travel to ${url.host} without encryption`,
      "Give an https address, or leave the key out of the environment",
    );
  }
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new CannotError("ask a judge", "its key has odd characters", "Check the environment");
  }
  return url;
}

type Attempt = { reply: JudgeReply } | { why: string; wait?: number };

async function send(
  url: URL,
  body: string,
  apiKey: string | undefined,
  timeout: number,
): Promise<Attempt> {
  let response: Response, text: string;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(timeout),
    });
    text = await response.text();
  } catch (error) {
    const why = (error as Error).name === "TimeoutError"
      ? `nothing came within ${timeout / 1000} s`
      : "the connection failed or was cut";
    return { why };
  }
  const { status } = response;
  if (response.ok) return replyOf(text);
  if (status === 429 && errorOf(text).code === "insufficient_quota") {
    throw refused("the quota is used up (HTTP 429)", "Go on later: what was replied is kept");
  }
  if ([408, 409, 429].includes(status) || status >= 500) {
    const why = status === 429 ? "the service is busy (HTTP 429)" : `it failed (HTTP ${status})`;
    const wait = retryAfter(response.headers.get("retry-after"));
    if (wait !== undefined && wait > longestWait) {
      throw refused(
        `${why} for another ${Math.round(wait / 60_000)} minutes`,
        "Go on later: what was replied is kept",
      );
    }
    return { why, ...(wait !== undefined && { wait }) };
  }
  if (status === 401 || status === 403) {
    throw refused(`the key was refused (HTTP ${status})`, "Check the key in the environment");
  }
  if (status >= 300 && status < 400) {
    throw refused(`it sends elsewhere (HTTP ${status})`, "Give the address that it moved to");
  }
  const { message } = errorOf(text);
  const said = message === undefined ? "" : `: ${withoutKey(message, apiKey)}`;
  throw refused(`the service refused (HTTP ${status})${said}`, "Check endpoint and model");
}

function replyOf(text: string): Attempt {
  const body = parsed(text) as
    | {
      model?: unknown;
      choices?: { message?: { content?: unknown } }[];
      usage?: { prompt_tokens?: unknown; completion_tokens?: unknown };
    }
    | null
    | undefined;
  const content = body?.choices?.[0]?.message?.content;
  if (typeof content !== "string" || content.trim() === "") return { why: "its reply has no text" };
  const count = (value: unknown) => typeof value === "number" ? value : 0;
  return {
    reply: {
      text: content.trim(),
      model: typeof body?.model === "string" ? body.model : "",
      tokens: {
        input: count(body?.usage?.prompt_tokens),
        output: count(body?.usage?.completion_tokens),
      },
    },
  };
}

/** Milliseconds, from seconds or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const wait = /^\d+(?:\.\d+)?$/.test(header)
    ? 1000 * Number(header)
    : Date.parse(header) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

function errorOf(text: string): { code?: unknown; message?: string } {
  const { error } = (parsed(text) ?? {}) as { error?: { code?: unknown; message?: unknown } };
  const message = error?.message;
  return { code: error?.code, ...(typeof message === "string" && { message }) };
}

function withoutKey(text: string, apiKey: string | undefined): string {
  return (apiKey === undefined ? text : text.replaceAll(apiKey, "…")).slice(0, 300);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refused(why: string, remedy: string): CannotError {
  return new CannotError("ask the judge", why, remedy);
}
