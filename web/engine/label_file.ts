// A file of labelled texts in memory, one line of JSON each. A line is taken apart when it is looked at, so that a hundred
// thousand of them open at once; what nobody changed is written back byte for byte.

import { CannotError } from "../../src/base/errors.ts";
import type { Fields } from "../../src/data/fields.ts";
import { offsetsTo, type OffsetUnit } from "../../src/data/offsets.ts";
import { isOffsetsLine, riskyText, unitField } from "../../src/data/span_record.ts";
import type { RiskyText } from "../../src/data/spans.ts";
import { Risk, type RiskSpan } from "../../src/slung/risk.ts";

/** What to show of a file. */
export interface LabelFilter {
  /** Texts with a span of this class, without any, or all. */
  shows: "all" | "high" | "possible" | "none" | "changed";
  /** Texts that contain this, whatever the case. */
  words: string;
  /** Texts whose field `score` is at least and at most that; those without one only in the full range. */
  score: { from: number; to: number };
}

/**
 * Reads a file's lines as its bytes come, so that a page answers in between however long it is.
 *
 * @throws {CannotError} when it is not UTF-8, which would come back as something else.
 */
export async function readLines({ name, content }: {
  name: string;
  content: ReadableStream<Uint8Array<ArrayBuffer>>;
}): Promise<string[]> {
  const parts = content.pipeThrough(new TextDecoderStream("utf-8", { fatal: true })).getReader();
  const lines = [""];
  try {
    for (let part = await parts.read(); !part.done; part = await parts.read()) {
      const [first, ...others] = part.value.split("\n");
      lines[lines.length - 1] += first!;
      for (const line of others) lines.push(line);
    }
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new CannotError(`open "${name}"`, "it is not UTF-8", "Convert it", { cause });
  }
  return lines;
}

/** An open file. */
export class LabelFile {
  readonly #lines: readonly string[];
  readonly #rows: Uint32Array; // the line of each text
  readonly #changed = new Map<number, readonly RiskSpan[]>();
  readonly #unit: OffsetUnit;

  /**
   * Opens a file.
   *
   * @param lines From {@linkcode readLines}.
   * @param unit What its offsets count where neither record nor file says so.
   * @throws {CannotError} when it holds nothing, or its first line is no JSON object.
   */
  constructor(
    readonly name: string,
    lines: readonly string[],
    unit: OffsetUnit = "utf16",
  ) {
    this.#lines = lines;
    const rows = [...lines.keys()].filter((line) => /\S/.test(lines[line]!));
    const first = rows.length > 0 ? this.#fields(rows[0]!) : undefined;
    const says = first && isOffsetsLine(first);
    this.#unit = says ? unitField(first, this.#where(rows[0]!)) : unit;
    this.#rows = Uint32Array.from(says ? rows.slice(1) : rows);
    if (this.length > 0) return;
    throw new CannotError(
      `open "${name}"`,
      "it holds no texts",
      "Choose another file",
    );
  }

  /** Texts in the file. */
  get length(): number {
    return this.#rows.length;
  }

  /** Texts whose spans are others than in the file. */
  get changed(): number {
    return this.#changed.size;
  }

  /** A text with its spans in UTF-16 units. @throws {CannotError} naming line and field. */
  at(index: number): RiskyText {
    const { text, spans, ...rest } = this.#read(index);
    return { ...rest, text, spans: this.#changed.get(index) ?? spans };
  }

  /** Gives a text other spans. */
  set(index: number, spans: readonly RiskSpan[]): void {
    const { spans: given } = this.#read(index);
    if (sameSpans(spans, given)) this.#changed.delete(index);
    else this.#changed.set(index, spans);
  }

  /** Whether a filter lets a text through. A line that is no text always passes: it wants to be seen. */
  passes(index: number, { shows, words, score }: LabelFilter): boolean {
    if (shows === "changed" && !this.#changed.has(index)) return false;
    const anyScore = score.from <= 0 && score.to >= 1;
    if ((shows === "all" || shows === "changed") && words === "" && anyScore) return true;
    const found = this.#attempt(index);
    if (!found) return true;
    const { text, spans, value } = found;
    const has = (risk: Risk) => spans.some((span) => span.risk === risk);
    if (shows === "high" && !has(Risk.high)) return false;
    if (shows === "possible" && !has(Risk.possible)) return false;
    if (shows === "none" && (has(Risk.high) || has(Risk.possible))) return false;
    if (!text.toLowerCase().includes(words.toLowerCase())) return false;
    return anyScore || typeof value === "number" && value >= score.from && value <= score.to;
  }

  /** The content to be saved: changed lines in the unit that they had, the others untouched. */
  save(): string {
    return [...this.pieces()].join("");
  }

  /** The content to be saved, a thousand lines at a time. */
  *pieces(): Generator<string> {
    const changed = new Map(
      Array.from(this.#changed, ([index, spans]) => [this.#rows[index]!, spans]),
    );
    const lines = this.#lines;
    for (let first = 0; first < lines.length; first += 1000) {
      const piece = lines.slice(first, first + 1000).map((line, i) => {
        const spans = changed.get(first + i);
        return spans ? this.#written(first + i, spans) : line;
      });
      yield piece.join("\n") + (first + 1000 < lines.length ? "\n" : "");
    }
  }

  #written(line: number, spans: readonly RiskSpan[]): string {
    const fields = this.#fields(line);
    const unit = "offsets" in fields ? unitField(fields, this.#where(line)) : this.#unit;
    return JSON.stringify({ ...fields, spans: inUnit(fields.text as string, spans, unit) });
  }

  #attempt(index: number): RiskyText & { value: unknown } | undefined {
    try {
      const line = this.#rows[index]!, fields = this.#fields(line);
      const { text, spans } = riskyText(fields, this.#where(line), { offsets: this.#unit });
      return { text, spans: this.#changed.get(index) ?? spans, value: fields.score };
    } catch {
      return undefined;
    }
  }

  #read(index: number): RiskyText {
    const line = this.#rows[index]!;
    return riskyText(this.#fields(line), this.#where(line), {
      offsets: this.#unit,
    });
  }

  #fields(line: number): Fields {
    let value: unknown;
    try {
      value = JSON.parse(this.#lines[line]!);
    } catch (cause) {
      const why = (cause as Error).message;
      throw new CannotError(
        `read ${this.#where(line)}`,
        why,
        "Correct the line",
        { cause },
      );
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Fields;
    }
    throw new CannotError(
      `read ${this.#where(line)}`,
      "it is not a JSON object",
      "Correct the line",
    );
  }

  #where(line: number): string {
    return `"${this.name}" line ${line + 1}`;
  }
}

function sameSpans(a: readonly RiskSpan[], b: readonly RiskSpan[]): boolean {
  const plain = (spans: readonly RiskSpan[]) =>
    JSON.stringify(
      spans.filter(({ risk }) => risk !== Risk.low)
        .map(({ start, end, risk }) => [start, end, risk]).sort((x, y) => x[0]! - y[0]!),
    );
  return plain(a) === plain(b);
}

function inUnit(
  text: string,
  spans: readonly RiskSpan[],
  unit: OffsetUnit,
): RiskSpan[] {
  const offsets = offsetsTo(text, unit);
  if (!offsets) {
    return spans.map(({ start, end, risk }) => ({ start, end, risk }));
  }
  return spans.map(({ start, end, risk }) => ({
    start: offsets[start]!,
    end: offsets[end]!,
    risk,
  }));
}
