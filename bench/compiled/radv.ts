// What RADV, Mesa's driver for AMD GPUs, prints of every compute kernel that it compiles (RADV_DEBUG=shaders,shaderstats):
// what the kernel costs, and its code, of which the loop that does the work is looked at.

import { CannotError } from "../../mod.ts";

/** What a kernel became on one GPU. */
export interface CompiledKernel {
  /** As labelled, `file.entryPoint`. */
  kernel: string;
  /** Of the adapter's choices that it was first compiled for, where they come from: `assumed` or `set`. */
  choice: string;
  /** Vector registers a lane. */
  registers: number;
  /** Vector registers that did not fit and live in memory. */
  spilled: number;
  /** Scratch memory of a wave, in bytes. */
  scratchBytes: number;
  /** Workgroup memory, in bytes. */
  workgroupBytes: number;
  /** Waves that a SIMD can hold at a time. */
  waves: number;
  instructions: number;
  /** The innermost loop with the most multiply-adds; absent where there is no loop. */
  loop?: Loop;
}

/** A loop by its instructions. */
export interface Loop {
  multiplyAdds: number;
  /** Vector instructions, multiply-adds among them. */
  vector: number;
  /** Loads and stores of memory. */
  memory: number;
  /** Loads and stores of workgroup memory. */
  workgroup: number;
}

/** What stands before the origin of the choices that kernels are compiled for. */
export const choiceMark = "@choice ";

/** What stands before the name of each kernel in the text that is parsed. */
export const kernelMark = "@kernel ";

const statistics = {
  "VGPRs": "registers",
  "Spilled VGPRs": "spilled",
  "Scratch size": "scratchBytes",
  "LDS size": "workgroupBytes",
  "Subgroups per SIMD": "waves",
  "Instructions": "instructions",
} as const;

/** The kernels of what a program and its driver printed, in the order in which they were compiled. */
export function parseKernels(text: string): CompiledKernel[] {
  return text.split(new RegExp(`^${choiceMark}`, "m")).slice(1).flatMap((part) => {
    const [choice, ...sections] = part.split(new RegExp(`^${kernelMark}`, "m"));
    return sections.map((section) => parseKernel(section, firstLine(choice!)));
  });
}

const firstLine = (text: string) => text.slice(0, text.indexOf("\n")).trim();

function parseKernel(section: string, choice: string): CompiledKernel {
  const kernel = firstLine(section);
  const found = Object.entries(statistics).map(([title, key]) => {
    const value = section.match(new RegExp(`^${title}: (\\d+)`, "m"))?.[1];
    if (value === undefined) {
      const remedy = "Is the driver RADV, with RADV_DEBUG=shaders,shaderstats,nocache?";
      throw new CannotError(`read what "${kernel}" costs`, `no "${title}" was printed`, remedy);
    }
    return [key, Number(value)];
  });
  return { kernel, choice, ...Object.fromEntries(found), loop: busiestLoop(blocksOf(section)) };
}

interface Block {
  name: string;
  /** Operation and operands. */
  instructions: string[];
}

// Code is indented and starts after "disasm:"; the names of blocks and what ends the code are not.
function blocksOf(section: string): Block[] {
  const [, code = ""] = section.split(/^disasm:$/m);
  const blocks: Block[] = [];
  for (const line of code.trimStart().split("\n")) {
    const name = line.match(/^(BB\d+):/)?.[1];
    const instruction = line.match(/^\t\s*([^;\s].*)/)?.[1];
    if (name) blocks.push({ name, instructions: [] });
    else if (instruction) blocks.at(-1)?.instructions.push(instruction);
    else if (/^\S/.test(line)) break;
  }
  return blocks;
}

// A branch backwards closes a loop.
function busiestLoop(blocks: readonly Block[]): Loop | undefined {
  const positions = new Map(blocks.map(({ name }, i) => [name, i]));
  const loops = blocks.flatMap(({ instructions }, last) =>
    instructions.flatMap((instruction) => {
      const target = instruction.match(/^s_c?branch\S*\s+(BB\d+)/)?.[1];
      const first = positions.get(target ?? "") ?? Infinity;
      return first <= last ? [{ first, last }] : [];
    })
  );
  const innermost = loops.filter((loop) =>
    !loops.some((other) =>
      other.first >= loop.first && other.last <= loop.last &&
      (other.first !== loop.first || other.last !== loop.last)
    )
  );
  return innermost.map(({ first, last }) => count(blocks.slice(first, last + 1)))
    .reduce<Loop | undefined>(
      (most, loop) => most && most.multiplyAdds >= loop.multiplyAdds ? most : loop,
      undefined,
    );
}

function count(blocks: readonly Block[]): Loop {
  const operations = blocks.flatMap(({ instructions }) =>
    instructions.map((instruction) => instruction.split(/\s/)[0]!)
  );
  const matching = (pattern: RegExp) => operations.filter((name) => pattern.test(name)).length;
  return {
    multiplyAdds: matching(/^v_(fma|fmac|mad|mac|pk_fma|dot\d)/),
    vector: matching(/^v_/),
    memory: matching(/^(buffer|global|scratch|image|flat)_/),
    workgroup: matching(/^ds_/),
  };
}
