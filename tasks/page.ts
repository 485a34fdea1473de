// deno task page: SLUNG as a page of static files, which trains in the browser of whoever opens it.

import { writeFolder } from "../src/base/files.ts";
import { describeBytes } from "../src/base/bytes.ts";
import { CannotError } from "../src/base/errors.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { pageFiles } from "./page_files.ts";

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  bin: "application/octet-stream",
};

/** Answers with the files of the page. */
export function servePage(
  files: ReadonlyMap<string, string | Uint8Array<ArrayBuffer>>,
): (request: Request) => Response {
  return ({ url }) => {
    const name = new URL(url).pathname.slice(1) || "index.html";
    const content = files.get(name);
    if (content === undefined) {
      return new Response("Not here.", { status: 404 });
    }
    const type = types[name.split(".").pop()!]!;
    return new Response(content, {
      headers: { "content-type": type, "cache-control": "no-cache" },
    });
  };
}

const command = defineCommand({
  name: "page",
  summary: "Makes a page on which SLUNG trains in the browser, as static files for any host.",
  examples: ["--serve", "--out runs/page"],
  options: {
    out: { type: "path", placeholder: "folder", help: "Where the files go" },
    serve: {
      type: "flag",
      help: "Show the page from this machine, until Ctrl-C",
    },
    port: {
      type: "integer",
      default: 8000,
      min: 1,
      max: 65535,
      help: "Where it is served",
    },
  },
  async run({ out, serve, port }, terminal) {
    if (!out && !serve) {
      throw new CannotError(
        "make the page",
        "nothing says where it goes",
        "Give --out or --serve",
      );
    }
    const files = await pageFiles();
    const bytes = [...files.values()].reduce(
      (sum, content) =>
        sum +
        (typeof content === "string" ? new TextEncoder().encode(content) : content).length,
      0,
    );
    if (out) {
      await writeFolder(out, files);
      terminal.print(`${files.size} files, ${describeBytes(bytes)}, in ${out}`);
    }
    if (serve) {
      const server = Deno.serve(
        { port, hostname: "localhost", onListen: () => {} },
        servePage(files),
      );
      terminal.print(`http://localhost:${port}/ (Ctrl-C ends it)`);
      await server.finished;
    }
    return { files: [...files.keys()], bytes, ...(out && { out }) };
  },
});

export default command;

if (import.meta.main) await runCommand(command);
