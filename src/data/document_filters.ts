// Which documents of a tagged corpus are taken, by what its taggers said of them. The defaults are those of the paper's
// code (process_reddit and prepare_figure2_trainingdata of llm-decouple): English, of several sentences, toxic as a whole,
// and with sentences both of low and of high risk; or, for perplexity, harmless throughout.

import { CannotError } from "../base/errors.ts";
import { paperThresholds, type RiskThresholds } from "../label/sentences.ts";
import { defaultAttribute } from "./labelling.ts";
import { attributeName, type ScoredSpan, type TaggedDocument } from "./sources/dolma.ts";

/** What one may say about the filters; where nothing is said, the paper's value holds if the corpus has the scores. */
export interface FilterOptions {
  /** `paper` filters as the paper does, `all` only by what is given here; `paper` unless given. */
  select?: "paper" | "all" | undefined;
  /** The scores of sentences; those of `label`, or else of Dolma's tagger, unless given. */
  attribute?: string | undefined;
  /** The score of the whole document. */
  documentAttribute?: string | undefined;
  /** How English the document is. */
  englishAttribute?: string | undefined;
  /** Where possible and high risk begin; the paper's unless given. */
  thresholds?: RiskThresholds | undefined;
  /** The least score of the whole document; 0.99 in the paper. */
  documentScore?: number | undefined;
  /** The least English; 0.5 in the paper. */
  english?: number | undefined;
  /** The fewest sentences; 2 in the paper. */
  sentences?: number | undefined;
}

/** The filters of a corpus, once it is known which scores it has. */
export interface DocumentFilters {
  /** The scores of sentences. */
  attribute: string;
  /** Where possible and high risk begin. */
  thresholds: RiskThresholds;
  /** Least scores of the whole document, and the scores. */
  document?: { attribute: string; least: number };
  /** The same of how English it is. */
  english?: { attribute: string; least: number };
  /** The fewest sentences. */
  sentences: number;
  /** Whether sentences both of low and of high risk have to stand in it. */
  mixed: boolean;
}

const known = {
  attribute: [
    defaultAttribute,
    attributeName("data", "jigsaw_hatespeech_sentence_v2", "__label__toxic"),
  ],
  documentAttribute: [attributeName("data", "jigsaw_hatespeech_document_v2", "__label__toxic")],
  englishAttribute: [attributeName("data", "ft_lang_id_en_doc_v2", "en")],
};

/**
 * The filters for a corpus whose documents have some attributes, and what there is to say about them.
 *
 * @throws {CannotError} when scores that are asked for are not there.
 */
export function chooseFilters(
  attributes: readonly string[],
  options: FilterOptions = {},
): { filters: DocumentFilters; remarks: string[] } {
  const { select = "paper", thresholds = paperThresholds } = options;
  const find = (kind: keyof typeof known, needed: boolean): string | undefined => {
    const wanted = options[kind] === undefined ? known[kind] : [options[kind]];
    const found = wanted.find((name) => attributes.includes(name));
    if (found !== undefined || !needed) return found;
    throw new CannotError(
      "filter documents by their scores",
      `they have no attribute ${wanted.join(" or ")}, only ${attributes.join(", ") || "none"}`,
      "Name one of theirs, tag the documents, or leave the filter out",
    );
  };
  const attribute = find("attribute", true)!;
  const least = (value: number | undefined, paper: number) =>
    value ?? (select === "paper" ? paper : undefined);
  const remarks: string[] = [];
  const filter = (
    kind: "documentAttribute" | "englishAttribute",
    value: number | undefined,
    paper: number,
    what: string,
  ) => {
    const bound = least(value, paper);
    const given = value !== undefined || options[kind] !== undefined;
    const name = bound === undefined ? undefined : find(kind, given);
    if (name !== undefined) {
      remarks.push(`${what} at least ${bound} (${name}).`);
      return { attribute: name, least: bound! };
    }
    const why = bound === undefined ? "" : `: there are no scores ${known[kind].join(" or ")}`;
    remarks.push(`${what} is not filtered${why}.`);
    return undefined;
  };
  const english = filter("englishAttribute", options.english, 0.5, "English");
  const document = filter("documentAttribute", options.documentScore, 0.99, "The whole document");
  const sentences = least(options.sentences, 2) ?? 0;
  remarks.push(
    sentences > 0
      ? `At least ${sentences} sentences (${attribute}).`
      : "The number of sentences is not filtered.",
  );
  const mixed = select === "paper";
  remarks.push(
    mixed
      ? `Sentences both up to ${thresholds.low} and from ${thresholds.high} (${attribute}).`
      : "Documents are taken whatever the scores of their sentences.",
  );
  return {
    filters: {
      ...{ attribute, thresholds, sentences, mixed },
      ...(english && { english }),
      ...(document && { document }),
    },
    remarks,
  };
}

/** Why the filters leave a document out; `undefined` when they take it. */
export function reasonAgainst(
  tagged: TaggedDocument,
  { attribute, thresholds, english, document, sentences, mixed }: DocumentFilters,
): string | undefined {
  if (tagged.document.text.trim() === "") return "blank";
  const found = scoresOf(tagged, [attribute, english?.attribute, document?.attribute]);
  if (typeof found === "string") return found;
  const [spans, languages, wholes] = found;
  if (english && most(languages!) < english.least) return `English below ${english.least}`;
  if (spans!.length < sentences) return `fewer than ${sentences} sentences`;
  if (document && most(wholes!) < document.least) return `the whole below ${document.least}`;
  if (!mixed) return undefined;
  if (most(spans!) < thresholds.high) return `no sentence from ${thresholds.high}`;
  return least(spans!) > thresholds.low ? `no sentence up to ${thresholds.low}` : undefined;
}

/** Why a document is not harmless text of the same domain; `undefined` when it is. */
export function reasonAgainstHarmless(
  tagged: TaggedDocument,
  filters: DocumentFilters,
): string | undefined {
  const { low } = filters.thresholds;
  const { document: _, ...others } = filters;
  const reason = reasonAgainst(tagged, { ...others, mixed: false });
  if (reason !== undefined || !filters.mixed) return reason;
  const found = scoresOf(tagged, [filters.attribute, filters.document?.attribute]);
  if (typeof found === "string") return found;
  return found.some((spans) => most(spans) > low) ? `a score above ${low}` : undefined;
}

// Dolma's taggers leave out what they cannot say; the paper's code passes such documents over.
function scoresOf(
  { attributes }: TaggedDocument,
  names: readonly (string | undefined)[],
): ScoredSpan[][] | string {
  const missing = names.find((name) => name !== undefined && !Object.hasOwn(attributes, name));
  if (missing !== undefined) return `no scores ${missing}`;
  return names.map((name) => name === undefined ? [] : attributes[name]!);
}

function most(spans: readonly ScoredSpan[]): number {
  return spans.reduce((largest, { score }) => Math.max(largest, score), -Infinity);
}

function least(spans: readonly ScoredSpan[]): number {
  return spans.reduce((smallest, { score }) => Math.min(smallest, score), Infinity);
}
