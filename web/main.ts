// The page: its panels, and what happens between them.

import { type Example, inventedExample, riskyPhrases } from "./engine/example.ts";
import { exampleFrom, fragmentOf } from "./engine/link.ts";
import { linesOfTexts, textsOfLines } from "./engine/marking.ts";
import { knowledgePicture } from "./engine/drawing.ts";
import { jsonLinesOf, runRecord } from "./engine/take_home.ts";
import type { News } from "./engine/protocol.ts";
import { answersTable } from "./page/answers.ts";
import { cardsIn } from "./page/cards.ts";
import { startWorker } from "./page/client.ts";
import { byId, download, eachFrame, h, whenQuiet } from "./page/dom.ts";
import { markedText } from "./page/marked_text.ts";
import { ownLoss } from "./page/own_loss.ts";
import { questionField } from "./page/questions.ts";
import { readingIn } from "./page/reading.ts";
import { newRun } from "./page/run.ts";
import { classStrip } from "./page/token_strip.ts";
import { trainingControls } from "./page/training.ts";
import { missingWebGpu } from "./page/webgpu.ts";

const run = newRun();
let running: Example | undefined; // what the models in the worker were made for
let adapter = "no adapter";
let began = { step: 0, time: 0 };

const client = startWorker(hear);
const editor = markedText({
  label: "Sentences, one a line",
  onChange: () => {
    changed();
    retokenise();
  },
});
const own = ownLoss(byId("own"), changed);
const questions = questionField(byId("questions"), {
  onChange: changed,
  onAsk: ask,
});
const controls = trainingControls(byId("controls"), { train, stop, reset });
const drawCards = cardsIn(byId("cards"), run);
const drawReading = readingIn(byId("reading"), run, client, fault);
const retokenise = whenQuiet(150, tokenise);

const drawPicture = eachFrame(() => {
  byId("picture").innerHTML = knowledgePicture(run.looks);
});
const drawAnswers = eachFrame(() => {
  const look = run.looks.at(-1);
  if (!look || !running) return;
  byId("regular").replaceChildren(answersTable(
    `What they answer after ${look.step} steps`,
    running.questions,
    look.models.map(({ answers }) => answers),
    riskyPhrases(running.texts),
  ));
});

byId("editor").append(editor.element);
byId("answers").append(h("div", { id: "asked" }), h("div", { id: "regular" }));
takeHome();
controls.show("loading");
drawCards();
drawPicture();
await show(location.hash.length > 1 ? await linked() : inventedExample());
await open();

globalThis.addEventListener("hashchange", async () => {
  const example = await linked();
  await client.call("stop");
  await show(example);
  await reset();
});

/** The example as it stands on the page. */
function example(): Example {
  return {
    texts: textsOfLines(editor.text, editor.spans),
    questions: questions.questions,
    own: own.value,
    seed: controls.seed,
    learningRate: controls.learningRate,
  };
}

async function linked(): Promise<Example> {
  try {
    return await exampleFrom(location.hash);
  } catch (error) {
    fault(error);
    return inventedExample();
  }
}

async function show(shown: Example): Promise<void> {
  const { text, spans } = linesOfTexts(shown.texts);
  editor.set(text, spans);
  questions.set(shown.questions);
  own.set(shown.own);
  controls.set(shown);
  await Promise.resolve();
}

async function open(): Promise<void> {
  const missing = await missingWebGpu();
  if (missing) return fault(new Error(missing));
  status("Opening the GPU and the base model …");
  try {
    const opened = await client.call("open");
    adapter = opened.name;
    await tokenise();
    status(
      "Making four copies of the base, and asking them for the first time …",
    );
    await prepare();
    status(
      `Ready on ${adapter}.` +
        (opened.software ? " That is no GPU but a program: it works, slowly." : ""),
    );
  } catch (error) {
    fault(error);
  }
}

async function tokenise(): Promise<void> {
  const { texts } = example();
  const tokens = await client.call("tokens", texts);
  byId("tokens").replaceChildren(...tokens.map(classStrip));
}

/** Makes four copies of the base for what stands on the page. */
async function prepare(): Promise<void> {
  const next = example();
  if (next.texts.length === 0) {
    throw new Error("Cannot train: there are no sentences. Write one.");
  }
  if (!own.valid) {
    throw new Error(
      "Cannot train: your own loss is none. Correct the line, or empty it to p * p.",
    );
  }
  running = next;
  run.tokens = await client.call("tokens", next.texts);
  run.own = next.own;
  run.losses = [];
  run.looks = [];
  byId("asked").replaceChildren();
  await client.call("prepare", next);
  controls.show("fresh");
}

async function train(steps: number): Promise<void> {
  byId("notice").replaceChildren();
  controls.show("training");
  try {
    if (JSON.stringify(running) !== JSON.stringify(example())) await prepare();
    controls.show("training");
    const done = run.losses.at(-1)?.step ?? 0;
    began = { step: done, time: performance.now() };
    status("Compiling the kernels …");
    await client.call("train", done + steps);
    status(
      `Stopped after ${run.losses.at(-1)?.step ?? 0} steps with seed ${running!.seed}.`,
    );
    controls.show("stopped");
  } catch (error) {
    fault(error);
    controls.show(run.losses.length > 0 ? "stopped" : "fresh");
  }
}

function stop(): void {
  client.call("stop").catch(fault);
}

async function reset(): Promise<void> {
  byId("notice").replaceChildren();
  controls.show("loading");
  try {
    await client.call("stop");
    await prepare();
    status("Four fresh copies of the base.");
  } catch (error) {
    fault(error);
    controls.show("fresh");
  }
}

/** What stands on the page is no longer what the models were trained on. */
function changed(): void {
  if (!running || run.losses.length === 0) return;
  if (JSON.stringify(running) === JSON.stringify(example())) return;
  status("Changed: training begins anew with the next start.");
  controls.show("fresh");
}

async function ask(question: string): Promise<void> {
  try {
    const answers = await client.call("ask", [question]);
    const caption = `Your question, after ${run.losses.at(-1)?.step ?? 0} steps`;
    const phrases = riskyPhrases(running!.texts);
    byId("asked").replaceChildren(
      answersTable(caption, [{ question, answer: "" }], answers, phrases),
    );
  } catch (error) {
    fault(error);
  }
}

function hear(news: News): void {
  if (news.kind === "losses") {
    run.losses.push(news.losses);
    const { step } = news.losses;
    const rate = (step - began.step) / (performance.now() - began.time) * 1000;
    status(
      `Step ${step}, seed ${running!.seed}, ${rate.toFixed(1)} steps a second for all four.`,
    );
  } else {
    run.looks.push(news.look);
    drawPicture();
    drawAnswers();
    drawReading();
  }
  drawCards();
}

function status(said: string): void {
  byId("status").textContent = said;
}

function fault(error: unknown): void {
  byId("notice").replaceChildren(
    h("p", { class: "notice" }, (error as Error).message),
  );
  status("");
}

function takeHome(): void {
  const button = (caption: string, id: string, click: () => void) =>
    h("button", { type: "button", id, click }, caption);
  const said = h("span", {
    class: "status",
    role: "status",
    "aria-live": "polite",
  });
  byId("downloads").append(
    button("Sentences and spans (JSONL)", "take-spans", () => {
      download(
        "spans.jsonl",
        "application/jsonl",
        jsonLinesOf(example().texts),
      );
    }),
    button("The run (JSON)", "take-run", () => {
      const record = runRecord(
        running ?? example(),
        adapter,
        run.losses,
        run.looks,
      );
      download("run.json", "application/json", record);
    }),
    button("The picture (SVG)", "take-picture", () => {
      download("picture.svg", "image/svg+xml", knowledgePicture(run.looks));
    }),
    button("Copy a link to this example", "take-link", async () => {
      const url = new URL(`#${await fragmentOf(example())}`, location.href).href;
      history.replaceState(null, "", url);
      const copied = await navigator.clipboard?.writeText(url).then(
        () => true,
        () => false,
      );
      said.textContent = copied
        ? `Copied: ${url.length} characters.`
        : "The link is in the address bar: copy it from there.";
    }),
    said,
  );
}
