// The fields of one record, each of the type that it has to have: errors name file, line and field.

import { CannotError } from "../base/errors.ts";

/** The fields of one record. */
export type Fields = Record<string, unknown>;

/** The text in a field. @throws {CannotError} naming file, line and field, when it is not a string. */
export function stringField(fields: Fields, name: string, where: string): string {
  const value = fields[name];
  if (typeof value === "string") return value;
  throw wrongField(fields, name, where, "a string");
}

/** The finite number in a field. @throws {CannotError} naming file, line and field, when it is none. */
export function numberField(fields: Fields, name: string, where: string): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw wrongField(fields, name, where, "a finite number");
}

/** The list of texts in a field. @throws {CannotError} naming file, line and field, when it is none. */
export function stringsField(fields: Fields, name: string, where: string): string[] {
  const value = fields[name];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw wrongField(fields, name, where, "a list of strings");
}

function wrongField(fields: Fields, name: string, where: string, expected: string): CannotError {
  const why = Object.hasOwn(fields, name)
    ? `field "${name}" is not ${expected}`
    : `field "${name}" is missing`;
  return new CannotError(`read ${where}`, why, `Give it ${expected}, or remove the row`);
}
