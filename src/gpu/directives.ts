// WGSL has no conditional declarations and compilers keep a loop over a private array in memory, so two comment
// directives are expanded before compiling: `// @if NAME` … `// @else` … `// @end` keeps one of two parts, and
// `// @for i in NAME` … `// @end` repeats lines with `{i}` replaced by 0, 1, …, NAME − 1. A comment that begins with @ is
// a directive or an error: one that were skipped would leave half a kernel in silence.

import { CannotError } from "../base/errors.ts";

/** What a kernel is specialised by: numbers become u32, booleans bool, strings stand as they are. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

type Node = string | Conditional | Repetition;

interface Conditional {
  readonly line: number;
  readonly condition: string;
  readonly then: readonly Node[];
  readonly otherwise: readonly Node[];
}

interface Repetition {
  readonly line: number;
  readonly variable: string;
  readonly count: string;
  readonly body: readonly Node[];
}

interface Directive {
  readonly line: number;
  readonly word: string;
  readonly argument: string;
}

/**
 * Expands the directives of a WGSL file.
 *
 * @param file Its name, for messages.
 * @throws {CannotError} naming file and line of a directive that is stray, missing, misspelt or asks for a constant that
 * is not given.
 */
export function expand(file: string, wgsl: string, constants: Constants): string {
  const constant = (name: string, line: number) => {
    if (Object.hasOwn(constants, name)) return constants[name]!;
    const given = Object.keys(constants).join(", ") || "none";
    throw fault(file, line, `it asks for the constant ${name}, and the launcher gives ${given}`);
  };
  const emit = (nodes: readonly Node[]): string[] =>
    nodes.flatMap((node) => {
      if (typeof node === "string") return node;
      if ("condition" in node) {
        const holds = Boolean(constant(node.condition, node.line));
        const [then, otherwise] = [emit(node.then), emit(node.otherwise)]; // both, so that both are checked
        return holds ? then : otherwise;
      }
      const { variable, count, body, line } = node;
      const times = constant(count, line);
      if (typeof times !== "number") throw fault(file, line, `${count} is not a number`);
      const lines = emit(body);
      return Array.from({ length: times }, (_, i) => i)
        .flatMap((i) => lines.map((text) => text.replaceAll(`{${variable}}`, `${i}`)));
    });
  return emit(parse(file, wgsl)).join("\n");
}

/** The words of WGSL code and of its directives, without other comments. */
export function wordsOf(wgsl: string): Set<string> {
  return new Set(wgsl.replace(/\/\/(?!\s*@).*/g, "").match(/\w+/g));
}

function parse(file: string, wgsl: string): readonly Node[] {
  const lines = wgsl.split("\n");
  let at = 0;
  // Up to the directive that ends the block, or to the end of the file.
  const block = (): { nodes: Node[]; end: Directive | undefined } => {
    const nodes: Node[] = [];
    while (at < lines.length) {
      const text = lines[at++]!;
      const directive = directiveIn(file, text, at);
      if (!directive) nodes.push(text);
      else if (directive.word === "if") nodes.push(conditional(directive));
      else if (directive.word === "for") nodes.push(repetition(directive));
      else return { nodes, end: directive };
    }
    return { nodes, end: undefined };
  };
  const conditional = (opener: Directive): Conditional => {
    const { line, argument } = opener;
    if (!/^\w+$/.test(argument)) throw fault(file, line, "it should read `// @if NAME`");
    const first = block();
    const second = first.end?.word === "else" ? block() : { nodes: [], end: first.end };
    expectEnd(opener, second.end);
    return { line, condition: argument, then: first.nodes, otherwise: second.nodes };
  };
  const repetition = (opener: Directive): Repetition => {
    const { line, argument } = opener;
    const [, variable, count] = argument.match(/^(\w+) in (\w+)$/) ?? [];
    if (!variable || !count) throw fault(file, line, "it should read `// @for i in NAME`");
    const { nodes, end } = block();
    expectEnd(opener, end);
    return { line, variable, count, body: nodes };
  };
  const expectEnd = ({ word, line }: Directive, end: Directive | undefined) => {
    if (!end) throw fault(file, line, `nothing ends this @${word}`);
    if (end.word !== "end") {
      throw fault(file, end.line, `the @${word} of line ${line} has no @else`);
    }
  };
  const { nodes, end } = block();
  if (end) throw fault(file, end.line, `this @${end.word} belongs to no @if or @for`);
  return nodes;
}

function directiveIn(file: string, text: string, line: number): Directive | undefined {
  const [, code, word, rest] = text.match(/^(.*?)\/\/\s*@(\w*)(.*)$/) ?? [];
  if (code === undefined) return undefined;
  const argument = rest!.trim();
  if (code.trim() !== "") throw fault(file, line, "a directive stands on a line of its own");
  if (!["if", "for", "else", "end"].includes(word!)) {
    throw fault(file, line, `there is no directive @${word}`);
  }
  if ((word === "else" || word === "end") && argument !== "") {
    throw fault(file, line, `nothing stands behind @${word}, but "${argument}" does`);
  }
  return { line, word: word!, argument };
}

function fault(file: string, line: number, why: string): CannotError {
  return new CannotError(`expand "${file}" line ${line}`, why, "Correct the directive there");
}
