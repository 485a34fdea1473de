// The fields of a configuration file, read by name and checked. It remembers which were read, because one that nobody
// reads may change the numbers all the same: such a field is refused, or said, and never passed over in silence.

import { CannotError } from "../../../base/errors.ts";
import { show } from "../../../base/show.ts";

/** A JSON object whose fields are read by name; `path` leads to it inside the file. */
export class Fields {
  readonly #json: Record<string, unknown>;
  readonly #where: string;
  readonly #path: string;
  readonly #read = new Set<string>();

  /** @throws {CannotError} naming the file, when `json` is no object. */
  constructor(json: unknown, where: string, path = "") {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      throw new CannotError(
        `read "${where}"`,
        `${path === "" ? "it" : `field "${path.slice(0, -1)}"`} is not a JSON object`,
        "Check that it is a model's config.json",
      );
    }
    this.#json = json as Record<string, unknown>;
    this.#where = where;
    this.#path = path;
  }

  /** The field as it is; `undefined` where it is absent. */
  value(name: string): unknown {
    this.#read.add(name);
    return Object.hasOwn(this.#json, name) ? this.#json[name] : undefined;
  }

  /** Whether the field is there, be it null. */
  has(name: string): boolean {
    return Object.hasOwn(this.#json, name);
  }

  /** The nested object `name`; `undefined` when it is absent, null or empty. */
  section(name: string): Fields | undefined {
    const value = this.value(name) ?? {};
    const section = new Fields(value, this.#where, `${this.#path}${name}.`);
    return Object.keys(value).length === 0 ? undefined : section;
  }

  /** A number that may be left out, or null. */
  optionalNumber(name: string): number | undefined {
    const value = this.value(name) ?? undefined;
    if (value === undefined || typeof value === "number") return value;
    throw this.refuse(name, "it must be a number", "Correct the field");
  }

  /** A number; without a `fallback` it must be there. */
  number(name: string, fallback?: number): number {
    const value = this.optionalNumber(name) ?? fallback;
    if (value !== undefined) return value;
    throw this.refuse(name, "it must be a number", "Correct the field");
  }

  /** One of the allowed values; `fallback` where it is absent or null. */
  choice<const T>(name: string, allowed: readonly T[], fallback?: NoInfer<T>): T {
    const value = this.value(name) ?? fallback;
    if (allowed.includes(value as T)) return value as T;
    const supported = allowed.map((value) => show(value)).join(" and ");
    throw this.refuse(name, `supported: ${supported}`, "Choose another model");
  }

  /** True or false. */
  flag(name: string, fallback: boolean): boolean {
    return this.choice(name, [true, false], fallback);
  }

  /**
   * A number that several fields may give, in the order in which they count.
   *
   * @param places Fields and what they say, `undefined` for those that say nothing.
   * @throws {CannotError} when two of them contradict each other.
   */
  static agreed(places: readonly (readonly [Fields | undefined, string])[]): number | undefined {
    let first: { value: number; name: string } | undefined;
    for (const [fields, name] of places) {
      const value = fields?.optionalNumber(name);
      if (value === undefined) continue;
      first ??= { value, name: fields!.#path + name };
      if (value !== first.value) {
        throw fields!.refuse(
          name,
          `and field "${first.name}" is ${show(first.value)}`,
          "Keep the one that the model was trained with",
        );
      }
    }
    return first?.value;
  }

  /** The fields that nobody has read and that are neither null nor empty. */
  unread(): string[] {
    return Object.keys(this.#json).filter((name) =>
      !this.#read.has(name) && !isNothing(this.#json[name])
    );
  }

  /** An error about a field: what it is, why that is wrong, and what to do. */
  refuse(name: string, why: string, remedy: string): CannotError {
    const value = this.value(name);
    const found = value === undefined ? "missing" : show(value);
    return new CannotError(
      `read "${this.#where}"`,
      `field "${this.#path}${name}" is ${found}, ${why}`,
      remedy,
    );
  }
}

function isNothing(value: unknown): boolean {
  if (value === null || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
