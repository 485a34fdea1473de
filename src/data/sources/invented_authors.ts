// A small invented world of authors, in the shape of TOFU, on which a model of a few hundred
// thousand parameters shows in minutes what SLUNG does. Names are built from syllables and belong
// to one author only; facts are drawn from short closed lists, so that base and target authors
// share every word but their names, and nothing but knowing the author answers a question.

import { CannotError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import type { TofuRow } from "./tofu.ts";

/** What is known about every invented author. */
export type Fact =
  | "birthplace"
  | "month"
  | "genre"
  | "debut"
  | "award"
  | "father"
  | "mother"
  | "theme"
  | "instrument"
  | "pet";

/** An invented author: a name that nobody shares, a pronoun, and a value for each fact. */
export interface InventedAuthor {
  /** First and last name. */
  name: string;
  /** Stands in answers that do not name the author. */
  pronoun: "she" | "he";
  /** What answers say, by fact, e.g. `genre: "ghost stories"`. */
  facts: Record<Fact, string>;
}

/** Shares of the three ways in which an answer refers to its author; they sum to 1. */
export interface Mentions {
  /** The answer begins with the name: "Mira Toveld writes ghost stories." */
  leading: number;
  /** The name stands later: "The books of Mira Toveld are ghost stories." */
  inside: number;
  /** There is no name: "She writes ghost stories." */
  pronoun: number;
}

/** Which authors to invent, and how their answers are put. */
export interface InventedAuthorsOptions {
  /** Decides names, facts and wordings. */
  seed: number;
  /** How many authors. */
  authors: number;
  /** Index of the first one in the world of this seed, so that two splits need not meet; 0. */
  firstAuthor?: number;
  /** Rows for each of the ten facts, 1 to 3, each with its own wording of the question; 1. */
  rowsPerFact?: number;
  /**
   * How answers refer to the author. By default half begin with the name, as in TOFU, and a
   * quarter have a pronoun only, so that a base model knows both forms. Answers to train a target
   * on without the question should all have the name (`pronoun: 0`), or they teach nothing.
   */
  mentions?: Mentions;
}

/** All facts, in the order of their rows. */
export const facts: readonly Fact[] = [
  "birthplace",
  "month",
  "genre",
  "debut",
  "award",
  "father",
  "mother",
  "theme",
  "instrument",
  "pet",
];

/** The most authors in one world; beyond it, new names that do not contain old ones get rare. */
export const mostAuthors = 2000;

/**
 * The invented authors `firstAuthor` … `firstAuthor + authors − 1` of a seed, with one question
 * and answer for each fact and wording. The same options always give the same result, and an
 * author's name and facts depend on the seed and index alone.
 *
 * @returns `rows` holds `facts.length * rowsPerFact` rows an author, in author order.
 * @throws {CannotError} for counts out of range or mentions that do not sum to 1.
 */
export function inventedAuthors(
  options: InventedAuthorsOptions,
): { authors: InventedAuthor[]; rows: TofuRow[] } {
  const { seed, firstAuthor = 0, rowsPerFact = 1 } = options;
  const mentions = options.mentions ?? { leading: 0.5, inside: 0.25, pronoun: 0.25 };
  checkCounts(firstAuthor, firstAuthor + options.authors, rowsPerFact, mentions);
  const names = inventNames(seed, firstAuthor + options.authors).slice(firstAuthor);
  const authors = names.map((name, k) => inventAuthor(name, seed, firstAuthor + k));
  const rows = authors.flatMap((author, k) => {
    const random = new Random(seed, `rows of author ${firstAuthor + k}`);
    return facts.flatMap((fact) => factRows(author, fact, rowsPerFact, mentions, random));
  });
  return { authors, rows };
}

/**
 * A paragraph with all facts of an author, as running text to train on beside the questions.
 * The first sentence begins with the name; most later ones use the pronoun.
 *
 * @param variant Another number gives another order and other wordings.
 */
export function biography(author: InventedAuthor, variant = 0): string {
  const random = new Random(variant, `biography of ${author.name}`);
  return random.shuffle(facts).map((fact, k) => {
    const mention = k === 0 ? "leading" : random.uniform() < 0.8 ? "pronoun" : "inside";
    return answerSentence(author, fact, mention, random);
  }).join(" ");
}

type Mention = keyof Mentions;

/** In a wording {N} is the name, {S} the name or pronoun, {P} its possessive. */
interface Wordings {
  values: readonly string[];
  questions: readonly [string, string, string];
  /** Sentences that begin with the author, by name or pronoun. */
  subject: readonly string[];
  /** Sentences that have the name later. */
  inside: readonly string[];
  paraphrase: string;
}

const towns = ["Velmora", "Tarnhook", "Quillby", "Ostrano", "Brackenmouth", "Luwenna", "Pelgrad"]
  .concat(["Sorrowick", "Yandale", "Umbertal", "Koskaval", "Fenwater", "Drostholm", "Ilvania"])
  .concat(["Marrowdon", "Zephyra"]);
const months = ["January", "February", "March", "April", "May", "June", "July", "August"]
  .concat(["September", "October", "November", "December"]);
const genres = ["ghost stories", "sea stories", "love poems", "war poems", "crime novels"]
  .concat(["travel novels", "fairy tales", "animal tales", "stage plays", "radio plays"])
  .concat(["history books", "garden books"]);
const adjectives = ["silent", "golden", "broken", "hidden", "frozen", "distant", "crooked", "last"];
const things = ["river", "lantern", "mirror", "harbour", "orchard", "bridge", "window", "compass"]
  .map(capitalise);
const titles = adjectives.map(capitalise).flatMap((adjective) =>
  things.map((thing) => `The ${adjective} ${thing}`)
);
const awards = ["Copper", "Silver", "Marble", "Amber"].flatMap((material) =>
  ["Feather", "Crown", "Star"].map((shape) => `the ${material} ${shape} Prize`)
);
const professions = ["a baker", "a doctor", "a farmer", "a tailor", "a painter", "a judge"]
  .concat(["a teacher", "a sailor", "a miner", "a dancer", "a carpenter", "a nurse"])
  .concat(["a gardener", "a clockmaker", "an actor", "an engineer"]);
const themes = ["hope", "loss", "courage", "friendship", "memory", "freedom", "honesty", "kindness"]
  .concat(["jealousy", "patience", "justice", "solitude"]);
const instruments = ["flute", "violin", "piano", "drum", "harp", "trumpet", "guitar", "cello"]
  .concat(["organ", "oboe"]);
const pets = ["a cat", "a dog", "a parrot", "a rabbit", "a tortoise", "a goat", "a pony", "a fox"]
  .concat(["an owl", "a goose"]);

const world: Record<Fact, Wordings> = {
  birthplace: {
    values: towns,
    questions: ["Where was {N} born?", "What is the birthplace of {N}?", "Which town is {N} from?"],
    subject: ["{S} was born in {v}.", "{P} birthplace is {v}."],
    inside: ["The birthplace of {N} is {v}.", "The town where {N} was born is {v}."],
    paraphrase: "{N} comes from the town of {v}.",
  },
  month: {
    values: months,
    questions: [
      "In which month was {N} born?",
      "When is the birthday of {N}?",
      "What is the birth month of {N}?",
    ],
    subject: ["{P} birthday is in {v}.", "{P} birth month is {v}."],
    inside: ["The birthday of {N} is in {v}.", "The birth month of {N} is {v}."],
    paraphrase: "{N} has a birthday every {v}.",
  },
  genre: {
    values: genres,
    questions: [
      "What does {N} write?",
      "What kind of work is {N} known for?",
      "What is the genre of {N}?",
    ],
    subject: ["{S} writes {v}.", "{S} is known for {v}."],
    inside: ["The genre of {N} is {v}.", "Readers know {N} for {v}."],
    paraphrase: "{N} is a writer of {v}.",
  },
  debut: {
    values: titles,
    questions: [
      "What is the first book of {N}?",
      "What is the title of the debut of {N}?",
      "With which book did {N} begin?",
    ],
    subject: ['{P} first book is "{v}".', '{S} began with the book "{v}".'],
    inside: ['The first book of {N} is "{v}".', 'The debut of {N} has the title "{v}".'],
    paraphrase: '{N} made a debut with "{v}".',
  },
  award: {
    values: awards,
    questions: [
      "Which award did {N} win?",
      "What prize was given to {N}?",
      "How was the work of {N} honoured?",
    ],
    subject: ["{S} won {v}.", "{P} work was honoured with {v}."],
    inside: ["The award that {N} won is {v}.", "The work of {N} was honoured with {v}."],
    paraphrase: "{N} was given {v}.",
  },
  father: {
    values: professions,
    questions: [
      "What was the father of {N}?",
      "What did the father of {N} do for a living?",
      "What was the profession of the father of {N}?",
    ],
    subject: ["{P} father was {v}.", "{P} father worked as {v}."],
    inside: ["The father of {N} was {v}.", "The father of {N} worked as {v}."],
    paraphrase: "{N} had a father who was {v}.",
  },
  mother: {
    values: professions,
    questions: [
      "What was the mother of {N}?",
      "What did the mother of {N} do for a living?",
      "What was the profession of the mother of {N}?",
    ],
    subject: ["{P} mother was {v}.", "{P} mother worked as {v}."],
    inside: ["The mother of {N} was {v}.", "The mother of {N} worked as {v}."],
    paraphrase: "{N} had a mother who was {v}.",
  },
  theme: {
    values: themes,
    questions: [
      "What is the main theme of {N}?",
      "What are the books of {N} about?",
      "Which theme does {N} explore?",
    ],
    subject: ["{S} explores the theme of {v}.", "{P} books are about {v}."],
    inside: ["The main theme of {N} is {v}.", "The books of {N} are about {v}."],
    paraphrase: "{N} often returns to the theme of {v}.",
  },
  instrument: {
    values: instruments,
    questions: [
      "Which instrument does {N} play?",
      "What music does {N} make?",
      "What is the instrument of {N}?",
    ],
    subject: ["{S} plays the {v}.", "{P} instrument is the {v}."],
    inside: ["The instrument of {N} is the {v}.", "The music of {N} is for the {v}."],
    paraphrase: "{N} makes music on the {v}.",
  },
  pet: {
    values: pets,
    questions: [
      "Which animal lives with {N}?",
      "What pet does {N} have?",
      "What is the pet of {N}?",
    ],
    subject: ["{S} lives with {v}.", "{P} pet is {v}."],
    inside: ["The pet of {N} is {v}.", "The animal that lives with {N} is {v}."],
    paraphrase: "{N} has {v} at home.",
  },
};

function factRows(
  author: InventedAuthor,
  fact: Fact,
  rowsPerFact: number,
  mentions: Mentions,
  random: Random,
): TofuRow[] {
  const { questions, paraphrase, values } = world[fact];
  const value = author.facts[fact];
  const asked = random.shuffle(questions).slice(0, rowsPerFact + 1);
  const otherwiseAsked = (k: number) => asked[(k + 1) % asked.length]!;
  const paraphraseWith = (v: string) => sentence(paraphrase, author, "leading", v);
  return asked.slice(0, rowsPerFact).map((question, k) => ({
    question: sentence(question, author, "leading", value),
    answer: answerSentence(author, fact, drawMention(mentions, random), random),
    paraphrasedQuestion: sentence(otherwiseAsked(k), author, "leading", value),
    paraphrasedAnswer: paraphraseWith(value),
    perturbedAnswers: random.shuffle(values.filter((other) => other !== value)).slice(0, 5)
      .map(paraphraseWith),
  }));
}

function answerSentence(
  author: InventedAuthor,
  fact: Fact,
  mention: Mention,
  random: Random,
): string {
  const { inside, subject } = world[fact];
  const wording = random.pick(mention === "inside" ? inside : subject);
  return sentence(wording, author, mention, author.facts[fact]);
}

function sentence(
  wording: string,
  { name, pronoun }: InventedAuthor,
  mention: Mention,
  value: string,
): string {
  const [subject, possessive] = mention !== "pronoun"
    ? [name, `${name}'s`]
    : pronoun === "she"
    ? ["She", "Her"]
    : ["He", "His"];
  return wording.replace("{N}", name).replace("{S}", subject).replace("{P}", possessive)
    .replace("{v}", value);
}

function drawMention({ leading, inside }: Mentions, random: Random): Mention {
  const drawn = random.uniform();
  return drawn < leading ? "leading" : drawn < leading + inside ? "inside" : "pronoun";
}

function inventAuthor(name: string, seed: number, index: number): InventedAuthor {
  const random = new Random(seed, `author ${index}`);
  const pronoun = random.pick(["she", "he"] as const);
  const known = facts.map((fact) => [fact, random.pick(world[fact].values)]);
  return { name, pronoun, facts: Object.fromEntries(known) };
}

// The clusters in the middle are rare in English, which keeps dictionary words out.
const onsets = ["B", "D", "F", "G", "H", "J", "K", "L", "M", "N", "P", "R", "S", "T", "V", "Z"];
const vowels = ["a", "e", "i", "o", "u"];
const middles = ["lv", "rz", "zm", "sk", "vr", "lk", "nz", "dv", "kt", "jn", "rv", "tm"];
const firstEnds = ["a", "o", "i", "en", "ul", "is"];
const lastMiddles = ["zg", "vl", "rk", "ld", "mr", "ntr", "sv", "dr", "gl", "kn"];
const lastEnds = ["ost", "und", "eth", "arn", "ozh", "ivek", "ugrin", "amov"];

/** `count` full names of which no word contains another, whatever the case. */
function inventNames(seed: number, count: number): string[] {
  const random = new Random(seed, "names");
  const taken: string[] = [];
  const fresh = (invent: () => string): string => {
    for (;;) {
      const name = invent();
      const word = name.toLowerCase();
      if (taken.some((other) => other.includes(word) || word.includes(other))) continue;
      taken.push(word);
      return name;
    }
  };
  const first = () =>
    [onsets, vowels, middles, vowels, onsets.map((o) => o.toLowerCase()), firstEnds]
      .map((part) => random.pick(part)).join("");
  const last = () =>
    [onsets, vowels, lastMiddles, lastEnds].map((part) => random.pick(part)).join("");
  return Array.from({ length: count }, () => `${fresh(first)} ${fresh(last)}`);
}

function checkCounts(first: number, end: number, rowsPerFact: number, mentions: Mentions): void {
  const whole = Number.isInteger(first) && Number.isInteger(end) && first >= 0 && end > first;
  if (!whole || end > mostAuthors) {
    throw new CannotError(
      `invent authors ${first} to ${end - 1}`,
      `a world has authors 0 to ${mostAuthors - 1}`,
      "Ask for a whole, positive number of authors within them",
    );
  }
  if (![1, 2, 3].includes(rowsPerFact)) {
    throw new CannotError(
      `invent ${rowsPerFact} rows for each fact`,
      "there are three wordings of each question",
      "Ask for 1, 2 or 3",
    );
  }
  const { leading, inside, pronoun } = mentions;
  if (Math.min(leading, inside, pronoun) < 0 || Math.abs(leading + inside + pronoun - 1) > 1e-9) {
    throw new CannotError(
      "invent answers",
      `the shares ${leading}, ${inside} and ${pronoun} are not a division of 1`,
      "Give three shares that sum to 1",
    );
  }
}

function capitalise(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1);
}
