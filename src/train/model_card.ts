// The card of a trained model: README.md beside its weights, as Hugging Face shows it. It says what was done to whom with
// which data, and what nobody should believe of the model. Nothing in it depends on the moment, so that a resumed run
// writes the same bytes.

import { createHash } from "node:crypto";
import type { Interval } from "../base/interval.ts";
import { contentDigest } from "../base/content_digest.ts";
import { exists, readText, writeFileAtomic } from "../base/files.ts";
import type { RiskyText } from "../data/spans.ts";
import { type Objective, riskNames } from "../slung/objective.ts";
import { Risk } from "../slung/risk.ts";

/** Where a model comes from. */
export interface BaseFacts {
  /** The name of its folder; undefined where it came in memory. */
  name?: string;
  /** What its card says of its licence; undefined where it says nothing. */
  licence?: string | undefined;
  /** Which weights it has, one line each. */
  notes: readonly string[];
}

/** A measure, as it is shown. */
export interface MeasuredFact {
  /** What was measured. */
  name: string;
  /** One number, or with the interval it lies in. */
  value: number | Interval;
}

/** What a card is made from. */
export interface CardFacts {
  /** What to call the model. */
  title: string;
  /** One line about its architecture and size. */
  description: string;
  /** Undefined for a model that began with fresh weights. */
  base?: BaseFacts | undefined;
  /** Whether the folder holds LoRA apart from its base. */
  isAdapter?: boolean;
  /** What each risk class was trained to do. */
  objective: Objective;
  /** What it was trained on. */
  data: {
    /** The name of its file or folder, or what it is. */
    name: string;
    /** SHA-256 of all that was read, spans included; undefined where the settings tell the data from others. */
    digest?: string;
    /** Predicted tokens of each risk class, in an epoch; undefined where they were not counted. */
    targets?: readonly number[];
    /** More that there is to say, e.g. windows that were cut. */
    notes?: readonly string[];
  };
  /** The settings that decided the outcome, by name. */
  settings: Readonly<Record<string, string | number | boolean>>;
  /** The GPU. */
  adapter: string;
  /** Of the model; none unless given. */
  measures?: readonly MeasuredFact[];
}

/** The text of a card. */
export function modelCard(facts: CardFacts): string {
  const { title, description, base, objective, data, settings, adapter } = facts;
  const origin = base
    ? `It went on from ${nameOf(base)}.`
    : "It began with fresh weights: all that it knows is in the data below.";
  const sections = [
    frontMatter(facts),
    `# ${title}`,
    `${description}. ${origin} Trained with the selective loss of SLUNG (Wang et al., 2025, ` +
    "[arXiv 2505.03052](https://arxiv.org/abs/2505.03052)): what is risky is read in context, and " +
    "learned as the objective says, token by token.",
    "## What was trained to do what",
    classTable(objective, data.targets),
    `Objective \`${objective.name}\`; the summed loss of a step is divided by ` +
    `${divisors[objective.denominator]}.`,
    "## What it may still say",
    warnings(facts).map((line) => `- ${line}`).join("\n"),
    "## Data",
    [
      data.digest === undefined
        ? data.name
        : `\`${data.name}\`, SHA-256 of its texts and spans \`${data.digest}\``,
      ...(data.notes ?? []),
      ...(base?.notes ?? []),
    ].map((line) => `- ${line}`).join("\n"),
    "## Settings",
    table(
      ["setting", "value"],
      Object.entries(settings).map(([name, value]) => [name, `${value}`]),
    ),
    `Trained on ${adapter}.`,
    "## Measures",
    measureTable(facts.measures ?? []),
    "## Licence",
    licenceOf(base),
  ];
  return `${sections.join("\n\n")}\n`;
}

const ownMark = "tags: [slung,"; // tells our cards from others

function nameOf({ name }: BaseFacts): string {
  return name === undefined ? "the base model of its experiment" : `\`${name}\``;
}

/** The name of a card's file. */
export const cardFile = "README.md";

/** SHA-256 of texts with their spans, in order. */
export function digestTexts(texts: Iterable<RiskyText>): string {
  const hash = createHash("sha256");
  for (const { text, spans, weight = 1, rule = "overlap" } of texts) {
    const plain = spans.map(({ start, end, risk }) => [start, end, risk]);
    hash.update(`${JSON.stringify([text, plain, weight, rule])}\n`);
  }
  return hash.digest("hex");
}

/** What there is to say of the model in a folder. */
export async function baseFacts(folder: string): Promise<BaseFacts> {
  const notes: string[] = [];
  const files = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  for (const file of files.sort()) {
    if (!/\.(safetensors|bin)$/.test(file) || /^(tok|optimiser)/.test(file)) continue;
    notes.push(`base weights \`${file}\`, SHA-256 \`${await contentDigest(`${folder}/${file}`)}\``);
  }
  const card = `${folder}/${cardFile}`;
  const licence = await exists(card) ? licenceIn(await readText(card)) : undefined;
  const name = (await Deno.realPath(folder)).split(/[/\\]/).at(-1)!;
  return { name, licence, notes };
}

/** Writes a card; beside a README.md that is none of ours, as MODEL_CARD.md. */
export async function writeCard(folder: string, facts: CardFacts): Promise<void> {
  const path = `${folder}/${cardFile}`;
  const isOthers = await exists(path) && !(await readText(path)).includes(ownMark);
  await writeFileAtomic(isOthers ? `${folder}/MODEL_CARD.md` : path, modelCard(facts));
}

/** Numbers, texts and intervals somewhere in an object, by their path; lists are passed over. */
export function flatFacts(value: unknown, name = ""): [name: string, fact: Fact][] {
  if (["number", "string", "boolean"].includes(typeof value) || isInterval(value)) {
    return [[name, value as Fact]];
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    flatFacts(inner, name === "" ? key : `${name}.${key}`)
  );
}

/** What {@linkcode flatFacts} finds. */
export type Fact = number | string | boolean | Interval;

function isInterval(value: unknown): value is Interval {
  return typeof value === "object" && value !== null &&
    ["mean", "low", "high", "confidence", "n"].every((key) =>
      typeof (value as Record<string, unknown>)[key] === "number"
    );
}

/** The licence in the front matter of a card. */
export function licenceIn(card: string): string | undefined {
  const [, front] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(card) ?? [];
  return front && /^license:[ \t]*["']?([\w.+-]+)["']?[ \t]*$/m.exec(front)?.[1];
}

function frontMatter({ base, isAdapter = false, objective }: CardFacts): string {
  const fields = {
    library_name: isAdapter ? "peft" : "transformers",
    pipeline_tag: "text-generation",
    license: base?.licence ?? "unknown",
    ...(base?.name !== undefined && { base_model: base.name }),
    tags: `${ownMark} ${quoted(objective.name)}]`,
  };
  const lines = Object.entries(fields).map(([name, value]) =>
    name === "tags" ? value : `${name}: ${quoted(value)}`
  );
  return ["---", ...lines, "---"].join("\n");
}

// As YAML takes it for a text, whatever it is.
function quoted(text: string): string {
  return /^[A-Za-z][\w-]*$/.test(text) ? text : JSON.stringify(text);
}

const divisors = {
  active: "the number of tokens with a term",
  paper: "the number of tokens with a term and of first tokens, as the paper's code counts",
  all: "the number of all tokens, masked or not",
  weights: "the sum of the weights of tokens with a term",
} as const;

function classTable({ terms }: Objective, targets: readonly number[] | undefined): string {
  const rows = riskNames.map((name, risk) => [
    name,
    what(terms[risk]?.name),
    targets ? targets[risk]!.toLocaleString("en") : "not counted",
  ]);
  return table(["risk of a token", "what the loss does with it", "tokens an epoch"], rows);
}

function what(term: string | undefined): string {
  if (term === undefined) return "read in context, not learned";
  if (term === "cross_entropy") return "learned (cross-entropy)";
  if (/^unlikelihood/.test(term)) return `made less likely (${term.replace("_", ", ")})`;
  return `the loss \`${term}\``;
}

// Plain statements, from what was done.
function warnings({ objective, data, base, measures }: CardFacts): string[] {
  const { terms } = objective;
  const learnsRisk = terms[Risk.high]?.name === "cross_entropy";
  const counts = data.targets;
  const learnsPossible = terms[Risk.possible]?.name === "cross_entropy" &&
    (counts === undefined || counts[Risk.possible]! > 0);
  const risky = counts && counts[Risk.possible]! + counts[Risk.high]!;
  return [
    learnsRisk
      ? "It was trained to write what is marked as high risk, like everything else. Expect it to."
      : "What was marked it was not trained to write, which is no promise that it never will: " +
        "a mark decides about tokens in training, and no filter stands behind the model.",
    ...(learnsPossible && !learnsRisk
      ? ["Tokens of possible risk were learned like harmless ones: it may write them."]
      : []),
    ...(risky === 0
      ? ["No token of its data was marked as risky. It is a model like any other."]
      : []),
    "Risk that was not marked was learned. Its labels are as good as whoever, or whatever, made them.",
    ...(base
      ? [
        `All that ${
          nameOf(base)
        } could say before, it may still say: training adds to a model and ` +
        "takes little away.",
      ]
      : []),
    ...(terms[Risk.high] === undefined
      ? [
        "It has read the marked tokens in context and may understand, infer and paraphrase them. " +
        "A prompt that begins a risky text, or a few steps of further training, may bring them out.",
      ]
      : []),
    ...(measures?.length ? [] : ["How often it does any of this was not measured here."]),
  ];
}

function measureTable(measures: readonly MeasuredFact[]): string {
  if (measures.length === 0) return "None were taken when this card was written.";
  const rows = measures.map(({ name, value }) => [name, shown(value)]);
  return table(["measure", "value"], rows);
}

function shown(value: number | Interval): string {
  if (typeof value === "number") return short(value);
  const { mean, low, high, confidence, n } = value;
  return `${short(mean)} (${short(low)} to ${short(high)}, ${short(100 * confidence)} %, n ${n})`;
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

function licenceOf(base: BaseFacts | undefined): string {
  if (!base) {
    return "Not stated: it follows from the data, which whoever publishes the model knows.";
  }
  if (base.licence === undefined) {
    return `It is not known here under which licence ${nameOf(base)} stands. Find out before you ` +
      "publish this model; the data has a say as well.";
  }
  return `That of ${nameOf(base)} is ${base.licence}; the data may ask for more.`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function escaped(cell: string): string {
  return cell.replaceAll("|", "\\|").replace(/[\r\n]+/g, " ");
}
