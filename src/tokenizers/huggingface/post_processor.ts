// The post-processor of tokenizer.json says which special tokens Hugging Face puts around a text.

import { show } from "../../base/show.ts";
import type { Fields } from "../fields.ts";
import { type Component, componentsOf, supported, unsupported } from "./component.ts";

/** The tokens around every text. */
export interface Surroundings {
  /** Begins it. */
  before?: number;
  /** Ends it. */
  behind?: number;
}

/**
 * The tokens that a tokenizer.json puts around a text: those of its TemplateProcessing, alone or in a Sequence.
 *
 * @param size One more than the highest token id.
 * @throws {CannotError} naming a post-processor that is not known, or puts more than one token on a side.
 */
export function readPostProcessor(json: unknown, size: number, fields: Fields): Surroundings {
  const components = componentsOf(json, "post_processor", "processors", fields)
    .filter(({ type }) => type !== "ByteLevel"); // trims offsets, and adds nothing
  const [template, second] = components;
  if (!template) return {};
  const other = components.find(({ type }) => type !== "TemplateProcessing");
  if (other) throw unsupported(fields, other);
  if (second) throw fields.refuse(second.name, "is a second template", supported);
  return readTemplate(template, size, fields);
}

function readTemplate({ json, name }: Component, size: number, fields: Fields): Surroundings {
  const around: { before: number[]; behind: number[] } = { before: [], behind: [] };
  let side: keyof typeof around = "before";
  fields.list(json.single, `${name}.single`).forEach((value, i) => {
    const where = `${name}.single[${i}]`;
    const piece = fields.object(value, where);
    if (piece.Sequence === undefined) {
      const { id } = fields.object(piece.SpecialToken, `${where}.SpecialToken`);
      const special = fields.string(id, `${where}.SpecialToken.id`);
      for (const token of idsOf(special, json, name, size, fields)) around[side].push(token);
      return;
    }
    if (side === "behind") throw fields.refuse(where, "puts the text in a second time", supported);
    side = "behind";
  });
  if (side === "before") throw fields.refuse(`${name}.single`, "leaves the text out", supported);
  const [before, ...more] = around.before, [behind, ...most] = around.behind;
  if (more.length + most.length > 0) {
    throw fields.refuse(`${name}.single`, "puts several tokens on one side of a text", supported);
  }
  return { ...(before !== undefined && { before }), ...(behind !== undefined && { behind }) };
}

function idsOf(
  special: string,
  template: Record<string, unknown>,
  name: string,
  size: number,
  fields: Fields,
): number[] {
  const where = `${name}.special_tokens`;
  const table = new Map(Object.entries(fields.object(template.special_tokens, where)));
  const field = `${where}[${show(special)}]`;
  const { ids } = fields.object(table.get(special), field);
  return fields.list(ids, `${field}.ids`).map((value, i) => {
    const id = fields.id(value, `${field}.ids[${i}]`);
    if (id < size) return id;
    throw fields.refuse(`${field}.ids[${i}]`, `is ${id}, beyond the ${size} ids of the vocabulary`);
  });
}
