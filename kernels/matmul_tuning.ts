// Finds the variant of the matrix product that suits an adapter: as committed for adapters that were measured, else
// measured once on the adapter itself and kept in a file, which may be edited to override the choice.

import { CannotError } from "../src/base/errors.ts";
import { exists, readJson, writeFileAtomic } from "../src/base/files.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { matmul } from "./matmul.ts";
import {
  committedChoices,
  type MatmulChoices,
  type MatmulVariant,
  setMatmulChoices,
} from "./matmul_choice.ts";

const buffer = (rowBlocks: number, columnBlocks: number): MatmulVariant => ({
  memory: "buffer",
  rowBlocks,
  columnBlocks,
  lines: 8,
});
const candidates: MatmulVariant[] = [
  buffer(2, 2),
  buffer(3, 2),
  { ...buffer(2, 2), memory: "workgroup" },
  { memory: "texture", rowBlocks: 2, columnBlocks: 2, lines: 8 },
  { memory: "texture", rowBlocks: 4, columnBlocks: 3, lines: 2 },
];

/** Where choices came from, for reports. */
export type ChoiceOrigin = "committed" | "file" | "measured";

/**
 * Finds and sets the choices of an adapter: from `file` if it has them, else as committed, else measured and written to
 * the file.
 *
 * @param options.measure Measure even if they are known.
 * @throws {CannotError} naming a file that is not such a file.
 */
export async function chooseKernels(
  gpu: Gpu,
  file: string,
  { measure = false }: { measure?: boolean } = {},
): Promise<{ choices: MatmulChoices; origin: ChoiceOrigin }> {
  const known = await exists(file) ? await readChoices(file) : {};
  const key = `${gpu.adapter.name}, Deno ${Deno.version.deno}`;
  if (!measure && known[key]) {
    setMatmulChoices(gpu, known[key]);
    return { choices: known[key], origin: "file" };
  }
  const given = measure ? undefined : committedChoices(gpu);
  if (given) return { choices: given, origin: "committed" };
  const chosen = await measureChoices(gpu);
  setMatmulChoices(gpu, chosen);
  await Deno.mkdir(file.replace(/[^/\\]*$/, ""), { recursive: true });
  await writeFileAtomic(file, JSON.stringify({ ...known, [key]: chosen }, null, 2) + "\n");
  return { choices: chosen, origin: "measured" };
}

async function readChoices(file: string): Promise<Record<string, MatmulChoices>> {
  const content = await readJson(file) as Record<string, MatmulChoices>;
  const isVariant = (variant: MatmulVariant | undefined) =>
    candidates.some((known) => JSON.stringify(known) === JSON.stringify(variant));
  for (const [key, { square, thin }] of Object.entries(content)) {
    if (isVariant(square) && isVariant(thin) && thin.memory !== "texture") continue;
    throw new CannotError(
      `use the kernel choices in "${file}"`,
      `those for "${key}" are not variants that exist`,
      "Correct them, or remove the file: it is made again",
    );
  }
  return content;
}

// The fastest candidate for a square product and for one of 8 rows; a second or two, most of it for compiling.
async function measureChoices(gpu: Gpu): Promise<MatmulChoices> {
  const thin = candidates.filter(({ memory }) => memory !== "texture");
  return {
    square: await fastest(gpu, candidates, { rows: 512, columns: 512, depth: 512 }),
    thin: await fastest(gpu, thin, { rows: 8, columns: 2048, depth: 512 }),
  };
}

async function fastest(
  gpu: Gpu,
  variants: readonly MatmulVariant[],
  shape: { rows: number; columns: number; depth: number },
): Promise<MatmulVariant> {
  const { rows, columns, depth } = shape;
  const replays = gpu.adapter.software ? 1 : 32;
  let best = variants[0]!;
  let bestTime = Infinity;
  for (const variant of variants) {
    using program = new Program(gpu, "tuning");
    const a = program.allocate("a", [rows, depth]);
    const b = program.allocate("b", [columns, depth]);
    const out = program.allocate("out", [rows, columns]);
    matmul(program, { a, b, out, ...shape, transposeB: true, variant });
    program.replay();
    await gpu.settle(); // compiled
    for (let repeat = 0; repeat < 3; repeat++) {
      const began = performance.now();
      program.replay(replays);
      await gpu.settle();
      const time = performance.now() - began;
      if (time >= bestTime) continue;
      bestTime = time;
      best = variant;
    }
  }
  return best;
}
