// deno task bench: our kernels and training step against other WebGPU libraries, in one process and in turns, as shares
// of what the adapter can do at most. Results are kept in bench/results/ by adapter.

import { type AdapterDescription, Gpu } from "../src/gpu/gpu.ts";
import { CannotError } from "../mod.ts";
import { measureCeiling } from "../kernels/ceiling.ts";
import { runCommand, type Terminal } from "../src/report/command_line.ts";
import { type Bench, type BenchCase, firstLine } from "./case.ts";
import { attention } from "./cases/attention.ts";
import { cost } from "./cases/cost.ts";
import { decode } from "./cases/decode.ts";
import { matmul } from "./cases/matmul.ts";
import { loss } from "./cases/loss.ts";
import { olmo1b } from "./cases/olmo1b.ts";
import { profile } from "./cases/profile.ts";
import { step } from "./cases/step.ts";
import { MemoryWatch } from "./memory.ts";
import { loadJax } from "./peers/jax.ts";
import { openOurs } from "./peers/ours.ts";
import type { Peer } from "./peers/peer.ts";
import { loadTfjs } from "./peers/tfjs.ts";
import { type CaseResult, writeBenchResults } from "./results.ts";

const cases = { matmul, loss, attention, step, cost, profile, decode, olmo1b } satisfies Record<
  string,
  BenchCase
>;
type CaseName = keyof typeof cases;
const names = Object.keys(cases) as CaseName[];

interface PeerLoader {
  name: string;
  load: () => Promise<Peer>;
  /** Beside a GPU it would only take time. */
  onCpu?: true;
}

const peerLoaders: PeerLoader[] = [
  { name: "jax-js webgpu", load: () => loadJax("webgpu") },
  { name: "jax-js wasm", load: () => loadJax("wasm"), onCpu: true },
  { name: "tfjs webgpu", load: loadTfjs },
];

const folder = "bench/results"; // tasks run in the folder of deno.json

await runCommand({
  name: "bench",
  summary: "Measures the kernels and the training step against other libraries on this adapter.",
  options: {
    only: { type: "list", choices: names, placeholder: "case", help: "Only these cases" },
    rounds: { type: "integer", default: 3, min: 1, placeholder: "n", help: "Turns per library" },
    quick: { type: "flag", help: "Fewer and smaller sizes, short turns; nothing is kept" },
    large: { type: "flag", help: "Also sizes that take minutes on a software adapter" },
  },
  async run({ only, rounds: turns, quick, large }, terminal) {
    using memory = new MemoryWatch();
    using gpu = await Gpu.open();
    const chosen = names.filter((name) => only.length === 0 || only.includes(name));
    const peers = chosen.every((name) => ["cost", "profile", "decode", "olmo1b"].includes(name))
      ? []
      : await loadPeers(gpu.adapter, terminal);
    const rounds = quick ? Math.min(turns, 3) : turns;
    const ceilingGflops = await measureCeiling(gpu);
    terminal.print(heading(gpu.adapter, ceilingGflops, rounds));
    const bench: Bench = {
      ...{ gpu, memory, peers, quick, large, rounds },
      ours: openOurs(gpu),
      seconds: quick ? 0.1 : 0.25,
      note: (text) => terminal.note(`… ${text}`),
    };
    const versions = Object.fromEntries([
      ["deno", Deno.version.deno],
      ...peers.map(({ version }) => version.split(" ")),
    ]);
    const results: Record<string, CaseResult> = {};
    for (const name of chosen) {
      const { text, measurements, notes } = await cases[name](bench);
      terminal.print(["", text, ...notes].join("\n"));
      const date = `${new Date().toISOString().slice(0, 16)}Z`;
      const { kernels } = gpu.adapter;
      const how = { date, versions, kernels, ceilingGflops, rounds };
      const result = results[name] = { ...how, measurements, notes };
      if (quick) continue;
      const paths = await writeBenchResults(folder, gpu.adapter, { [name]: result });
      terminal.print(`Kept in ${paths.join(" and ")}`);
    }
    if (quick) terminal.print("\nA quick run: nothing was kept.");
    return { adapter: gpu.adapter, ceilingGflops, cases: results };
  },
});

async function loadPeers(
  { software }: AdapterDescription,
  terminal: Terminal,
): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const { name, load, onCpu } of peerLoaders) {
    if (onCpu && !software) {
      terminal.note(`${name} does not take part: it computes on the CPU.`);
      continue;
    }
    try {
      peers.push(await load());
    } catch (error) {
      if (error instanceof CannotError) throw error;
      terminal.note(`${name} does not take part: ${firstLine(error)}.`);
    }
  }
  return peers;
}

function heading(
  { name, software }: AdapterDescription,
  ceilingGflops: number,
  rounds: number,
): string {
  const kind = software ? "a software adapter: compare ratios, not times" : "a GPU";
  return [
    `${name}, ${kind}.`,
    `Multiply-adds at most ${
      ceilingGflops.toPrecision(3)
    } GFLOP/s, measured now and again in each comparison; times are medians of ${rounds} rounds.`,
  ].join("\n");
}
