// The page: its panels, and what happens between them.

import { type Example, inventedExample, riskyPhrases } from "./engine/example.ts";
import { exampleFrom, fragmentOf } from "./engine/link.ts";
import { linesOfTexts, textsOfLines } from "./engine/marking.ts";
import { knowledgePicture } from "./engine/drawing.ts";
import { jsonLinesOf, runRecord } from "./engine/take_home.ts";
import type { News, OpenedAdapter } from "./engine/protocol.ts";
import { answersTable } from "./page/answers.ts";
import { cardsIn } from "./page/cards.ts";
import { startWorker } from "./page/client.ts";
import { byId, download, eachFrame, h, pause, whenQuiet } from "./page/dom.ts";
import { markedText } from "./page/marked_text.ts";
import { ownLoss } from "./page/own_loss.ts";
import { questionField } from "./page/questions.ts";
import { readingIn } from "./page/reading.ts";
import { newRun } from "./page/run.ts";
import { classStrip } from "./page/token_strip.ts";
import { trainingControls } from "./page/training.ts";

const run = newRun();
let running: Example | undefined; // what the models in the worker were made for
let adapter = "no adapter";
let began = { step: 0, time: 0 };
let busy: "loading" | "training" | undefined;
let working: Promise<void> = Promise.resolve();

byId("late").remove();
const client = startWorker(hear);
const retokenise = whenQuiet(150, () => tokenise().catch(fault));
const editor = markedText({
  label: "Sentences, one a line",
  onChange: () => {
    changed();
    retokenise();
  },
});
byId("editor").append(editor.element);
await pause();
const own = ownLoss(byId("own"), {
  slopeOf: (line) => client.call("slope", line),
  onChange: changed,
});
const questions = questionField(byId("questions"), {
  onChange: changed,
  onAsk: (question) => ask(question).catch(fault),
});
const controls = trainingControls(byId("controls"), {
  train,
  stop,
  reset() {
    clearFault();
    reset();
  },
});
await pause();
const drawCards = cardsIn(byId("cards"), run);
const drawReading = readingIn(byId("reading"), run, client, fault);
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

byId("answers").append(h("div", { id: "asked" }), h("div", { id: "regular" }));
takeHome();
drawCards();
drawPicture();
await pause();
show(location.hash.length > 1 ? await linked() : inventedExample());
open();

globalThis.addEventListener("hashchange", async () => {
  show(await linked());
  reset();
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

function show(shown: Example): void {
  const { text, spans } = linesOfTexts(shown.texts);
  editor.set(text, spans);
  questions.set(shown.questions);
  own.value = shown.own;
  controls.set(shown);
  retokenise();
}

async function tokenise(): Promise<void> {
  const { texts } = example();
  const tokens = await client.call("tokens", texts);
  byId("tokens").replaceChildren(...tokens.map(classStrip));
}

/** Lets the models do one thing after another, and says how each ended. */
function inTurn(
  state: "loading" | "training",
  work: () => Promise<string>,
): void {
  working = working.then(async () => {
    busy = state;
    controls.show(busy);
    try {
      status(await work());
    } catch (error) {
      fault(error);
    }
    busy = undefined;
    showControls();
  });
}

function open(): void {
  status(
    "Opening the GPU, making four copies of the base model, asking them for the first time …",
  );
  inTurn("loading", async () => {
    const { name, software } = await prepare();
    return `Ready on ${name}.` +
      (software ? " That is no GPU but a program: it works, slowly." : "");
  });
}

/** Makes four copies of the base for what stands on the page. */
async function prepare(): Promise<OpenedAdapter> {
  const next = example();
  if (next.texts.length === 0) {
    throw new Error("Cannot train: there are no sentences. Write one.");
  }
  const prepared = await client.call("prepare", next);
  running = next;
  adapter = prepared.adapter.name;
  run.tokens = prepared.tokens;
  run.own = next.own;
  run.losses = [];
  run.looks = [];
  byId("asked").replaceChildren();
  hear({ kind: "look", look: prepared.look });
  return prepared.adapter;
}

function train(steps: number): void {
  clearFault();
  inTurn("training", async () => {
    status("Making the models and compiling their kernels …");
    if (isChanged()) await prepare();
    began = { step: stepsDone(), time: performance.now() };
    status(
      `Training with seed ${running!.seed}.` +
        (began.step === 0 ? " The first step takes longest." : ""),
    );
    await client.call("train", began.step + steps);
    return stopped();
  });
}

function stop(): void {
  client.call("stop").catch(fault);
}

function reset(): void {
  stop();
  inTurn("loading", async () => {
    await prepare();
    return "Four fresh copies of the base.";
  });
}

function stepsDone(): number {
  return run.losses.at(-1)?.step ?? 0;
}

/** Whether what stands on the page is no longer what the models were made for. */
function isChanged(): boolean {
  return JSON.stringify(running) !== JSON.stringify(example());
}

function changed(): void {
  if (busy) return;
  showControls();
  if (stepsDone() > 0) status(stopped());
}

function showControls(): void {
  controls.show(stepsDone() > 0 && !isChanged() ? "stopped" : "fresh");
}

function stopped(): string {
  const done = `Stopped after ${stepsDone()} steps with seed ${running!.seed}.`;
  return isChanged() ? `${done} The page has changed since: training begins anew.` : done;
}

async function ask(question: string): Promise<void> {
  const answers = await client.call("ask", [question]);
  const caption = `Your question, after ${stepsDone()} steps`;
  const phrases = riskyPhrases(running!.texts);
  byId("asked").replaceChildren(
    answersTable(caption, [{ question, answer: "" }], answers, phrases),
  );
}

function hear(news: News): void {
  if (news.kind === "losses") {
    run.losses.push(news.losses);
    const { step } = news.losses;
    const rate = (step - began.step) / (performance.now() - began.time) * 1000;
    byId("progress").textContent = ` Step ${step}, ${rate.toFixed(1)} steps a second for all four.`;
  } else {
    run.looks.push(news.look);
    drawPicture();
    drawAnswers();
    drawReading();
  }
  drawCards();
}

/** Says what happens; a screen reader says it too, unlike the count of steps behind it. */
function status(said: string): void {
  byId("status").textContent = said;
  byId("progress").textContent = "";
}

function fault(error: unknown): void {
  byId("notice").replaceChildren(
    h("p", { class: "notice" }, (error as Error).message),
  );
  status("");
}

function clearFault(): void {
  byId("notice").replaceChildren();
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
