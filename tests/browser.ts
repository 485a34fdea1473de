// Chromium without a window, for what has to work in a browser. It is spoken to through its DevTools protocol, of which
// this needs three messages: open a page, evaluate an expression in it, hear what it logs. Pages are served from this
// process, because WebGPU wants a secure context, which localhost is.

import { fileURLToPath } from "node:url";

const names = ["chromium", "chromium-browser", "google-chrome", "chrome"];

// WebGPU on SwiftShader, Chromium's own software adapter, and nothing that talks to the network.
const flags = [
  "--headless",
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-unsafe-swiftshader",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A page that is open in a browser. */
export interface Page extends AsyncDisposable {
  /** What it logged so far, and the errors that nothing caught. */
  readonly log: readonly string[];
  /** The value of an expression in the page; waits for a promise. @throws what the page throws, with its log. */
  evaluate<T>(expression: string): Promise<T>;
  /** The addresses that it asked for so far. */
  readonly requests: readonly string[];
  /** What was traced so far, in the order in which it came. */
  readonly trace: readonly TraceEvent[];
  /** Sends a message of the protocol: a key, a click, the size of the window. */
  // deno-lint-ignore no-explicit-any
  send(method: string, params?: Record<string, unknown>): Promise<any>;
}

/** A stretch of a thread's life. */
export interface TraceEvent {
  name: string;
  pid: number;
  tid: number;
  /** Microseconds that the thread computed, of those that passed. */
  tdur?: number;
}

/** The path of a Chromium on this machine, if it has one. */
export function findChromium(): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return names.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find(isFile);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** What a test of a browser needs, for `Deno.test`: said loudly in its name where this machine has none. */
export function withChromium(name: string): { name: string; ignore: boolean } {
  const ignore = findChromium() === undefined;
  return {
    name: ignore ? `SKIPPED, no Chromium here (apt-get install chromium): ${name}` : name,
    ignore,
  };
}

/** Bundles a TypeScript file, with everything it imports, to one module for browsers. */
export async function bundle(file: URL): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--no-lock", "--platform", "browser", fileURLToPath(file)],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/**
 * Opens a page of Chromium on files served from here: their texts by path, `/` among them, or whatever answers requests.
 * Closing it ends both.
 */
export async function openPage(
  files: Readonly<Record<string, string>> | ((request: Request) => Response),
  path = "",
): Promise<Page> {
  const answer = typeof files === "function" ? files : ({ url }: Request) => {
    const { pathname } = new URL(url);
    const text = files[pathname];
    const type = pathname.endsWith(".js") ? "text/javascript" : "text/html";
    if (text === undefined) return new Response(null, { status: 404 });
    return new Response(text, { headers: { "content-type": `${type}; charset=utf-8` } });
  };
  const server = Deno.serve({ port: 0, hostname: "localhost", onListen: () => {} }, answer);
  const profile = await Deno.makeTempDir();
  const process = new Deno.Command(findChromium()!, {
    args: [...flags, `--user-data-dir=${profile}`, "--remote-debugging-port=0", "about:blank"],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const stop = async () => {
    process.kill("SIGKILL");
    await process.status;
    await server.shutdown();
    // Its children end a moment later and may still write to the profile.
    await Deno.remove(profile, { recursive: true }).catch(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await Deno.remove(profile, { recursive: true });
    });
  };
  try {
    const address = await addressOf(process);
    const target = await fetch(`http://${address}/json/new?about:blank`, { method: "PUT" });
    const { webSocketDebuggerUrl } = await target.json();
    return await connect(
      webSocketDebuggerUrl,
      `http://localhost:${server.addr.port}/${path}`,
      stop,
    );
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Presses a key. */
export async function press(
  page: Page,
  key: string,
  { alt = false, control = false } = {},
): Promise<void> {
  const modifiers = Number(alt) + 2 * Number(control);
  for (const type of ["keyDown", "keyUp"]) {
    await page.send("Input.dispatchKeyEvent", { type, key, code: key, modifiers });
  }
}

/** What the button of an id gives as a file. */
export async function taken(page: Page, id: string): Promise<string> {
  return await page.evaluate<string>(`new Promise((resolve) => {
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
      URL.createObjectURL = make;
      blob.text().then(resolve);
      return "data:,";
    };
    document.getElementById("${id}").click();
  })`);
}

/**
 * Milliseconds that the longest task of a page's main thread computed while something happened, wherever it navigated to.
 * Time of the thread and not of the clock: a busy machine makes a task wait, and this does not count that.
 */
export async function longestTask(page: Page, work: () => Promise<unknown>): Promise<number> {
  const from = page.trace.length;
  const includedCategories = ["toplevel", "blink.user_timing"];
  await page.send("Tracing.start", { traceConfig: { includedCategories } });
  await work();
  await page.evaluate(`performance.mark("the main thread")`);
  await page.send("Tracing.end");
  const ended = () => page.trace.length > from && page.trace.at(-1)!.name === traceEnd;
  while (!ended()) await new Promise((resolve) => setTimeout(resolve, 50));
  const events = page.trace.slice(from);
  const main = events.findLast(({ name }) => name === "the main thread")!;
  const times = events
    .filter(({ name, pid, tid }) =>
      name === "ThreadControllerImpl::RunTask" && pid === main.pid && tid === main.tid
    )
    .map(({ tdur = 0 }) => tdur / 1000);
  return times.reduce((a, b) => Math.max(a, b));
}

const traceEnd = "the trace is complete";

// Chromium says on standard error where it listens; what it says later is of no interest.
async function addressOf({ stderr }: Deno.ChildProcess): Promise<string> {
  const lines = stderr.pipeThrough(new TextDecoderStream());
  let said = "";
  for await (const chunk of lines.values({ preventCancel: true })) {
    said += chunk;
    const [, address] = said.match(/DevTools listening on ws:\/\/([^/]+)/) ?? [];
    if (!address) continue;
    lines.pipeTo(new WritableStream()).catch(() => {}); // or it would stop when the pipe is full
    return address;
  }
  throw new Error(`Chromium did not start: ${said}`);
}

/** What the protocol sends: an answer, which has an id, or an event. */
interface Message {
  id?: number;
  method?: string;
  // deno-lint-ignore no-explicit-any
  params?: any;
  // deno-lint-ignore no-explicit-any
  result?: any;
}

// Speaks to a tab, which is empty, and returns once it has loaded a page.
async function connect(tab: string, url: string, stop: () => Promise<void>): Promise<Page> {
  const socket = new WebSocket(tab);
  const log: string[] = [], requests: string[] = [], trace: TraceEvent[] = [];
  const waiting = new Map<number, (message: Message) => void>();
  const crash = Promise.withResolvers<never>();
  crash.promise.catch(() => {}); // where nothing waits for it
  const crashed = () => crash.reject(new Error(`The page crashed after: ${log.join("\n")}`));
  const loaded = Promise.withResolvers<void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, method, params, result } = JSON.parse(data) as Message;
    if (id !== undefined) waiting.get(id)?.({ result });
    if (method === "Inspector.targetCrashed") crashed();
    if (method === "Page.loadEventFired") loaded.resolve();
    if (method === "Tracing.dataCollected") { for (const event of params.value) trace.push(event); }
    if (method === "Tracing.tracingComplete") trace.push({ name: traceEnd, pid: 0, tid: 0 });
    if (method === "Network.requestWillBeSent") requests.push(params.request.url);
    if (method === "Runtime.consoleAPICalled") {
      // deno-lint-ignore no-explicit-any
      log.push(params.args.map((arg: any) => arg.value ?? arg.description).join(" "));
    }
    if (method === "Runtime.exceptionThrown") {
      const { text, exception } = params.exceptionDetails;
      log.push(exception?.description ?? text);
    }
  });
  socket.addEventListener("close", crashed);
  await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
  let last = 0;
  const send = async (method: string, params: Record<string, unknown> = {}) => {
    const id = ++last;
    const answer = new Promise<Message>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    return (await Promise.race([answer, crash.promise])).result;
  };
  for (const domain of ["Runtime", "Inspector", "Page", "Network"]) await send(`${domain}.enable`);
  await send("Emulation.setFocusEmulationEnabled", { enabled: true }); // as if its window were in front
  await send("Page.navigate", { url });
  await Promise.race([loaded.promise, crash.promise]);
  return {
    log,
    requests,
    trace,
    send,
    evaluate: async (expression) => {
      const options = { awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await send("Runtime.evaluate", {
        expression,
        ...options,
      });
      if (!exceptionDetails) return result.value;
      const { text, exception } = exceptionDetails;
      throw new Error([exception?.description ?? text, ...log].join("\n"));
    },
    [Symbol.asyncDispose]: async () => {
      socket.close();
      await stop();
    },
  };
}
