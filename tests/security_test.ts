// What tasks may touch: that SECURITY.md says what deno.json grants, and what those grants come to.

import { assert, assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);
const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root))) as {
  tasks: Record<string, { command: string }>;
};
const page = await Deno.readTextFile(new URL("SECURITY.md", root));
const granted = Object.entries(tasks).flatMap(([name, { command }]) => {
  const flags = command.match(/--allow-(read|write|net|run|ffi|env|sys|import)\b[^ ]*/g);
  return flags ? [{ name, flags }] : [];
});

function flagsOf(task: string): string[] {
  return granted.find(({ name }) => name === task)!.flags;
}

/** What a task may do of one kind, as the table says it. */
function cell(flags: readonly string[], kind: string): string {
  const flag = flags.find((each) => each.startsWith(`--allow-${kind}`));
  if (!flag) return "";
  const [, list] = flag.split("=");
  if (list === undefined) return "anything";
  return list.split(",").map((item) => `\`${item}\``).join(" ");
}

const head = [
  "task",
  "reads",
  "writes",
  "hosts",
  "runs programs",
  "loads libraries",
  "environment",
];
const kinds = ["read", "write", "net", "run", "ffi", "env"];

Deno.test("SECURITY.md says of every task what deno.json lets it read, write, reach and run", () => {
  const [, section] = /<!-- permissions -->([\s\S]*)<!-- \/permissions -->/.exec(page)!;
  const given = section!.trim().split("\n").filter((line) => line !== "")
    .map((line) => line.slice(1, -1).split("|").map((text) => text.trim()));
  const expected = granted.map(({ name, flags }) => [
    `\`${name}\``,
    ...kinds.map((kind) => cell(flags, kind)),
  ]);
  const table = [head, ...expected].map((row) => `| ${row.join(" | ")} |`);
  assertEquals([given[0], ...given.slice(2)], [head, ...expected], table.join("\n"));
});

Deno.test("no task asks, and those that run nothing can fetch no code either", () => {
  for (const { name, flags } of granted) {
    const isOpen = ["run", "ffi"].some((kind) => cell(flags, kind) !== "") || name === "bench";
    if (isOpen) continue;
    assert(flags.includes("--allow-import=none.invalid"), name);
  }
});

const probe = `
const go = (specifier) => import(specifier);
const attempts = {
  read: () => Deno.readTextFile(Deno.args[0]),
  write: () => Deno.writeTextFile(Deno.args[0], "changed"),
  fetch: () => fetch(Deno.args[1]),
  listen: () => Deno.listen({ port: 0 }).close(),
  resolve: () => Deno.resolveDns("localhost", "A"),
  run: () => new Deno.Command(Deno.args[2]).output(),
  library: () => Deno.dlopen("libc.so.6", {}),
  home: () => { if (Deno.env.get("HOME") === undefined) throw new Deno.errors.NotCapable(); },
  host: () => Deno.hostname(),
  code: () => go("https://jsr.io/@std/cli/meta.json"),
  worker: () => new Promise((done, failed) => {
    const code = "data:text/javascript," + encodeURIComponent("fetch('" + Deno.args[1] + "').then(() => postMessage(1), () => postMessage(0))");
    const worker = new Worker(code, { type: "module" });
    worker.onmessage = ({ data }) => { worker.terminate(); data ? done() : failed(new Deno.errors.NotCapable()); };
    worker.onerror = (event) => { event.preventDefault(); failed(new Deno.errors.NotCapable()); };
  }),
};
const possible = [];
for (const [name, attempt] of Object.entries(attempts)) {
  try { await attempt(); possible.push(name); } catch (error) {
    const refused = error instanceof Deno.errors.NotCapable || /Requires import access|[Ll]ockfile/.test(error.message);
    if (!refused) possible.push(name + ": " + error.message);
  }
}
console.log(JSON.stringify(possible));
`;

/** What a program can do under the permissions of a task. */
async function possibleUnder(flags: readonly string[]): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "slung-security-" });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response(""),
  );
  try {
    await Deno.writeTextFile(`${folder}/file`, "a secret");
    await Deno.writeTextFile(`${folder}/probe.ts`, probe);
    const args = [`${folder}/file`, `http://127.0.0.1:${server.addr.port}`, Deno.execPath()];
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--no-lock", ...flags, `${folder}/probe.ts`, ...args],
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert(text !== "", new TextDecoder().decode(stderr));
    return JSON.parse(text);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("under train's permissions only the hub can be reached: no other host, no program, no library", async () => {
  const { flags } = granted.find(({ name }) => name === "train")!;
  assertEquals(cell(flags, "net"), "`huggingface.co` `*.huggingface.co` `*.hf.co`");
  assertEquals(await possibleUnder(flags), ["read", "write", "home"]); // HOME, for the hub's cache
});

Deno.test("under those of verify nothing can be written, under those of demo nothing leaves the machine", async () => {
  assertEquals(await possibleUnder(flagsOf("verify")), ["read"]);
  assertEquals(await possibleUnder(flagsOf("demo")), ["read", "write"]);
});

Deno.test("the probe does find what is allowed", async () => {
  const all = await possibleUnder(["--allow-all"]);
  for (const name of ["read", "write", "fetch", "listen", "run", "library", "host", "worker"]) {
    assert(all.includes(name), `${name} is not among ${all}`);
  }
});

Deno.test("train within named folders reads nothing beside them, and says so", async () => {
  const project = decodeURIComponent(root.pathname), folder = await Deno.makeTempDir();
  const out = `${folder}/out`;
  const secret = `${folder}/secret.jsonl`;
  await Deno.writeTextFile(secret, '{"text":"by the mill","spans":[]}\n');
  const named: Record<string, string> = {
    "--allow-read": `--allow-read=${project},${out}`,
    "--allow-write": `--allow-write=${out}`,
  };
  const flags = flagsOf("train").map((flag) => named[flag] ?? flag);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--lock=locks/light.lock", "--frozen", ...flags],
      ...["tasks/train.ts", "--data", secret, "--out", out, "--model", "models/invented-base"],
    ],
    cwd: root,
    env: { NO_COLOR: "1", INIT_CWD: project },
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals(code, 1, said);
  assert(/^Cannot read .*Requires read access/m.test(said), said);
  assert(!said.includes("by the mill"), said);
  await Deno.remove(folder, { recursive: true });
});
