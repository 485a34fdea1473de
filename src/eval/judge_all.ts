// Judges many answers: what was replied before comes from the cache, equal requests are sent once, and each reply is kept
// before the next is asked for.

import type { JudgeCache, JudgeReply } from "./judge_cache.ts";
import { type JudgedAnswer, judgePrompt, type JudgeQuestion, readVerdict } from "./judge.ts";
import { type JudgeModel, judgeRequest } from "./judge_client.ts";

/** The two verdicts on an answer; null for a reply without one. */
export type Verdicts = Record<JudgeQuestion, boolean | null>;

/** What judging costs, before it begins. */
export interface JudgePlan {
  /** Verdicts that are wanted. */
  verdicts: number;
  /** Requests that must be sent: neither replied to before nor equal to another. */
  requests: number;
  /** Input of these in tokens, at four characters each. */
  inputTokens: number;
  /** Output of these at most. */
  mostOutputTokens: number;
}

/** What is asked about each answer. */
export const judgeQuestions = ["full", "partial"] as const satisfies readonly JudgeQuestion[];

const charactersPerToken = 4;

/** What is still to be sent, each once: the body to send, and what its reply is kept under. */
function missing(
  answers: readonly JudgedAnswer[],
  judge: JudgeModel,
  cache: JudgeCache,
): Map<string, string> {
  const wanted = new Map<string, string>();
  for (const answer of answers) {
    for (const about of judgeQuestions) {
      const body = judgeRequest(judge, judgePrompt(about, answer));
      const key = keyOf(judge, body);
      if (!wanted.has(key) && !cache.find(key)) wanted.set(key, body);
    }
  }
  return wanted;
}

function keyOf({ endpoint }: JudgeModel, body: string): string {
  return `${endpoint}\n${body}`;
}

/** What judging these answers takes. */
export function planJudging(
  answers: readonly JudgedAnswer[],
  judge: JudgeModel,
  cache: JudgeCache,
): JudgePlan {
  const bodies = [...missing(answers, judge, cache).values()];
  const characters = bodies.reduce((sum, body) => sum + body.length, 0);
  return {
    verdicts: judgeQuestions.length * answers.length,
    requests: bodies.length,
    inputTokens: Math.ceil(characters / charactersPerToken),
    mostOutputTokens: bodies.length * judge.maxTokens,
  };
}

/** The verdicts, and who gave them. */
export interface Judged {
  /** In the order of the answers. */
  verdicts: Verdicts[];
  /** What the judge wrote, in the same order. */
  replies: Record<JudgeQuestion, JudgeReply>[];
}

/**
 * Judges answers.
 *
 * @param options.ask Sends a request, e.g. a `judgeClient`.
 * @param options.parallel Requests at a time; 4 unless given.
 * @throws Whatever `ask` throws, after what was under way has been kept.
 */
export async function judgeAnswers(
  answers: readonly JudgedAnswer[],
  judge: JudgeModel,
  cache: JudgeCache,
  { ask, strict, parallel = 4, progress }: {
    ask: (request: string) => Promise<JudgeReply>;
    strict: boolean;
    parallel?: number;
    progress?: (done: number, total: number) => void;
  },
): Promise<Judged> {
  const wanted = missing(answers, judge, cache);
  const waiting = [...wanted];
  let done = 0, failed = false;
  const work = async () => {
    while (!failed && waiting.length > 0) {
      const [key, body] = waiting.shift()!;
      try {
        await cache.keep(key, await ask(body));
      } catch (error) {
        failed = true;
        throw error;
      }
      progress?.(++done, wanted.size);
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: parallel }, work));
  const failure = ends.find((end) => end.status === "rejected");
  if (failure) throw failure.reason;
  const replies = answers.map((answer) => {
    const replyTo = (about: JudgeQuestion) =>
      cache.find(keyOf(judge, judgeRequest(judge, judgePrompt(about, answer))))!;
    return { full: replyTo("full"), partial: replyTo("partial") };
  });
  const read = (about: JudgeQuestion, reply: JudgeReply) => readVerdict(about, reply.text, strict);
  return {
    replies,
    verdicts: replies.map(({ full, partial }) => ({
      full: read("full", full),
      partial: read("partial", partial),
    })),
  };
}
