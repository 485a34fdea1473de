// Calls to the worker as functions, and its news.

import type { Calls, Message, News } from "../engine/protocol.ts";

/** The worker, seen from the page. */
export interface Client {
  /** @throws what the worker throws. */
  call<Name extends keyof Calls>(
    name: Name,
    ...args: Parameters<Calls[Name]>
  ): Promise<ReturnType<Calls[Name]>>;
}

/** Starts the worker. */
export function startWorker(onNews: (news: News) => void): Client {
  const worker = new Worker("worker.js", { type: "module" });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let last = 0, broken: Error | undefined;
  worker.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    if ("news" in data) return onNews(data.news);
    const { resolve, reject } = waiting.get(data.id)!;
    waiting.delete(data.id);
    if ("error" in data) reject(new Error(data.error));
    else resolve(data.result);
  });
  worker.addEventListener("error", ({ message }) => {
    const error = new Error(
      message ?? "Cannot load worker.js: nothing came. Load the page again.",
    );
    if (!message) broken = error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  });
  return {
    call(name, ...args) {
      if (broken) return Promise.reject(broken);
      const id = ++last;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(id, answer);
      worker.postMessage({ id, name, args });
      // deno-lint-ignore no-explicit-any -- the worker answers what `Calls` says
      return answer.promise as Promise<any>;
    },
  };
}
