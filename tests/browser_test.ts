// A second compiler and a second runtime: bundled for the browser, the engine runs in Chromium, whose WebGPU is Dawn with
// the compiler Tint, where Deno's is wgpu with Naga.

import { assert, assertClose, assertEquals, assertRejects } from "./assert.ts";
import { bundle, openPage, withChromium } from "./browser.ts";
import { type AdapterOutcome, runOnAdapter } from "./fixtures/browser_program.ts";

const program = new URL("fixtures/browser_program.ts", import.meta.url);
const html = `<!doctype html><script type="module" src="program.js"></script>`;

Deno.test({
  ...withChromium(
    "in Chromium the kernels are right, and training has the losses that it has in Deno",
  ),
  fn: async () => {
    await using page = await openPage({ "/": html, "/program.js": await bundle(program) });
    const found = await page.evaluate<AdapterOutcome>("runOnAdapter()");
    assertEquals(page.log, []);
    assertEquals(found.generated, 2 * 2 * 5);
    const here = await runOnAdapter();
    assert(found.features.includes("subgroups"), found.features.join());
    const rowKernels = [
      "cached_attention.append",
      "cached_attention.attend",
      "next_token.advance",
      "next_token.choose",
    ]
      .concat(["norm.backward", "norm.forward"])
      .concat(
        ["gather", "scatter", "score", "sum_by_class"].map((name) => `selective_loss.${name}`),
      );
    assertEquals(found.shared.withSubgroups, rowKernels);
    assertEquals(found.sharedWithoutSubgroups.withSubgroups, []);
    for (const { checks, drawn } of [found.shared, found.sharedWithoutSubgroups]) {
      for (const { kernel, ok, maxError } of checks) assert(ok, `${kernel}: ${maxError}`);
      assertEquals(checks.map(({ kernel }) => kernel), here.shared.checks.map((c) => c.kernel));
      assertEquals(drawn, here.shared.drawn);
    }
    assertEquals(Object.keys(found.losses), Object.keys(here.losses));
    for (const [model, losses] of Object.entries(here.losses)) {
      assertEquals(losses.length, 4);
      assertClose(found.losses[model]!, losses, 1e-4, `the loss of ${model} on ${found.adapter}`);
    }
  },
});

Deno.test({
  ...withChromium("a page's values come back, and what it throws or logs is heard"),
  fn: async () => {
    await using page = await openPage({ "/": "<!doctype html><title>Two</title>" });
    assertEquals(await page.evaluate("document.title"), "Two");
    assertEquals(await page.evaluate("Promise.resolve([1, { a: null }])"), [1, { a: null }]);
    assertEquals(await page.evaluate("isSecureContext && 'gpu' in navigator"), true);
    await page.evaluate("console.log('one', 2); setTimeout(() => { throw new Error('late'); })");
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))");
    assertEquals(page.log.map((line) => line.split("\n")[0]), ["one 2", "Error: late"]);
    await assertRejects(() => page.evaluate("nothing()"), "nothing is not defined");
    assertEquals(await page.evaluate("fetch('/missing').then(({ status }) => status)"), 404);
  },
});
