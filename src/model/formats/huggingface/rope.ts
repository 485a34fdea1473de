// Rotary positions as configurations say them. `transformers` up to 4 keeps `rope_theta` and `rope_scaling` apart, 5
// joins them in `rope_parameters`; the kind is spelt `rope_type`, or `type` in older files. What a section says must be
// known to the last field: a factor without a kind, or a section for each kind of layer, would otherwise be passed over.

import type { RotaryPositions, RotaryScaling } from "../../config.ts";
import { Fields } from "./fields.ts";

/** Where a family that turns only a part of each head says so. */
export interface PartialRope {
  /** The field of the base outside of any section. */
  theta: string;
  /** The field of the share outside of any section. */
  share: string;
  /** The share where nothing is said. */
  fallback: number;
}

/**
 * Reads the rotary positions of a configuration.
 *
 * @param partial For families that may turn only a part of each head; in the others the whole must turn.
 * @throws {CannotError} naming the field, when it asks for what is not computed or contradicts another one.
 */
export function readRope(fields: Fields, partial?: PartialRope): RotaryPositions {
  const parameters = fields.section("rope_parameters");
  const older = fields.section("rope_scaling");
  if (parameters && older) {
    const remedy = "Keep one of them";
    throw fields.refuse("rope_scaling", 'beside "rope_parameters", which says the same', remedy);
  }
  const section = parameters ?? older;
  const scaling = section && readScaling(section);
  return {
    theta: readTheta(fields, section, partial) ?? 10000,
    pairing: "half",
    share: readShare(fields, section, partial),
    ...(scaling && { scaling }),
  };
}

function readTheta(fields: Fields, section?: Fields, partial?: PartialRope): number | undefined {
  return Fields.agreed([
    [section, "rope_theta"],
    [fields, "rope_theta"],
    [partial && fields, partial?.theta ?? ""],
  ]);
}

function readShare(fields: Fields, section?: Fields, partial?: PartialRope): number {
  const name = "partial_rotary_factor";
  if (!partial) {
    for (const place of [section, fields]) place?.choice(name, [1], 1);
    return 1;
  }
  const places = [[section, name], [fields, name], [fields, partial.share]] as const;
  return Fields.agreed(places) ?? partial.fallback;
}

function readScaling(section: Fields): RotaryScaling | undefined {
  const [kind, other] = ["rope_type", "type"].filter((name) => section.value(name) != null)
    .map((name) => section.choice(name, ["default", "linear", "llama3"]));
  if (other !== undefined && kind !== other) {
    throw section.refuse("type", `and rope_type is "${kind}"`, "Keep the right one");
  }
  const scaling = kind && scalingOf(kind, section);
  const known = ["rope_theta", "partial_rotary_factor"];
  const [unknown] = section.unread().filter((name) => !known.includes(name));
  if (unknown === undefined) return scaling || undefined;
  const why = kind ? `which rope_type "${kind}" does not have` : "and no rope_type says what for";
  throw section.refuse(unknown, why, "Choose another model");
}

function scalingOf(
  kind: "default" | "linear" | "llama3",
  section: Fields,
): RotaryScaling | undefined {
  if (kind === "default") return undefined;
  const factor = section.number("factor");
  if (kind === "linear") return { kind, factor };
  return {
    kind,
    factor,
    lowFrequencyFactor: section.number("low_freq_factor"),
    highFrequencyFactor: section.number("high_freq_factor"),
    originalContext: section.number("original_max_position_embeddings"),
  };
}

/** The `rope_scaling` of a configuration; null where frequencies are not scaled. */
export function writeRopeScaling(
  { scaling }: RotaryPositions,
): Record<string, unknown> | null {
  if (!scaling) return null;
  const { kind, factor } = scaling;
  if (kind === "linear") return { rope_type: kind, factor };
  return {
    rope_type: kind,
    factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalContext,
  };
}
