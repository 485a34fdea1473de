// A kernel is a WGSL file, the constants it is specialised by, and one of its entry points.
// The file declares its own bindings; their names, numbers and directions are read from it, so that a launcher binds
// by name, the program knows what each dispatch writes, and forward and backward share one file.
//
// WGSL has no conditional declarations and compilers keep a loop over a private array in memory, so two comment
// directives are expanded before compiling: `// @if NAME` … `// @else` … `// @end` keeps one of two parts, and
// `// @for i in NAME` … `// @end` repeats lines with `{i}` replaced by 0, 1, …, NAME − 1.
//
// Kernels compute in f32 and may store f16: a file names the types in which it stores, such as `array<Stored>`, loads
// with `f32(x[i])` and stores with `Stored(value)`, which are nothing where the stored type is f32.

import { CannotError } from "../base/errors.ts";
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

const declaration =
  /@group\(0\)\s*@binding\((\d+)\)\s*var(?:<(uniform|storage)(?:,\s*(\w+))?>)?\s+(\w+)/g;

/**
 * Describes a kernel.
 *
 * @param file The name of the WGSL file without extension.
 * @param wgsl Its text.
 * @param entryPoint The `@compute` function.
 * @param constants Become `const NAME = value;` lines before the text: numbers as u32, booleans as bool,
 * strings verbatim.
 * @param types Become `alias NAME = type;`: what the file stores its tensors in.
 */
export function kernel(
  file: string,
  wgsl: string,
  entryPoint: string,
  constants: Record<string, number | boolean | string> = {},
  types: Record<string, ElementType> = {},
): Kernel {
  const enable = Object.values(types).includes("f16") ? "enable f16;\n" : "";
  const aliases = Object.entries(types).map(([name, type]) => `alias ${name} = ${type};\n`);
  const header = enable + aliases.join("") +
    Object.entries(constants).map(([name, value]) =>
      typeof value === "string"
        ? `${value}\n`
        : `const ${name} = ${typeof value === "number" ? `${value}u` : value};\n`
    ).join("");
  const text = expand(wgsl, constants);
  const bindings = new Map<string, Binding>();
  for (const [, index, space, access, name] of text.matchAll(declaration)) {
    bindings.set(name!, { index: Number(index), access: accessOf(space, access) });
  }
  return { name: `${file}.${entryPoint}`, source: header + text, entryPoint, bindings };
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
      "Report it with the output of `deno task doctor`",
      { cause },
    );
  }
}

/** Expands the `@if` and `@for` directives of a WGSL text. */
export function expand(
  wgsl: string,
  constants: Record<string, number | boolean | string>,
): string {
  const lines = wgsl.split("\n");
  let at = 0;
  const constant = (name: string) => {
    if (name in constants) return constants[name];
    throw new Error(`A directive asks for the constant ${name}, which the launcher does not give`);
  };
  const block = (emit: boolean): string[] => {
    const out: string[] = [];
    while (at < lines.length) {
      const line = lines[at]!;
      const directive = line.match(/^\s*\/\/ @(if|for|else|end)\b\s*(.*)$/);
      if (!directive) {
        if (emit) out.push(line);
        at++;
        continue;
      }
      const [, word, argument] = directive;
      if (word === "else" || word === "end") return out;
      at++;
      if (word === "if") {
        const holds = Boolean(constant(argument!.trim()));
        out.push(...block(emit && holds));
        if (lines[at++]!.includes("@else")) {
          out.push(...block(emit && !holds));
          at++;
        }
      } else {
        const [variable, count] = argument!.split(" in ").map((part) => part.trim());
        const body = block(emit);
        at++;
        for (let i = 0; i < Number(constant(count!)); i++) {
          out.push(...body.map((text) => text.replaceAll(`{${variable}}`, `${i}`)));
        }
      }
    }
    return out;
  };
  return block(true).join("\n");
}
