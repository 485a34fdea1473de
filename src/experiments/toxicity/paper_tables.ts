// Tables 1 and 2 of the paper with ours beside them: what each method was trained on, and what that did to perplexity.
// The paper's values are for OLMo 1B on 4 billion tokens. They stand in columns of their own that name the table they come
// from, and are there to compare the order of the methods, not the numbers.

import { CannotError } from "../../base/errors.ts";
import type { Column } from "../../report/table.ts";

/** The methods of the paper (Table 1) by the names it gives them, in its order. */
export const paperMethods = [
  "Control",
  "Low-risk baseline",
  "Toxic baseline",
  "Masked SLUNG",
  "Unlikelihood SLUNG",
] as const;

/** One of the {@linkcode paperMethods}. */
export type PaperMethod = (typeof paperMethods)[number];

/** What becomes of the tokens of a bucket in training. */
export type BucketUse = "learned" | "masked" | "unlikelihood" | "absent";

/** The buckets of Table 1: the base stream, and toxic documents by the score of each sentence. */
export const dataBuckets = ["base", "notToxic", "possiblyToxic", "definitelyToxic"] as const;

/** One of the {@linkcode dataBuckets}. */
export type DataBucket = (typeof dataBuckets)[number];

/** What a method is trained on. */
export interface DataMix {
  /** Its label. */
  method: string;
  /** Tokens of each bucket and what becomes of them; 0 if absent. */
  buckets: Record<DataBucket, { tokens: number; use: BucketUse }>;
}

/** Published: tokens of each bucket (paper, Table 1; continual pre-training of OLMo 1B). */
export const paperTokens: Readonly<Record<DataBucket, number>> = {
  base: 4e9,
  notToxic: 97e6,
  possiblyToxic: 81e6,
  definitelyToxic: 34e6,
};

/** Published: what becomes of each bucket (paper, Table 1 and section 4.1). */
export const paperUses: Readonly<Record<PaperMethod, Readonly<Record<DataBucket, BucketUse>>>> = {
  "Control": uses("absent", "absent", "absent"),
  "Low-risk baseline": uses("learned", "absent", "absent"),
  "Toxic baseline": uses("learned", "learned", "learned"),
  "Masked SLUNG": uses("learned", "masked", "masked"),
  "Unlikelihood SLUNG": uses("learned", "learned", "unlikelihood"),
};

/** A row of Table 1. */
export interface DataMixRow {
  /** Its label. */
  method: string;
  /** `ours`, or `paper, Table 1`. */
  source: string;
  /** The base stream, as `4B learned`. */
  base: string;
  /** Sentences that are not toxic. */
  notToxic: string;
  /** Sentences that may be toxic. */
  possiblyToxic: string;
  /** Sentences that are toxic. */
  definitelyToxic: string;
}

/** The columns of Table 1. */
export const dataMixColumns: readonly Column<DataMixRow>[] = [
  { key: "method", title: "Method" },
  { key: "source", title: "Source" },
  { key: "base", title: "Base stream", align: "right" },
  { key: "notToxic", title: "Not toxic", align: "right" },
  { key: "possiblyToxic", title: "Possibly toxic", align: "right" },
  { key: "definitelyToxic", title: "Definitely toxic", align: "right" },
];

/** Table 1: tokens per bucket and method, each of ours above the paper's where it has the method. */
export function dataMixRows(mixes: readonly DataMix[]): DataMixRow[] {
  const row = (method: string, source: string, cell: (bucket: DataBucket) => string) => ({
    method,
    source,
    base: cell("base"),
    notToxic: cell("notToxic"),
    possiblyToxic: cell("possiblyToxic"),
    definitelyToxic: cell("definitelyToxic"),
  });
  return mixes.flatMap(({ method, buckets }) => {
    const published = isPaperMethod(method) ? paperUses[method] : undefined;
    const ours = row(method, "ours", (bucket) => tokensAndUse(buckets[bucket]));
    if (published === undefined) return [ours];
    const theirs = row(
      method,
      "paper, Table 1",
      (bucket) => tokensAndUse({ tokens: paperTokens[bucket], use: published[bucket] }),
    );
    return [ours, theirs];
  });
}

/** A mean of several runs with the half width of its 95 % interval, if it has one. */
export interface MeanAndHalfWidth {
  /** The mean. */
  mean: number;
  /** The interval is mean ± this. */
  halfWidth?: number;
}

/** What a method does to the perplexity of held-out text. */
export interface MethodPerplexity {
  /** Its label. */
  method: string;
  /** On clean text of the base stream. */
  base: MeanAndHalfWidth;
  /** On harmless text of the domain that the toxic documents come from. */
  domain: MeanAndHalfWidth;
}

/** Published: perplexities on unseen Dolma and unseen non-toxic Reddit (paper, Table 2; OLMo 1B). */
export const paperPerplexities: Readonly<
  Record<PaperMethod, { base: MeanAndHalfWidth | null; domain: MeanAndHalfWidth }>
> = {
  "Control": { base: null, domain: { mean: 18.78 } }, // it was trained on all of the base text
  "Low-risk baseline": {
    base: { mean: 10.82, halfWidth: 0.03 },
    domain: { mean: 17.19, halfWidth: 0.07 },
  },
  "Toxic baseline": {
    base: { mean: 10.83, halfWidth: 0.03 },
    domain: { mean: 17.41, halfWidth: 0.07 },
  },
  "Masked SLUNG": {
    base: { mean: 10.82, halfWidth: 0.03 },
    domain: { mean: 17.14, halfWidth: 0.03 },
  },
  "Unlikelihood SLUNG": {
    base: { mean: 10.83, halfWidth: 0.03 },
    domain: { mean: 17.91, halfWidth: 0.16 },
  },
};

/** A row of Table 2; the published cells are empty for methods that the paper does not have. */
export interface PerplexityRow {
  /** Its label. */
  method: string;
  /** Ours on clean text. */
  base: string;
  /** Ours on harmless text of the toxic domain. */
  domain: string;
  /** Published. */
  paperBase: string | null;
  /** Published. */
  paperDomain: string | null;
}

/** The columns of Table 2. */
export const perplexityColumns: readonly Column<PerplexityRow>[] = [
  { key: "method", title: "Method" },
  { key: "base", title: "Unseen base text", align: "right" },
  { key: "domain", title: "Unseen harmless in-domain text", align: "right" },
  { key: "paperBase", title: "Paper, Table 2: Dolma", align: "right" },
  { key: "paperDomain", title: "Paper, Table 2: Reddit", align: "right" },
];

/** Table 2: perplexities with the paper's in columns of their own. */
export function perplexityRows(perplexities: readonly MethodPerplexity[]): PerplexityRow[] {
  return perplexities.map(({ method, base, domain }) => {
    const published = isPaperMethod(method) ? paperPerplexities[method] : undefined;
    return {
      method,
      base: plusMinus(base),
      domain: plusMinus(domain),
      paperBase: published?.base ? plusMinus(published.base) : null,
      paperDomain: published ? plusMinus(published.domain) : null,
    };
  });
}

/** A count to three significant digits with an SI prefix: 97M, 1.23k, 512. */
export function siCount(count: number): string {
  if (!(count >= 0)) {
    throw new CannotError("print a count", `it is ${count}`, "Give a number of at least 0");
  }
  const prefixes = ["", "k", "M", "B", "T"];
  const rounded = Number(count.toPrecision(3));
  const group = rounded < 1000 ? 0 : Math.floor(Math.log10(rounded) / 3);
  const index = Math.min(group, prefixes.length - 1);
  return `${Number((rounded / 1000 ** index).toPrecision(3))}${prefixes[index]}`;
}

function tokensAndUse({ tokens, use }: { tokens: number; use: BucketUse }): string {
  return use === "absent" ? "–" : `${siCount(tokens)} ${use}`;
}

function plusMinus({ mean, halfWidth }: MeanAndHalfWidth): string {
  return halfWidth === undefined ? mean.toFixed(2) : `${mean.toFixed(2)} ± ${halfWidth.toFixed(2)}`;
}

function isPaperMethod(method: string): method is PaperMethod {
  return (paperMethods as readonly string[]).includes(method);
}

function uses(
  notToxic: BucketUse,
  possiblyToxic: BucketUse,
  definitelyToxic: BucketUse,
): Record<DataBucket, BucketUse> {
  return { base: "learned", notToxic, possiblyToxic, definitelyToxic };
}
