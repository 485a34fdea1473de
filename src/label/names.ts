// The names of the people a data set is about, found from the data itself.
// A person's full name is the longest run of capitalised words that nearly all texts about that
// person repeat. Texts are counted, not occurrences, which keeps places and book titles below it:
// of TOFU's 200 authors 198 are named in 17 to 20 of their 20 rows, one in 8 under that form
// ("Alejandro (Alex) Fuentes") and one is never named, whose best run ("Urban Fiction") is in 5.

/** Lower-case words that stand inside names, as in "Sara van Dyke". */
const particle = "(?:al|ben|bin|bint|da|de|del|della|den|der|di|dos|du|el|ibn|la|le|van|von|y)";
/** A capitalised word, with hyphens and apostrophes inside: "O'Donnell", "Joon-ki", "al-Faisal". */
const nameWord = String.raw`(?:\p{Ll}{2}-)?\p{Lu}[\p{L}\p{M}]*(?:[-'’]\p{L}[\p{L}\p{M}]*)*`;
/** An initial between two words: the "J." of "Oda J. Venn". */
const initials = String.raw`(?:\p{Lu}\. )*`;
const run = new RegExp(
  String.raw`(?<![\p{L}\p{N}_])${nameWord}(?: ${initials}(?:${particle} ){0,2}${nameWord})*`,
  "gu",
);
const possessive = /['’]s?$/;
const startsLower = new RegExp(`^${particle}$`);
const isInitial = (word: string) => /^\p{Lu}\.?$/u.test(word);
// Stand before or after a name and are none of it.
const titles = new Set(
  "dr doctor prof professor mr mrs ms miss mx sir dame lord lady rev reverend fr father sister saint st captain"
    .split(
      " ",
    ),
);
const suffixes = new Set("jr junior sr senior ii iii iv phd md esq".split(" "));
const isTitle = (word: string) => titles.has(bare(word));
const isSuffix = (word: string) => suffixes.has(bare(word));

function bare(word: string): string {
  return word.toLowerCase().replace(/[.,]/g, "");
}

const longestName = 5; // words
const leastShare = 1 / 3; // of the texts hold the name
const nearlyAll = 0.75; // of the texts that hold the most frequent run hold the longest as well

/**
 * The full name of one person, from texts about that person.
 *
 * @param texts For instance each row's question and answer, joined by a line feed.
 * @returns `undefined` when no run of two capitalised words stands in a third of them.
 */
export function findFullName(texts: Iterable<string>): string | undefined {
  const textsWith = new Map<string, number>();
  let count = 0;
  for (const text of texts) {
    count++;
    const plain = text.normalize("NFC").replaceAll("’", "'").replace(/\s+/g, " ");
    for (const name of possibleNames(plain)) textsWith.set(name, (textsWith.get(name) ?? 0) + 1);
  }
  const most = textsWith.values().reduce((most, count) => Math.max(most, count), 0);
  if (most === 0 || most < leastShare * count) return undefined;
  const frequent = [...textsWith.keys()].filter((n) => textsWith.get(n)! >= nearlyAll * most);
  return frequent.reduce((longest, name) => name.length > longest.length ? name : longest, "");
}

/**
 * The forms of a name that count as naming the person: in full, the first word and the last. Middle names alone do not
 * count, as in the paper's code; titles, suffixes and initials are no first or last name.
 */
export function nameForms(fullName: string): string[] {
  const parts = nameParts(fullName);
  if (parts.length === 0) return [];
  const whole = fullName.trim();
  const person = wordsOf(whole).filter((part) => !isTitle(part) && !isSuffix(part)).join(" ");
  return [...new Set([whole, person, parts[0]!, parts.at(-1)!])];
}

/** The words of a name, without titles, suffixes and initials. */
export function nameParts(fullName: string): string[] {
  return wordsOf(fullName).filter((part) => !isTitle(part) && !isSuffix(part) && !isInitial(part));
}

function wordsOf(text: string): string[] {
  return text.match(/[^\s,]+/g) ?? []; // "Oda Venn, Jr."
}

/** Every run of two to five words in `text` that could be a name. */
function possibleNames(text: string): Set<string> {
  const names = new Set<string>();
  for (const [match] of text.matchAll(run)) {
    const words = match.split(" ");
    for (let first = 0; first < words.length; first++) {
      if (startsLower.test(words[first]!) || isTitle(words[first]!)) continue;
      if (isInitial(words[first]!)) continue;
      for (let last = first + 1; last < Math.min(words.length, first + longestName); last++) {
        const word = words[last]!;
        if (startsLower.test(word) || isInitial(word) || isSuffix(word)) continue;
        names.add([...words.slice(first, last), word.replace(possessive, "")].join(" "));
        if (possessive.test(word)) break; // "Jaime Vasquez's Silent Truths" names him, then a book
      }
    }
  }
  return names;
}
