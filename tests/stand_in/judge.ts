// A judge in this process, for tests: an OpenAI-compatible endpoint that counts what it answers in full, and fails as told.

/** What is done with a request instead of answering it. */
export type JudgeFault =
  | Response
  | "never" // no answer before the client gives up
  | "cut" // the connection ends inside the answer
  | undefined;

/** A judge, until it is disposed of. */
export interface StandInJudge extends AsyncDisposable {
  /** Where it is. */
  endpoint: string;
  /** Every request: its prompt, its headers, and its body. */
  seen: { prompt: string; headers: Headers; body: Record<string, unknown> }[];
  /** By prompt, how often it was answered in full: what somebody would have paid for. */
  answered: Map<string, number>;
  /** Decides about each request. @param attempt From 1, of this prompt. */
  fault(prompt: string, attempt: number): JudgeFault | Promise<JudgeFault>;
  /** What it says to a prompt. */
  says(prompt: string): string;
}

/** Starts one that answers every prompt. */
export function standInJudge(): StandInJudge {
  const stop = new AbortController();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {}, signal: stop.signal, onError: () => failed() },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname !== "/v1/chat/completions") return new Response(null, { status: 404 });
      const body = await request.json();
      const prompt: string = body.messages[0].content;
      judge.seen.push({ prompt, headers: request.headers, body });
      const attempt = judge.seen.filter((other) => other.prompt === prompt).length;
      const fault = await judge.fault(prompt, attempt);
      if (fault === "never") {
        await new Promise((resolve) => {
          request.signal.addEventListener("abort", resolve);
          stop.signal.addEventListener("abort", resolve);
        });
        return failed();
      }
      const answer = JSON.stringify({
        model: `${body.model}-2026-01-01`,
        choices: [{ message: { role: "assistant", content: judge.says(prompt) } }],
        usage: { prompt_tokens: 100, completion_tokens: 7 },
      });
      if (fault === "cut") return cutShort(answer);
      if (fault) return fault;
      judge.answered.set(prompt, (judge.answered.get(prompt) ?? 0) + 1);
      return new Response(answer, { headers: { "content-type": "application/json" } });
    },
  );
  const judge: StandInJudge = {
    endpoint: `http://127.0.0.1:${server.addr.port}/v1`,
    seen: [],
    answered: new Map(),
    fault: () => undefined,
    says: (prompt) => prompt.includes("either yes or no") ? "Yes, it is." : "Incorrect: it is not.",
    async [Symbol.asyncDispose]() {
      stop.abort();
      await server.finished;
    },
  };
  return judge;
}

const failed = () => new Response(null, { status: 500 });

function cutShort(answer: string): Response {
  const half = new TextEncoder().encode(answer.slice(0, answer.length / 2));
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(half),
    pull: (controller) => controller.error(new Error("cut")),
  });
  return new Response(body, { headers: { "content-type": "application/json" } });
}
