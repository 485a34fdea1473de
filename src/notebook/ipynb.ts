// Notebooks are written as plain TypeScript, so that they are formatted, linted, type-checked and reviewed like all else:
//
//   // %% [markdown]        begins a text cell; each of its lines is a comment
//   // %%                   begins a code cell
//
// Here such a source becomes a Jupyter notebook (nbformat 4.5), and the outputs of a run join it. Nothing that differs
// from run to run but the results themselves is kept, so that a committed notebook changes only when its content does.

import { CannotError } from "../base/errors.ts";

/** One cell of a source. */
export interface SourceCell {
  /** Text or code. */
  kind: "markdown" | "code";
  /** The same as long as the content is. */
  id: string;
  /** Without the marks of comments. */
  source: string;
  /** The line of the file on which the content begins, from 1. */
  line: number;
}

/** What a cell put out, as nbformat has it. */
export interface CellOutput {
  /** `stream`, `display_data`, `execute_result` or `error`. */
  output_type: string;
  /** Whatever that type has. */
  [field: string]: unknown;
}

const marker = /^\/\/ %%(?: \[(markdown)\])?$/;

/**
 * Splits a source into cells. Comments above the first one are about the file and belong to no cell.
 *
 * @param name Names the file in errors.
 * @throws {CannotError} naming the line, where text is not a comment or code stands outside of cells.
 */
export function parseSource(text: string, name: string): SourceCell[] {
  const cells: { kind: SourceCell["kind"]; lines: string[]; line: number }[] = [];
  text.split(/\r?\n/).forEach((content, i) => {
    const found = marker.exec(content);
    if (found) {
      cells.push({ kind: found[1] ? "markdown" : "code", lines: [], line: i + 2 });
      return;
    }
    const fail = (why: string, remedy: string) => {
      throw new CannotError(`read "${name}" line ${i + 1}`, why, remedy);
    };
    if (content.startsWith("// %%")) {
      fail(`"${content}" begins no cell`, "Write // %% or // %% [markdown]");
    }
    const cell = cells.at(-1);
    const comment = /^\/\/(?: (.*))?$/.exec(content);
    if (!cell) {
      if (content !== "" && !comment) {
        fail("code stands before the first cell", "Put // %% above it");
      }
    } else if (cell.kind === "code") {
      cell.lines.push(content);
    } else if (comment) {
      cell.lines.push(comment[1] ?? "");
    } else if (content !== "") {
      fail("a text cell holds what is no comment", "Put // %% above it, or // before it");
    }
  });
  const seen = new Map<string, number>();
  return cells.map(({ kind, lines, line }) => {
    const blank = lines.findIndex((content) => content !== "");
    const source = lines.join("\n").trim();
    if (source === "") {
      throw new CannotError(
        `read "${name}" line ${line - 1}`,
        "the cell is empty",
        "Fill or remove it",
      );
    }
    const hash = fingerprint(`${kind}\n${source}`);
    const repeats = seen.get(hash) ?? 0;
    seen.set(hash, repeats + 1);
    return { kind, id: repeats > 0 ? `${hash}-${repeats}` : hash, source, line: line + blank };
  });
}

/** The solutions that text cells fold away, in order: each fenced block of TypeScript. */
export function solutionsOf(cells: readonly SourceCell[]): { code: string; line: number }[] {
  return cells.filter(({ kind }) => kind === "markdown").flatMap(({ source, line }) =>
    Array.from(source.matchAll(/^```ts\n([\s\S]*?)^```$/gm), ({ 1: code, index }) => ({
      code: code!,
      line: line + source.slice(0, index).split("\n").length,
    }))
  );
}

/** The code of a source with its solutions, so that these are type-checked too: each follows in a scope of its own. */
export function withSolutions(text: string, cells: readonly SourceCell[]): string {
  return [text, ...solutionsOf(cells).map(({ code }) => `{\n${code}}\n`)].join("\n");
}

/**
 * A notebook as the text of an `.ipynb` file.
 *
 * @param outputs The cleaned outputs of each code cell, in order; a notebook that was not run has none.
 */
export function renderNotebook(
  cells: readonly SourceCell[],
  outputs?: readonly (readonly CellOutput[])[],
): string {
  let count = 0;
  const rendered = cells.map(({ kind, id, source }) => {
    const common = { cell_type: kind, id, metadata: {} };
    if (kind === "markdown") return { ...common, source: linesOf(source) };
    const mine = outputs?.[count++];
    const number = mine ? count : null;
    const numbered = mine?.map((output) =>
      output.output_type === "execute_result" ? { ...output, execution_count: number } : output
    );
    return {
      ...common,
      execution_count: number,
      outputs: (numbered ?? []).map((output) => splitOutput(described(output))),
      source: linesOf(source),
    };
  });
  const notebook = {
    cells: rendered,
    metadata: {
      kernelspec: { display_name: "Deno", language: "typescript", name: "deno" },
      language_info: {
        codemirror_mode: "typescript",
        file_extension: ".ts",
        mimetype: "text/x.typescript",
        name: "typescript",
        nbconvert_exporter: "script",
        pygments_lexer: "typescript",
      },
    },
    nbformat: 4,
    nbformat_minor: 5,
  };
  return `${JSON.stringify(sortKeys(notebook), null, 1)}\n`;
}

/**
 * Outputs as they are committed: printed lines joined, no colours of terminals, no timings of the kernel, no paths of the
 * machine.
 *
 * @param paths Texts to hide, and what to write instead, e.g. the folder of the project.
 */
export function cleanOutputs(
  outputs: readonly CellOutput[],
  paths: ReadonlyMap<string, string>,
): CellOutput[] {
  const cleaned: CellOutput[] = [];
  for (const raw of outputs) {
    const { transient: _, ...output } = mapTexts(raw, (text) => hide(text, paths)) as CellOutput;
    const last = cleaned.at(-1);
    if (output.output_type === "stream" && last?.name === output.name) {
      last!.text += output.text as string;
    } else cleaned.push("metadata" in output ? { ...output, metadata: {} } : { ...output });
  }
  return cleaned;
}

function hide(text: string, paths: ReadonlyMap<string, string>): string {
  // deno-lint-ignore no-control-regex -- the escape that begins a colour
  let hidden = text.replace(/\x1b\[[0-9;]*m/g, "");
  // Longest first: a folder inside another must not lose its beginning to it.
  for (const [path, name] of [...paths].sort(([a], [b]) => b.length - a.length)) {
    if (path.length > 1) hidden = hidden.replaceAll(path, name);
  }
  return hidden;
}

function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((inner) => mapTexts(inner, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, mapTexts(inner, change)]),
  );
}

const longestAlternative = 300;

// What a picture shows, for those who do not see it, where nbconvert's classic template looks for it.
function described(output: CellOutput): CellOutput {
  const data = output.data as Record<string, string | string[]> | undefined;
  if (!data?.["image/png"] || !data["text/plain"]) return output;
  const text = [data["text/plain"]].flat().join("").split("\n\n")[0]!.replace(/\s+/g, " ").trim();
  const alt = text.length > longestAlternative ? `${text.slice(0, longestAlternative)}…` : text;
  return { ...output, metadata: { "image/png": { alt } } };
}

/** nbformat keeps texts as lists of lines, so that a line's change is a line's difference. */
function splitOutput(output: CellOutput): CellOutput {
  if (typeof output.text === "string") return { ...output, text: linesOf(output.text) };
  if (typeof output.data !== "object" || output.data === null) return output;
  const data = Object.entries(output.data).map(([type, content]) => [
    type,
    typeof content === "string" ? linesOf(content) : content,
  ]);
  return { ...output, data: Object.fromEntries(data) };
}

function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/);
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]));
}

/** A cell that somebody wrote or changed after the notebook was made from its source. */
export interface OwnCell {
  /** Its place, from 1. */
  number: number;
  /** Its first line. */
  line: string;
}

/**
 * The cells of a notebook that a person wrote or changed: a cell that was made here carries the fingerprint of its content
 * as its id, and editors keep ids. Outputs are nobody's: running makes them again.
 *
 * @param known The source that the notebook is to be made from; its cells are never a person's.
 * @throws {CannotError} when the text is no notebook.
 */
export function ownCells(
  text: string,
  name: string,
  known: readonly SourceCell[] = [],
): OwnCell[] {
  const ours = new Set(known.map(({ kind, source }) => fingerprint(`${kind}\n${source}`)));
  return readCells(text, name).flatMap(({ cell_type, id, source }, i) => {
    const content = (Array.isArray(source) ? source.join("") : String(source ?? "")).trim();
    const hash = fingerprint(`${cell_type}\n${content}`);
    if (content === "" || ours.has(hash) || id?.replace(/-\d+$/, "") === hash) return [];
    return [{ number: i + 1, line: content.split("\n")[0]! }];
  });
}

/**
 * The outputs in a notebook, for the same source with other texts.
 *
 * @throws {CannotError} naming the first code cell, or folded solution, that is not the one that was run: then nothing
 * that stands in the notebook is known of it.
 */
export function keptOutputs(
  text: string,
  name: string,
  cells: readonly SourceCell[],
): CellOutput[][] {
  const stored = storedCells(text, name);
  const refuse = (what: string) => {
    throw new CannotError(
      `keep the outputs of "${name}"`,
      `${what} is not the one that was run`,
      "Run the notebook: leave --texts out",
    );
  };
  const ran = stored.filter(({ kind }) => kind === "code");
  const code = cells.filter(({ kind }) => kind === "code");
  for (let i = 0; i < Math.max(ran.length, code.length); i++) {
    const same = ran[i]?.source === code[i]?.source && typeof ran[i]?.execution_count === "number";
    if (!same) refuse(`code cell ${i + 1}`);
  }
  const tried = solutionsOf(stored), solutions = solutionsOf(cells);
  for (let i = 0; i < Math.max(tried.length, solutions.length); i++) {
    if (tried[i]?.code !== solutions[i]?.code) refuse(`solution ${i + 1}`);
  }
  return ran.map(({ outputs }) => outputs ?? []);
}

/** The cells of a notebook, with what stands in it of their runs. @throws {CannotError} when the text is no notebook. */
export function storedCells(
  text: string,
  name: string,
): (SourceCell & Pick<StoredCell, "execution_count" | "outputs">)[] {
  return readCells(text, name).map((cell) => ({
    ...cell,
    ...{ kind: cell.cell_type as SourceCell["kind"], id: cell.id ?? "", line: 0 },
    source: [cell.source ?? ""].flat().join("").trim(),
  }));
}

interface StoredCell {
  cell_type: string;
  id?: string;
  source?: string | string[];
  execution_count?: number | null;
  outputs?: CellOutput[];
}

function readCells(text: string, name: string): StoredCell[] {
  try {
    const { cells } = JSON.parse(text) as { cells?: unknown };
    if (Array.isArray(cells)) return cells as StoredCell[];
  } catch {
    // The error below says it.
  }
  throw new CannotError(
    `read "${name}"`,
    "it is no Jupyter notebook",
    "Move it away, so that a new one can be written",
  );
}

/** FNV-1a of a text, as 8 hexadecimal digits. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
