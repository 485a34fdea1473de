// The label editor: a file from the disk, its texts as a list, one of them to be marked, and the file saved again.

import { LabelFile, type LabelFilter, readLines } from "./engine/label_file.ts";
import { byId, download, h, inSlices, whenQuiet } from "./page/dom.ts";
import { markedText, markStyles } from "./page/marked_text.ts";
import { virtualList } from "./page/virtual_list.ts";
import { offsetUnits } from "../src/data/offsets.ts";

const mostShown = 300; // characters of a row

let file: LabelFile | undefined;
let shown: Uint32Array = new Uint32Array();
let searches = 0;
let loading = false;

const editor = markedText({
  label: "The text; its words cannot be changed, its marks can",
  readOnly: true,
  onChange() {
    const index = shown[list.chosen];
    if (loading || !file || index === undefined) return;
    file.set(index, editor.spans);
    list.redraw();
    tell();
  },
});
const list = virtualList({
  label: "Texts",
  rowOf,
  onChoose: open,
  onEnter: () => editor.element.querySelector("textarea")!.focus(),
});

const unit = h(
  "select",
  { id: "unit" },
  ...offsetUnits.map((name) => h("option", { value: name }, name)),
);
const chooser = h("input", {
  id: "chooser",
  type: "file",
  accept: ".jsonl,.json,.ndjson,.txt",
  async change() {
    const [chosen] = chooser.files ?? [];
    if (!chosen) return;
    if (
      file && file.changed > 0 &&
      !confirm("Leave the changes that are not saved?")
    ) return;
    await attempt(async () => {
      const { name } = chosen;
      const lines = await readLines({ name, content: chosen.stream() });
      file = new LabelFile(name, lines, offsetUnits.find((each) => each === unit.value)!);
      shown = new Uint32Array();
      list.show(0, 0);
      await filter();
    });
  },
});
const save = h("button", {
  type: "button",
  id: "save",
  class: "main",
  disabled: true,
  click: () =>
    attempt(async () => {
      const { name } = file!, parts: Blob[] = [];
      await inSlices(file!.pieces(), (piece) => parts.push(new Blob([piece])));
      download(name, "application/jsonl", new Blob(parts));
    }),
}, "Save");
const shows = h(
  "select",
  { id: "shows", change: () => filter() },
  ...Object.entries(
    {
      all: "all texts",
      high: "with something risky",
      possible: "with something possibly risky",
      none: "with nothing marked",
      changed: "changed here",
    } satisfies Record<LabelFilter["shows"], string>,
  ).map(([value, caption]) => h("option", { value }, caption)),
);
const filterSoon = whenQuiet(200, filter);
const words = h("input", {
  id: "words",
  type: "search",
  input: () => filterSoon(),
});
const from = scoreField("from", 0), to = scoreField("to", 1);

byId("file").append(
  h("label", { for: "chooser" }, "File (JSONL)", chooser),
  h("label", { for: "unit" }, "its offsets count", unit),
  save,
);
byId("filters").append(
  h("label", { for: "shows" }, "Show", shows),
  h("label", { for: "words" }, "that contain", words),
  h("label", { for: "from" }, "score from", from),
  h("label", { for: "to" }, "to", to),
);
byId("late").remove();
byId("list").append(list.element);
byId("editor").append(editor.element);
editor.element.addEventListener("keydown", (event) => {
  if (!event.altKey || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) {
    return;
  }
  event.preventDefault();
  list.choose(list.chosen + (event.key === "ArrowDown" ? 1 : -1));
});
globalThis.addEventListener("beforeunload", (event) => {
  if (file && file.changed > 0) event.preventDefault();
});

function scoreField(id: string, value: number): HTMLInputElement {
  return h("input", {
    id,
    type: "number",
    min: 0,
    max: 1,
    step: "any",
    value,
    input: () => filterSoon(),
  });
}

function filter(): Promise<void> {
  return attempt(async () => {
    if (!file) return;
    const searched = file, mine = ++searches;
    const wanted: LabelFilter = {
      shows: shows.value as LabelFilter["shows"],
      words: words.value,
      score: {
        from: from.valueAsNumber || 0,
        to: Number.isNaN(to.valueAsNumber) ? 1 : to.valueAsNumber,
      },
    };
    const found: number[] = [];
    byId("status").textContent = "Looking through the texts …";
    const done = await inSlices(new Array(searched.length).keys(), (index) => {
      if (searched.passes(index, wanted)) found.push(index);
    }, () => mine === searches);
    if (!done) return;
    const before = shown[list.chosen];
    shown = Uint32Array.from(found);
    list.show(
      shown.length,
      Math.max(0, before === undefined ? 0 : shown.indexOf(before)),
    );
    if (shown.length === 0) editor.set("", []);
    tell();
  });
}

function open(row: number): void {
  loading = true;
  attempt(() => {
    const { text, spans } = file!.at(shown[row]!);
    editor.set(text, spans);
  }, () => editor.set("", []));
  loading = false;
}

function rowOf(row: number): (Node | string)[] {
  const index = shown[row]!;
  const line = h("span", { class: "line" }, String(index + 1));
  try {
    const { text, spans } = file!.at(index);
    const parts: (Node | string)[] = [line];
    let at = 0;
    for (
      const { start, end, risk } of [...spans].sort((a, b) => a.start - b.start)
    ) {
      if (start >= mostShown || start < at) continue;
      parts.push(
        text.slice(at, start),
        h("mark", { class: markStyles[risk] ?? "" }, text.slice(start, end)),
      );
      at = end;
    }
    return [...parts, text.slice(at, Math.max(at, mostShown))];
  } catch (error) {
    return [line, `⚠ ${(error as Error).message}`];
  }
}

function tell(): void {
  save.disabled = file!.changed === 0;
  byId("status").textContent = `${shown.length.toLocaleString("en")} of ${
    file!.length.toLocaleString("en")
  } texts, ${file!.changed.toLocaleString("en")} changed.`;
}

async function attempt(
  work: () => unknown,
  otherwise?: () => void,
): Promise<void> {
  try {
    byId("notice").replaceChildren();
    await work();
  } catch (error) {
    otherwise?.();
    byId("notice").replaceChildren(
      h("p", { class: "notice" }, (error as Error).message),
    );
  }
}
