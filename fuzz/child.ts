// The process in which inputs are read: it may crash, hang or run out of memory without taking the fuzzer along.
//   deno run -A fuzz/child.ts <reader> <seed> <first> <end>
// Prints a line of JSON before it begins and after each input.

import { CannotError } from "../src/base/errors.ts";
import { Random } from "../src/base/random.ts";
import { bytesOf, damaged, type Files } from "./reader.ts";
import { readers } from "./readers.ts";

/** What became of an input. */
export interface Verdict {
  /** Its number; -1 says that the process is ready. */
  input: number;
  /** Refused clearly; accepted; refused with an error that is no sentence; accepted though it is nonsense. */
  kind: "clear" | "accepted" | "raw" | "nonsense";
  /** Of the last two, what was said. */
  said?: string;
  /** Resident bytes of the process. */
  memory: number;
}

if (import.meta.main) {
  const [name, seed, first, end] = Deno.args;
  const reader = readers.find((each) => each.name === name)!;
  const files = await reader.files();
  const folder = await Deno.makeTempDir();
  await write(folder, files);
  const nonsense = await reader.read(folder); // a reader that refuses sound files would pass every test
  if (nonsense !== undefined) throw new Error(`the sound files of ${name}: ${nonsense}`);
  say({ input: -1, kind: "accepted" });
  for (let input = Number(first); input < Number(end); input++) {
    await write(folder, damaged(reader, files, new Random(Number(seed), `${name} ${input}`)));
    try {
      const nonsense = await reader.read(folder);
      if (nonsense === undefined) say({ input, kind: "accepted" });
      else say({ input, kind: "nonsense", said: nonsense });
    } catch (error) {
      if (isClear(error)) say({ input, kind: "clear" });
      else {say({
          input,
          kind: "raw",
          said: error instanceof Error ? error.stack ?? "" : String(error),
        });}
    }
  }
  Deno.exit(0); // whatever a device still holds
}

// A sentence that says what cannot be done, why, and what to do; short enough to be read.
function isClear(error: unknown): boolean {
  return error instanceof CannotError && error.message.length < 4000 &&
    /^Cannot [^]+: [^]+\. \S[^]+\.$/.test(error.message);
}

async function write(folder: string, files: Files): Promise<void> {
  await Deno.remove(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const path = `${folder}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, bytesOf(content));
  }
}

function say(verdict: Omit<Verdict, "memory">): void {
  const { rss: memory } = Deno.memoryUsage();
  const line = new TextEncoder().encode(`${JSON.stringify({ ...verdict, memory })}\n`);
  for (let done = 0; done < line.length;) done += Deno.stdout.writeSync(line.subarray(done));
}
