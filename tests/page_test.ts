// The page's files, and its label editor in Chromium: a file is opened, paged through from the keyboard, corrected and saved.
// That the page trains is tested by `deno task test:elsewhere`.

import { Risk } from "../src/slung/risk.ts";
import { servePage } from "../tasks/page.ts";
import { pageFiles } from "../tasks/page_files.ts";
import { assert, assertEquals } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";
import { bundle, openPage, type Page, press, taken, withChromium } from "./browser.ts";

const files = await pageFiles();
const actor = await bundle(new URL("fixtures/page_worker.ts", import.meta.url));

/** Waits until the elements of some ids together say something. */
async function shows(page: Page, pattern: RegExp, ...ids: string[]): Promise<string> {
  const read = `${
    JSON.stringify(ids)
  }.map((id) => document.getElementById(id)?.textContent).join()`;
  for (let tries = 0; tries < 200; tries++) {
    const said = await page.evaluate<string>(read);
    if (pattern.test(said)) return said;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${ids} never said ${pattern}, but ${await page.evaluate(read)}`);
}

/** Writes into a field as a person would. */
async function write(page: Page, selector: string, value: string | number): Promise<void> {
  await page.evaluate(`(() => {
    const field = document.querySelector(${JSON.stringify(selector)});
    field.value = ${JSON.stringify(String(value))};
    field.dispatchEvent(new Event("input"));
  })()`);
}

async function click(page: Page, id: string): Promise<void> {
  await page.evaluate(`document.getElementById("${id}").click()`);
}

/** What a screen reader would call the controls of a page, by role. */
async function controls(page: Page): Promise<{ role: string; name: string }[]> {
  await page.send("Accessibility.enable");
  const { nodes } = await page.send("Accessibility.getFullAXTree");
  const roles = ["textbox", "searchbox", "button", "combobox", "spinbutton", "listbox", "toolbar"];
  return nodes
    // deno-lint-ignore no-explicit-any
    .map(({ role, name }: any) => ({ role: role?.value, name: name?.value ?? "" }))
    .filter(({ role }: { role: string }) => roles.includes(role));
}

Deno.test("the page is less than 2 MB, and its modules ask for nothing but each other", () => {
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  assert(bytes > 5e5 && bytes < 2e6, `${bytes} bytes`);
  for (const [name, content] of files) {
    if (!name.endsWith(".js")) continue;
    const found = (content as string).match(/\b(from|import)\s*\(?"(node|npm|jsr|https?):[^"]*"/g);
    assertEquals(found, null, name);
  }
});

Deno.test("the page's task writes its files and says what they take", async () => {
  const out = await Deno.makeTempDir();
  try {
    const { code, stdout, stderr } = await runTask("page", ["--out", `${out}/page`, "--json"]);
    assertEquals(code, 0, stderr);
    const report = JSON.parse(stdout);
    const sizes = await Promise.all(
      [...files.keys()].map(async (name) => (await Deno.stat(`${out}/page/${name}`)).size),
    );
    assertEquals(report.files, [...files.keys()]);
    assertEquals(report.bytes, sizes.reduce((sum, size) => sum + size, 0));
    assert(stderr.includes(`${files.size} files, `), stderr);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});

const emoji = "🙂 Mira ran.";
const second = "Then Oren é sang.";
const units = [
  ["utf16", [3, 7], [5, 9]],
  ["codepoint", [2, 6], [5, 9]],
  ["utf8", [5, 9], [5, 9]],
] as const;

/** Puts a text into the file field, as if it were chosen from the disk. */
async function choose(page: Page, content: string): Promise<void> {
  await page.evaluate(`(() => {
    const chosen = new DataTransfer();
    chosen.items.add(new File([${JSON.stringify(content)}], "a.jsonl"));
    const field = document.getElementById("chooser");
    field.files = chosen.files;
    field.dispatchEvent(new Event("change"));
  })()`);
  await said(page, "of");
}

async function said(page: Page, part: string): Promise<string> {
  const read = `["status", "notice"].map((id) => document.getElementById(id).textContent.trim())`;
  for (let tries = 0; tries < 100; tries++) {
    const [status, fault] = await page.evaluate<[string, string]>(read);
    assertEquals(fault, "");
    if (/^[\d,]+ of/.test(status) && status.includes(part)) return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Nothing said "${part}"`);
}

Deno.test({
  ...withChromium(
    "in the label editor spans are changed from the keyboard, and saved in their unit",
  ),
  fn: async () => {
    await using page = await openPage(servePage(files), "labels.html");
    for (const [unit, [start, end], oren] of units) {
      const first = JSON.stringify({ id: 1, text: emoji, spans: [[start, end]] });
      const line = JSON.stringify({ text: second, spans: [] });
      await choose(page, `{"offsets":"${unit}"}\n${first}\n${line}\n`);
      await page.evaluate(`document.querySelector("[role=listbox]").focus()`);
      await press(page, "ArrowDown");
      await press(page, "Enter");
      const field = `document.querySelector("#editor textarea")`;
      assertEquals(await page.evaluate(`${field}.value`), second);
      assertEquals(await page.evaluate(`document.activeElement === ${field}`), true);
      await page.evaluate(`${field}.setSelectionRange(6, 6)`); // in "Oren"
      await press(page, "Enter", { control: true });
      await said(page, "1 changed");
      const saved = (await taken(page, "save")).split("\n");
      assertEquals(saved.slice(0, 2), [`{"offsets":"${unit}"}`, first]);
      const [from, to] = oren;
      assertEquals(JSON.parse(saved[2]!).spans, [{ start: from, end: to, risk: Risk.high }]);
      await page.evaluate(`${field}.focus()`);
      await press(page, "ArrowUp", { alt: true });
      assertEquals(await page.evaluate(`${field}.value`), emoji);
      assertEquals(
        await page.evaluate(`document.querySelector("#editor .behind mark").textContent`),
        "Mira",
      );
      await page.evaluate(`${field}.setSelectionRange(4, 4)`);
      await press(page, "Enter", { control: true }); // risky, then possibly risky
      await said(page, "2 changed");
      const again = JSON.parse((await taken(page, "save")).split("\n")[1]!);
      assertEquals(again, { id: 1, text: emoji, spans: [{ start, end, risk: Risk.possible }] });
      await page.evaluate(`globalThis.confirm = () => true`);
    }
    assertEquals(page.log, []);
    assertEquals(
      page.requests.filter((url) => !/^(http:\/\/localhost:|blob:|data:)/.test(url)),
      [],
    );
  },
});

Deno.test({
  ...withChromium(
    "a page of four models: five hundred steps at once are drawn at most once a frame",
  ),
  fn: async () => {
    await using page = await openPage(servePage(new Map([...files, ["worker.js", actor]])));
    await shows(page, /^Ready on no adapter at all/, "status");
    await page.evaluate(`(() => {
      globalThis.drawn = globalThis.frames_ = 0;
      new MutationObserver(() => drawn++).observe(
        document.querySelector(".card > div"), { childList: true });
      const tick = () => requestAnimationFrame(() => (frames_++, tick()));
      tick();
    })()`);
    await write(page, "#steps", 500);
    await click(page, "go");
    await shows(page, /^Stopped after 500 steps with seed 0\.$/, "status");
    await page.evaluate(
      `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))`,
    );
    const [drawn, frames] = await page.evaluate<[number, number]>("[drawn, frames_]");
    assert(drawn > 0 && drawn <= frames, `${drawn} drawings in ${frames} frames`);
    const { losses, looks } = JSON.parse(await taken(page, "take-run"));
    assertEquals([losses.length, looks.length], [500, 51]);
    assertEquals(page.log, []);
  },
});

Deno.test({
  ...withChromium(
    "training stops, goes on, begins anew after a change, and refuses what is no loss",
  ),
  fn: async () => {
    await using page = await openPage(servePage(new Map([...files, ["worker.js", actor]])));
    const go = () => page.evaluate<string>(`document.getElementById("go").textContent`);
    await shows(page, /^Ready/, "status");
    await write(page, "#own-line", "broken");
    await shows(page, /^Cannot make the loss/, "own-said");
    const invalid = `document.getElementById("own-line").getAttribute("aria-invalid")`;
    assertEquals(await page.evaluate(invalid), "true");
    await click(page, "go");
    await shows(page, /^Cannot make the loss: broken\.$/, "notice");
    await write(page, "#own-line", "p");
    await shows(page, /slope of p$/, "own-said");

    await write(page, "#steps", 990);
    await click(page, "go");
    await shows(page, /Step \d/, "progress");
    assertEquals(await page.evaluate(`document.getElementById("notice").textContent`), "");
    await write(page, "#own-line", "p * p");
    assertEquals(await page.evaluate(`document.getElementById("stop").disabled`), false);
    await click(page, "stop");
    await shows(page, /^Stopped after \d+ steps with seed 0. The page has changed/, "status");
    assertEquals(await go(), "Train");
    await write(page, "#own-line", "p");
    await shows(page, /with seed 0\.$/, "status");
    assertEquals(await go(), "Go on");
    await click(page, "go");
    await shows(page, /Step \d/, "progress");
    await click(page, "reset");
    await shows(page, /^Four fresh copies of the base/, "status");
    const { losses, looks } = JSON.parse(await taken(page, "take-run"));
    assertEquals([losses.length, looks.length], [0, 1]);
    await write(page, "#steps", 10);
    for (const steps of [10, 20]) {
      await click(page, "go");
      await shows(page, new RegExp(`^Stopped after ${steps} steps`), "status");
      assertEquals(await go(), "Go on");
    }
    assertEquals(page.log, []);
  },
});

Deno.test({
  ...withChromium(
    "both pages are used from the keyboard: controls have names, a word is marked, tokens are walked",
  ),
  fn: async () => {
    await using page = await openPage(servePage(new Map([...files, ["worker.js", actor]])));
    await shows(page, /^Ready/, "status");
    const named = await controls(page);
    assertEquals(named.filter(({ name }) => name.trim() === ""), []);
    assert(named.length > 20, `${named.length} controls`);
    const stops: string[] = [];
    for (let i = 0; i < 30; i++) {
      await press(page, "Tab");
      stops.push(
        await page.evaluate(`(() => {
        const { id, tagName, textContent } = document.activeElement;
        return id || (tagName === "TEXTAREA" ? "sentences" : textContent.trim().slice(0, 14));
      })()`),
      );
      if (stops[i] === "take-link") break;
    }
    assertEquals(stops, [
      ...["sentences", "Mark as risky", "Possibly risky", "Unmark", "What the model"],
      ...["go", "steps", "seed", "rate", "Your own loss ", "own-line"],
      ...["question-lines", "own-question", "ask-all", "What they answ"],
      ...["sentence", "Solkebo", "Solkebo", "Solkebo", "Solkebo"],
      ...["take-spans", "take-run", "take-picture", "take-link"],
    ]);
    await page.evaluate(`document.querySelector("#editor textarea").focus()`);
    await page.evaluate(`document.activeElement.setSelectionRange(20, 20)`); // in "writes"
    await press(page, "Enter", { control: true });
    await shows(page, /“writes” is now risky\./, "editor");
    await page.evaluate(`document.querySelector(".reading .token").focus()`);
    for (const key of ["ArrowDown", "ArrowRight"]) await press(page, key);
    const said = await shows(page, /Direct.*Masked: no loss on this token/, "reading");
    assert(said.includes("“Pivlugrin”"), said);
    await page.send("Page.navigate", { url: page.requests[0]! + "labels.html" });
    await shows(page, /In the list: arrow keys/, "status");
    assertEquals((await controls(page)).filter(({ name }) => name.trim() === ""), []);
  },
});

Deno.test({
  ...withChromium("a hundred thousand lines open, and the last is reached with one key"),
  fn: async () => {
    await using page = await openPage(servePage(files), "labels.html");
    const made = `Array.from({ length: 100_000 }, (_, i) =>
      JSON.stringify({ text: "Text " + i + " of Mira", spans: [[0, 4]] })).join("\\n")`;
    await page.evaluate(`(() => {
      const chosen = new DataTransfer();
      chosen.items.add(new File([${made}], "a.jsonl"));
      const field = document.getElementById("chooser");
      field.files = chosen.files;
      field.dispatchEvent(new Event("change"));
    })()`);
    assertEquals(await said(page, "0 changed"), "100,000 of 100,000 texts, 0 changed.");
    await page.evaluate(`document.querySelector("[role=listbox]").focus()`);
    await press(page, "End");
    assertEquals(
      await page.evaluate(`document.querySelector("#editor textarea").value`),
      "Text 99999 of Mira",
    );
    const rows = await page.evaluate<number>(`document.querySelectorAll("[role=option]").length`);
    assert(rows > 5 && rows < 100, `${rows} rows`); // only those in view
  },
});
