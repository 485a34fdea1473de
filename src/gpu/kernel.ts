// A kernel is a WGSL file, the constants it is specialised by, and one of its entry points.
// The file declares its own bindings; their names, numbers and directions are read from it, so that a launcher binds
// by name, the program knows what each dispatch writes, and forward and backward share one file. Parts of a file may
// depend on constants (`directives.ts`).
//
// Kernels compute in f32 and may store f16: a file names the types in which it stores, such as `array<Stored>`, loads
// with `f32(x[i])` and stores with `Stored(value)`, which are nothing where the stored type is f32.

import { CannotError } from "../base/errors.ts";
import { type Constants, expand, wordsOf } from "./directives.ts";
import { runtimeOf, whatToReport } from "./runtime.ts";
import type { ElementType } from "./tensor.ts";

/** One entry point of a WGSL file, specialised by constants. */
export interface Kernel {
  /** `file.entryPoint`, for labels and messages. */
  readonly name: string;
  /** WGSL after constants and directives. */
  readonly source: string;
  /** Its `@compute` function. */
  readonly entryPoint: string;
  /** By the name of the WGSL variable. */
  readonly bindings: ReadonlyMap<string, Binding>;
}

/** A resource declared in WGSL. */
export interface Binding {
  /** `@binding` number in group 0. */
  readonly index: number;
  /** How the shader uses it; a dispatch writes what is `read_write`. */
  readonly access: "read" | "read_write" | "uniform" | "texture";
}

const known = new Map<string, Kernel>(); // a model of many layers asks for the same ones again and again

const declaration =
  /@group\(0\)\s*@binding\((\d+)\)\s*var(?:<(uniform|storage)(?:,\s*(\w+))?>)?\s+(\w+)/g;

/**
 * Describes a kernel.
 *
 * @param file The name of the WGSL file without extension.
 * @param wgsl Its text, or the texts by name of the files that it is made of, such as `{ rows, norm }`.
 * @param entryPoint The `@compute` function.
 * @param constants Become `const NAME = value;` lines before the text: numbers as u32, booleans as bool,
 * strings verbatim.
 * @param types Become `alias NAME = type;`: what the file stores its tensors in.
 * @throws {CannotError} for a fault in a directive, and for a constant or type that the text does not use.
 */
export function kernel(
  file: string,
  wgsl: string | Readonly<Record<string, string>>,
  entryPoint: string,
  constants: Constants = {},
  types: Readonly<Record<string, ElementType>> = {},
): Kernel {
  const parts = Object.entries(typeof wgsl === "string" ? { [file]: wgsl } : wgsl);
  const key = `${file} ${entryPoint} ${JSON.stringify([constants, types])} ${parts.join("\n")}`;
  let specialised = known.get(key);
  if (!specialised) {
    known.set(key, specialised = specialise(file, parts, entryPoint, constants, types));
  }
  return specialised;
}

function specialise(
  file: string,
  parts: readonly (readonly [name: string, text: string])[],
  entryPoint: string,
  constants: Constants,
  types: Readonly<Record<string, ElementType>>,
): Kernel {
  const values = Object.entries(constants);
  const code = values.flatMap(([, value]) => typeof value === "string" ? value : []);
  const names = values.flatMap(([name, value]) => typeof value === "string" ? [] : name);
  expectUsed(file, [...names, ...Object.keys(types)], [...code, ...parts.map(([, text]) => text)]);
  const text = parts.map(([name, part]) => expand(`${name}.wgsl`, part, constants)).join("\n");
  const header = [
    ...Object.values(types).includes("f16") ? ["enable f16;"] : [],
    ...usesSubgroups(text) ? ["enable subgroups;"] : [],
    ...Object.entries(types).map(([name, type]) => `alias ${name} = ${type};`),
    ...values.map(([name, value]) =>
      typeof value === "string"
        ? value
        : `const ${name} = ${typeof value === "number" ? `${value}u` : value};`
    ),
  ];
  const bindings = new Map<string, Binding>();
  for (const [, index, space, access, name] of text.matchAll(declaration)) {
    bindings.set(name!, { index: Number(index), access: accessOf(space, access) });
  }
  const source = header.map((line) => `${line}\n`).join("") + text;
  return { name: `${file}.${entryPoint}`, source, entryPoint, bindings };
}

function usesSubgroups(wgsl: string): boolean {
  return /\bsubgroup[A-Z]\w*\(/.test(wgsl.replace(/\/\/.*/g, ""));
}

// A name that nothing reads is misspelt on either side.
function expectUsed(file: string, names: readonly string[], texts: readonly string[]): void {
  const words = texts.map(wordsOf);
  const unused = names.find((name) => !words.some((set) => set.has(name)));
  if (unused === undefined) return;
  throw new CannotError(
    `specialise "${file}.wgsl"`,
    `it does not use ${unused}, which the launcher gives`,
    "Correct the name, or leave it out",
  );
}

function accessOf(space: string | undefined, access: string | undefined): Binding["access"] {
  if (space === undefined) return "texture";
  if (space === "uniform") return "uniform";
  return access === "read_write" ? access : "read";
}

/** Compiles a kernel; validation errors arrive through the device with the kernel's name as label. */
export function compile(device: GPUDevice, kernel: Kernel): GPUComputePipeline {
  const module = device.createShaderModule({ label: kernel.name, code: kernel.source });
  try {
    return device.createComputePipeline({
      label: kernel.name,
      layout: "auto",
      compute: { module, entryPoint: kernel.entryPoint },
    });
  } catch (cause) {
    throw new CannotError(
      `compile kernel "${kernel.name}"`,
      (cause as Error).message,
      `Report it with ${whatToReport[runtimeOf()]}`,
      { cause },
    );
  }
}
