// A hub of Hugging Face's in this process, for tests: its two routes, and a store on another host to which it sends those
// who ask for large files. Faults are put in by the test.

import { createHash } from "node:crypto";

/** The files of a commit, by path. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A request as a server saw it. */
export interface Seen {
  route: "state" | "file" | "store";
  /** The name of the repository, or the path of the file. */
  what: string;
  /** The header that says who asks. */
  authorization: string | null;
  /** The header that says which bytes are wanted. */
  range: string | null;
}

/** What is done with a request instead of answering it: another answer, or a connection that is cut after some bytes. */
export type Fault = Response | { cutAfter: number } | { withoutRanges: true } | undefined;

/** The hub and its store, until they are disposed of. */
export interface StandInHub extends AsyncDisposable {
  /** Where it is. */
  endpoint: string;
  /** All requests, in order. */
  seen: Seen[];
  /** Makes a commit the head of a branch, and returns it. */
  commit(repository: string, files: Files, branch?: string): string;
  /** Decides about each request. */
  fault(request: Seen): Fault;
}

/** The part of a store's address that opens it. */
export const signature = "Signature=opensTheStore";

const large = 64; // bytes from which a file lies in the store

/** Starts a hub without repositories. */
export function standInHub(): StandInHub {
  const branches = new Map<string, string>(), commits = new Map<string, Files>();
  const stored = new Map<string, Uint8Array>();
  const serve = (answer: (url: URL, request: Request) => Response) =>
    Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) => answer(new URL(request.url), request),
    );

  const store = serve(({ pathname }, request) => {
    const digest = pathname.slice(1);
    return answer(
      "store",
      digest,
      request,
      (ranges) => bytesOf(stored.get(digest)!, request, ranges),
    );
  });
  const storeAddress = `http://127.0.0.1:${store.addr.port}`;

  const hub = serve(({ pathname }, request) => {
    const state = pathname.match(/^\/api\/(models|datasets)\/([^/]+\/[^/]+)\/revision\/(.+)$/);
    if (state) {
      const repository = state[1] === "models" ? state[2]! : `datasets/${state[2]}`;
      const revision = decodeURIComponent(state[3]!);
      return answer("state", repository, request, () => stateOf(repository, revision));
    }
    const file = pathname.match(/^\/((?:datasets\/)?[^/]+\/[^/]+)\/resolve\/(\w+)\/(.+)$/);
    if (!file) return refusal(404, "EntryNotFound");
    const path = decodeURIComponent(file[3]!);
    return answer("file", path, request, (ranges) => {
      const bytes = asBytes(commits.get(`${file[1]} ${file[2]}`)?.[path]);
      if (bytes === undefined) return refusal(404, "EntryNotFound");
      if (bytes.length < large) return bytesOf(bytes, request, ranges);
      const location = `${storeAddress}/${sha256(bytes)}?${signature}`;
      return new Response(null, { status: 302, headers: { location } });
    });
  });

  function stateOf(repository: string, revision: string): Response {
    if (![...commits.keys()].some((key) => key.startsWith(`${repository} `))) {
      return refusal(401, "RepoNotFound"); // as the hub says where nobody has said who asks
    }
    const sha = branches.get(`${repository} ${revision}`) ?? revision;
    const files = commits.get(`${repository} ${sha}`);
    if (!files) return refusal(404, "RevisionNotFound");
    const siblings = Object.keys(files).map((rfilename) => {
      const bytes = asBytes(files[rfilename])!;
      const about = { rfilename, size: bytes.length, blobId: gitDigest(bytes) };
      return bytes.length < large ? about : { ...about, lfs: { sha256: sha256(bytes) } };
    });
    return Response.json({ id: repository, sha, siblings });
  }

  function answer(
    route: Seen["route"],
    what: string,
    { headers }: Request,
    properly: (ranges: boolean) => Response,
  ): Response {
    const seen = {
      ...{ route, what },
      ...{ authorization: headers.get("authorization"), range: headers.get("range") },
    };
    self.seen.push(seen);
    const fault = self.fault(seen);
    if (fault instanceof Response) return fault;
    if (fault && "cutAfter" in fault) return cut(properly(true), fault.cutAfter);
    return properly(!(fault && "withoutRanges" in fault));
  }

  const self: StandInHub = {
    endpoint: `http://127.0.0.1:${hub.addr.port}`,
    seen: [],
    commit(repository, files, branch = "main") {
      for (const content of Object.values(files)) {
        const bytes = asBytes(content)!;
        stored.set(sha256(bytes), bytes);
      }
      const digests = Object.entries(files).map((
        [path, content],
      ) => [path, sha256(asBytes(content)!)]);
      const commit = createHash("sha1").update(JSON.stringify(digests)).digest("hex");
      commits.set(`${repository} ${commit}`, files);
      branches.set(`${repository} ${branch}`, commit);
      return commit;
    },
    fault: () => undefined,
    async [Symbol.asyncDispose]() {
      await Promise.all([hub.shutdown(), store.shutdown()]);
    },
  };
  return self;
}

/** An answer of the hub that says no. */
export function refusal(
  status: number,
  code?: string,
  headers: Record<string, string> = {},
): Response {
  return new Response("no", {
    status,
    headers: { ...headers, ...(code && { "x-error-code": code }) },
  });
}

/** The SHA-256 of bytes, in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The name that Git gives to bytes. */
export function gitDigest(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function bytesOf(bytes: Uint8Array, { headers }: Request, ranges: boolean): Response {
  const from = Number(headers.get("range")?.match(/^bytes=(\d+)-$/)?.[1] ?? NaN);
  if (!ranges || Number.isNaN(from)) return new Response(bytes.slice());
  if (from >= bytes.length) return new Response(null, { status: 416 });
  return new Response(bytes.slice(from), {
    status: 206,
    headers: { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` },
  });
}

function cut(response: Response, after: number): Response {
  const { status, body } = response;
  if (body === null) return response;
  const headers = new Headers(response.headers); // which promise more than will come
  headers.set("content-length", "1000000");
  const reader = body.getReader();
  let left = after;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value } = await reader.read();
      if (value && left > 0) controller.enqueue(value.subarray(0, left));
      left -= value?.length ?? 0;
      if (left > 0 && value) return;
      await new Promise((resolve) => setTimeout(resolve, 5)); // what was sent should leave before
      await reader.cancel();
      controller.close();
    },
  });
  return new Response(stream, { status, headers });
}

function asBytes(content: string | Uint8Array | undefined): Uint8Array | undefined {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}
