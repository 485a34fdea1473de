// The page's files, and its label editor in Chromium: a file is opened, paged through from the keyboard, corrected and saved.
// That the page trains is tested by `deno task test:elsewhere`.

import { Risk } from "../src/slung/risk.ts";
import { servePage } from "../tasks/page.ts";
import { pageFiles } from "../tasks/page_files.ts";
import { assert, assertEquals } from "./assert.ts";
import { openPage, type Page, press, taken, withChromium } from "./browser.ts";

const files = await pageFiles();

Deno.test("the page is less than 2 MB, and its modules ask for nothing but each other", () => {
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  assert(bytes > 5e5 && bytes < 2e6, `${bytes} bytes`);
  for (const [name, content] of files) {
    if (!name.endsWith(".js")) continue;
    const found = (content as string).match(/\b(from|import)\s*\(?"(node|npm|jsr|https?):[^"]*"/g);
    assertEquals(found, null, name);
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
