// deno task ask runs/x "…": puts a question to every model of a run, side by side.

import { CannotError } from "../src/base/errors.ts";
import { encodePrompt } from "../src/data/spans.ts";
import { truncateCompletion } from "../src/eval/name_generation.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { generate } from "../src/model/generate.ts";
import { openModel } from "../src/model/pretrained.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { renderTitledSample } from "../src/report/samples.ts";
import { displayWidth } from "../src/report/table.ts";
import type { RiskSpan } from "../src/slung/risk.ts";
import { decodeContinuation } from "../src/tokenizers/tokenizer.ts";
import { modelsOf, openRunFolder, type RunModel } from "./run_folder.ts";
import { hasColours } from "./shared.ts";

const command = defineCommand({
  name: "ask",
  summary: "Puts a question to every model of a run and shows the answers side by side.",
  examples: [
    'runs/demo "What is the birthplace of Melkibis Rantrozh?"',
    'runs/stories "A little girl named" --tokens 60',
  ],
  operand: ["run", "question"],
  options: {
    run: {
      type: "path",
      required: true,
      placeholder: "folder",
      help: "What train, demo, tofu or toxicity left behind",
    },
    question: {
      type: "string",
      required: true,
      placeholder: "question",
      help: "The question, or a beginning where the run was not trained on questions",
    },
    tokens: { type: "integer", default: 40, min: 1, placeholder: "n", help: "Longest answer" },
    plain: { type: "flag", help: "Put the text as it is, not in the form of the experiment" },
  },
  async run({ run: path, question, tokens, plain }, terminal) {
    if (question.trim() === "") {
      throw new CannotError("ask nothing", "the question is empty", "Write it in quotation marks");
    }
    const run = await openRunFolder(path);
    const models = await modelsOf(run);
    if (models.length === 0) {
      throw new CannotError(
        `ask the models of "${path}"`,
        "it has none",
        "Let the run end, or run it again without --keep-models no",
      );
    }
    if (!run.risky) terminal.note(`${path} has no risky.txt: nothing is marked.`);
    const prompt = plain || !run.experiment
      ? question
      : run.experiment.prompt.replace("{question}", () => question);
    const colour = hasColours(Deno.stdout);
    const titleWidth = Math.max(...models.map(({ title }) => displayWidth(title)));
    using gpu = await Gpu.open();
    const answers = [];
    for (const model of models) {
      const text = await answer(gpu, model, prompt, tokens);
      const spans = run.risky?.(text) ?? [];
      answers.push({ model: model.folder, title: model.title, text, risky: said(text, spans) });
      const sample = { text: text.trim(), spans: run.risky?.(text.trim()) ?? [] };
      const options = { colour, width: Infinity, titleWidth };
      terminal.print(renderTitledSample(model.title, sample, options));
    }
    return { run: path, question, prompt, adapter: gpu.adapter.name, answers };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

async function answer(
  gpu: Gpu,
  { folder }: RunModel,
  prompt: string,
  maxNewTokens: number,
): Promise<string> {
  const { model, tokenizer, ends } = await openModel(gpu, folder);
  using _model = model;
  const encoded = encodePrompt(tokenizer, prompt);
  const [continuation] = await generate(model, [encoded], {
    maxNewTokens,
    eos: ends,
    finished: (tokens) => {
      const text = tokenizer.decode(tokens);
      return truncateCompletion(text) !== text;
    },
  });
  return truncateCompletion(decodeContinuation(tokenizer, encoded, continuation!));
}

function said(text: string, spans: readonly RiskSpan[]): object[] {
  return spans.map(({ start, end }) => ({ start, end, text: text.slice(start, end) }));
}
