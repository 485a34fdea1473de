// What an entry point asks of a workgroup: how many invocations, and how much memory they share. WebGPU limits both and
// tells neither, so they are read from the WGSL text, as far as this project's kernels go.

/** What one workgroup of a kernel takes. */
export interface WorkgroupNeeds {
  /** Invocations along x, y and z. */
  size: [x: number, y: number, z: number];
  /** Shared memory, in bytes. */
  memory: number;
}

type Definitions = ReadonlyMap<string, string>;

/**
 * Reads what an entry point takes, with all functions that it calls.
 *
 * @throws {RangeError} for an expression or a type that is none of those in use here.
 */
export function workgroupNeeds(source: string, entryPoint: string): WorkgroupNeeds {
  const text = source.replace(/\/\/.*/g, "");
  const constants = definitions(text, /^const (\w+) = ([^;]+);/gm);
  const aliases = definitions(text, /^alias (\w+) = ([^;]+);/gm);
  const size = text.match(`@workgroup_size\\(([^@]+)\\)\\s*fn ${entryPoint}\\b`)?.[1];
  if (size === undefined) throw new RangeError(`There is no entry point ${entryPoint}`);
  const [x, y = 1, z = 1] = evaluate(size, constants);
  const words = reachableWords(text, entryPoint);
  let memory = 0;
  for (const [, name, type] of text.matchAll(/^var<workgroup> (\w+): ([^;]+);/gm)) {
    if (words.has(name!)) memory += bytesOf(type!, aliases, constants);
  }
  return { size: [x!, y, z], memory };
}

function definitions(text: string, pattern: RegExp): Definitions {
  return new Map(Array.from(text.matchAll(pattern), ([, name, value]) => [name!, value!]));
}

// The words of an entry point and of all functions that it calls, directly or not.
function reachableWords(text: string, entryPoint: string): ReadonlySet<string> {
  const functions = new Map<string, string>();
  for (const [, name, body] of text.matchAll(/^fn (\w+)([^\n]*}$|.*?^})/gms)) {
    functions.set(name!, body!);
  }
  const words = new Set([entryPoint]);
  for (const word of words) { // grows while it is walked
    for (const used of functions.get(word)?.match(/\w+/g) ?? []) words.add(used);
  }
  return words;
}

function bytesOf(type: string, aliases: Definitions, constants: Definitions): number {
  const bytes: Record<string, number> = { f32: 4, u32: 4, f16: 2, vec2f: 8, vec4f: 16, vec4u: 16 };
  const known = bytes[type];
  if (known !== undefined) return known;
  const alias = aliases.get(type);
  if (alias !== undefined) return bytesOf(alias, aliases, constants);
  const [, component] = type.match(/^vec4<(\w+)>$/) ?? [];
  if (component !== undefined) return 4 * bytesOf(component, aliases, constants);
  const [, element, count] = type.match(/^array<([^,]+), (.+)>$/) ?? [];
  if (element === undefined) throw new RangeError(`The size of ${type} is not known here`);
  return bytesOf(element, aliases, constants) * evaluate(count!, constants)[0]!;
}

// The values of a list of integer expressions: + - * / %, brackets, min() and max().
function evaluate(list: string, constants: Definitions): number[] {
  const tokens = list.match(/\w+|[^\s\w]/g) ?? [];
  let at = 0;
  const fail = (): never => {
    throw new RangeError(`"${list}" is nothing that can be computed here`);
  };
  const atom = (): number => {
    const token = tokens[at++] ?? fail();
    if (/^\d+[ui]?$/.test(token)) return parseInt(token);
    if (token === "(") return bracketed()[0]!;
    if ((token === "min" || token === "max") && tokens[at++] === "(") {
      return Math[token](...bracketed());
    }
    return evaluate(constants.get(token) ?? fail(), constants)[0]!;
  };
  const product = (): number => {
    let value = atom();
    while (["*", "/", "%"].includes(tokens[at]!)) {
      const operator = tokens[at++];
      const factor = atom();
      if (operator === "*") value *= factor;
      else value = operator === "/" ? Math.trunc(value / factor) : value % factor;
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (["+", "-"].includes(tokens[at]!)) {
      value += tokens[at++] === "+" ? product() : -product();
    }
    return value;
  };
  const sums = (): number[] => {
    const values = [sum()];
    while (tokens[at] === ",") {
      at++;
      values.push(sum());
    }
    return values;
  };
  const bracketed = (): number[] => {
    const values = sums();
    return tokens[at++] === ")" ? values : fail();
  };
  const values = sums();
  return at === tokens.length ? values : fail();
}
