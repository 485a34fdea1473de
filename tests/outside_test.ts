// The package as other projects find it: by an import map of theirs, or linked. What is optional loads there as well.

import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "./assert.ts";
import { doors } from "./doc_examples.ts";

const root = new URL("../", import.meta.url);
const path = fileURLToPath(root).replace(/\/$/, "");

const projects: Record<string, object> = {
  "an import map": { imports: await doors() },
  "a link": { links: [path] },
};

const program = `
import { objective, openTokenizer, patternLabeller } from "@slung/slung";
import { renderTable } from "@slung/slung/report";
import { lossCurves, renderPlot } from "@slung/slung/plot";
import { showTable } from "@slung/slung/notebook";

const tokenizer = await openTokenizer(${JSON.stringify(`${path}/models/invented-base`)});
const points = [{ step: 0, loss: 2 }, { step: 1, loss: 1 }];
console.log(JSON.stringify([
  objective("masked").name,
  patternLabeller("email").name,
  tokenizer.decode(tokenizer.encode("a mill").ids),
  renderTable([{ key: "a", title: "A" }], [{ a: "b" }]).includes("b"),
  (await renderPlot(lossCurves([{ name: "low risk", points }], "Loss"))).startsWith("<svg"),
  typeof showTable([{ a: 1 }]),
]));
`;

// The packages that are fetched when used: without a network, what is asked of Deno is the whole of their names.
const optional = `
import { toDataFrame } from "@slung/slung/frame";
import { entityLabeller, transformersClassifier } from "@slung/slung/label";

const said = (attempt: Promise<unknown>) => attempt.then(() => "loaded", String);
console.log(JSON.stringify([
  await said(toDataFrame([{ a: 1 }])),
  await said(transformersClassifier("no/model")),
  await said(entityLabeller("no/model")),
]));
Deno.exit();
`;

async function run(project: object, code: string, ...flags: string[]): Promise<unknown> {
  const folder = await Deno.makeTempDir({ prefix: "slung-outside-" });
  try {
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(project));
    await Deno.writeTextFile(`${folder}/main.ts`, code);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-lock", "--no-prompt", ...flags, "main.ts"],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const [way, project] of Object.entries(projects)) {
  Deno.test(`another project type-checks and uses the package through ${way}, with little permission`, async () => {
    assertEquals(
      await run(project, program, "--check", "--allow-read"),
      ["masked", "pattern email", "a mill", true, true, "object"],
    );
  });

  Deno.test(`packages that are fetched when used are found from a project with ${way}`, async () => {
    const said = await run(project, optional, "--cached-only", "--allow-all") as string[];
    assertEquals(said.length, 3);
    for (const [i, name] of ["danfojs-node", "transformers", "transformers"].entries()) {
      const answer = said[i]!;
      if (answer === "loaded" || answer.includes("no/model")) continue; // in the cache of this machine
      assert(answer.includes(`Cannot load the package npm:`) && answer.includes(name), answer);
      assert(/cache/.test(answer) && !/import map/.test(answer), answer);
    }
  });
}
