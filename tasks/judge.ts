// deno task judge runs/demo --model gpt-4o: what a large model says about the answers of a run, by the paper's two prompts.
// The answers are read from the run's results.json: nothing is trained or generated. The key comes from OPENAI_API_KEY for
// api.openai.com, and from JUDGE_API_KEY for any other endpoint, so that one service never sees another's.

import { CannotError } from "../src/base/errors.ts";
import { writeFileAtomic } from "../src/base/files.ts";
import type { Interval } from "../src/base/interval.ts";
import { expectVerdicts, type JudgedAnswer, type JudgeQuestion } from "../src/eval/judge.ts";
import {
  judgeAnswers,
  type JudgePlan,
  judgeQuestions,
  planJudging,
} from "../src/eval/judge_all.ts";
import { openJudgeCache } from "../src/eval/judge_cache.ts";
import { judgeClient, type JudgeModel } from "../src/eval/judge_client.ts";
import { bootstrapInterval, studentInterval } from "../src/eval/statistics.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { createProgress } from "../src/report/progress.ts";
import { type Generation, readResults } from "../src/report/results.ts";
import { intervalCell, renderTable } from "../src/report/table.ts";

const openAI = "https://api.openai.com/v1";

const command = defineCommand({
  name: "judge",
  summary:
    "Asks a large model, by the paper's two prompts, whether the answers of a run are right.",
  examples: [
    "runs/demo --model gpt-4o --dry-run",
    "runs/demo --model llama3 --endpoint http://localhost:11434/v1 --strict",
  ],
  operand: "run",
  options: {
    run: {
      type: "path",
      required: true,
      placeholder: "folder",
      help: "What demo or tofu left behind; judge.json goes there",
    },
    model: { type: "string", required: true, placeholder: "name", help: "As the service names it" },
    endpoint: {
      type: "string",
      default: openAI,
      placeholder: "address",
      help: "Of an OpenAI-compatible service; its key is taken from JUDGE_API_KEY",
    },
    temperature: { type: "number", default: 1, min: 0, max: 2, help: "1 in the reference code" },
    maxTokens: {
      type: "integer",
      default: 2048,
      min: 1,
      max: 1e6,
      help: "Longest reply; 2048 in the reference code",
    },
    strict: { type: "flag", help: "Refuse replies that don't begin with a verdict" },
    priceInput: { type: "number", min: 0, max: 1e6, help: "Per million tokens, for the cost" },
    priceOutput: { type: "number", min: 0, max: 1e6, help: "Per million tokens, for the cost" },
    parallel: { type: "integer", default: 4, min: 1, max: 64, help: "Requests at a time" },
    timeout: { type: "number", default: 60, min: 0.01, max: 3600, help: "Seconds for a reply" },
    dryRun: { type: "flag", help: "Say count and cost, and ask nothing" },
  },
  async run(options, terminal) {
    const { run, endpoint, model, temperature, maxTokens, strict, parallel, timeout } = options;
    const generations = judgeable(await readResults(run), run);
    const answers = generations.map(asAnswer);
    const judge: JudgeModel = { endpoint, model, temperature, maxTokens };
    const variable = endpoint === openAI ? "OPENAI_API_KEY" : "JUDGE_API_KEY";
    const apiKey = Deno.env.get(variable) || undefined;
    const ask = judgeClient(judge, { apiKey, timeout: 1000 * timeout });
    using cache = await openJudgeCache(`${run}/judge-replies.jsonl`);
    const plan = planJudging(answers, judge, cache);
    terminal.note(describePlan(plan, judge, options));
    if (options.dryRun) return { ...plan };
    if (plan.requests > 0 && endpoint === openAI && apiKey === undefined) {
      throw new CannotError(
        "ask the judge",
        `${variable} is not set`,
        "Set it, or give the --endpoint of a service that needs no key",
      );
    }
    using progress = createProgress({ total: Math.max(1, plan.requests), label: "Judging" });
    const judged = await judgeAnswers(answers, judge, cache, {
      ...{ ask, strict, parallel },
      progress: (done) => progress.update(done, ""),
    });
    expectVerdicts(
      judged.verdicts.flatMap((verdicts, i) =>
        judgeQuestions.map((about) => ({
          ...{ about, reply: judged.replies[i]![about].text, verdict: verdicts[about] },
        }))
      ),
    );
    const rows = generations.map(({ method, seed }, i) => ({
      ...{ method: String(method), seed: seed as number | null, ...judged.verdicts[i]! },
    }));
    const summary = summarise(rows);
    terminal.print(renderSummary(summary));
    terminal.print(`Judged by ${model} at ${endpoint}, temperature ${temperature}.`);
    const replies = judged.replies.flatMap(({ full, partial }) => [full, partial]);
    const record = {
      judge: { ...judge, strict, versions: [...new Set(replies.map(({ model }) => model))] },
      ...{ requests: plan.requests, summary },
      verdicts: rows.map((row, i) => ({ ...row, ...answers[i]! })),
    };
    await writeFileAtomic(`${run}/judge.json`, `${JSON.stringify(record, null, 2)}\n`);
    terminal.print(
      `Every verdict is in ${run}/judge.json, every reply in ${run}/judge-replies.jsonl`,
    );
    return { summary, requests: plan.requests, file: `${run}/judge.json` };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

function judgeable({ generations }: { generations: Generation[] }, run: string): Generation[] {
  const known = generations.filter(({ gold }) => typeof gold === "string");
  if (known.length > 0) return known;
  throw new CannotError(
    `judge the answers of "${run}"`,
    "it keeps none whose true answer is known",
    "Give the --out of demo or tofu",
  );
}

function asAnswer({ prompt, text, gold }: Generation): JudgedAnswer {
  return { question: prompt, answer: gold as string, completion: text };
}

function describePlan(
  { verdicts, requests, inputTokens, mostOutputTokens }: JudgePlan,
  { model, endpoint }: JudgeModel,
  { priceInput, priceOutput }: {
    priceInput?: number | undefined;
    priceOutput?: number | undefined;
  },
): string {
  const cost = priceInput === undefined || priceOutput === undefined
    ? "cost unknown without --price-input and --price-output"
    : `at most ${
      ((inputTokens * priceInput + mostOutputTokens * priceOutput) / 1e6).toFixed(2)
    } in the currency of the prices`;
  return `${verdicts} verdicts, ${requests} of them to be asked of ${model} at ${endpoint}: about ${inputTokens} tokens ` +
    `in, at most ${mostOutputTokens} out, ${cost}`;
}

interface JudgedRow {
  method: string;
  seed: number | null;
  full: boolean | null;
  partial: boolean | null;
}

type JudgeSummary = { method: string } & Record<JudgeQuestion, Interval>;

// In percent, over seeds; of one model, over its answers.
function summarise(rows: readonly JudgedRow[]): JudgeSummary[] {
  return [...Map.groupBy(rows, ({ method }) => method)].map(([method, own]) => {
    const models = [...Map.groupBy(own, ({ seed }) => seed).values()];
    const over = (about: JudgeQuestion): Interval => {
      const [first, ...others] = models.map((some) =>
        some.map((row): number => row[about] ? 100 : 0)
      );
      if (others.length === 0 && first!.length > 1) return bootstrapInterval(first!, { seed: 0 });
      return studentInterval(
        [first!, ...others].map((some) => some.reduce((sum, x) => sum + x, 0) / some.length),
      );
    };
    return { method, full: over("full"), partial: over("partial") };
  });
}

function renderSummary(summary: readonly JudgeSummary[]): string {
  return renderTable(
    [
      { key: "method", title: "Method" },
      { key: "full", title: "All right", unit: "%", align: "right" },
      { key: "partial", title: "Something right", unit: "%", align: "right" },
    ],
    summary.map(({ method, full, partial }) => ({
      ...{ method, full: intervalCell(full, 1), partial: intervalCell(partial, 1) },
    })),
  );
}
