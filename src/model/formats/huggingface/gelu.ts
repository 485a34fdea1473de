// The names under which configurations know GELU and its approximation by tanh.

import type { Fields } from "./fields.ts";

const forms = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  gelu_accurate: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
} as const;

/** Which GELU a field names. @throws {CannotError} for any other activation. */
export function readGelu(
  fields: Fields,
  field: string,
  fallback: keyof typeof forms,
): "gelu" | "gelu_tanh" {
  return forms[fields.choice(field, Object.keys(forms) as (keyof typeof forms)[], fallback)];
}
