// The names of the people a data set is about, found from the data itself.
// A person's full name is the longest run of capitalised words that nearly all texts about that
// person repeat. Texts are counted, not occurrences, which keeps places and book titles below it:
// of TOFU's 200 authors 198 are named in 17 to 20 of their 20 rows, one in 8 under that form
// ("Alejandro (Alex) Fuentes") and one is never named, whose best run ("Urban Fiction") is in 5.

/** Lower-case words that stand inside names, as in "Sara van Dyke". */
const particle = "(?:al|ben|bin|bint|da|de|del|della|den|der|di|dos|du|el|ibn|la|le|van|von|y)";
/** A capitalised word, with hyphens and apostrophes inside: "O'Donnell", "Joon-ki", "al-Faisal". */
const nameWord = String.raw`(?:\p{Ll}{2}-)?\p{Lu}[\p{L}\p{M}]*(?:[-'’]\p{L}[\p{L}\p{M}]*)*`;
const run = new RegExp(
  String.raw`(?<![\p{L}\p{N}_])${nameWord}(?: (?:${particle} ){0,2}${nameWord})*`,
  "gu",
);
const possessive = /['’]s?$/;
const startsLower = new RegExp(`^${particle}$`);

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
    for (const name of possibleNames(text)) textsWith.set(name, (textsWith.get(name) ?? 0) + 1);
  }
  const most = Math.max(...textsWith.values());
  if (most < leastShare * count) return undefined;
  const frequent = [...textsWith.keys()].filter((n) => textsWith.get(n)! >= nearlyAll * most);
  return frequent.reduce((longest, name) => name.length > longest.length ? name : longest, "");
}

/**
 * The forms of a name that count as naming the person: in full, the first word and the last.
 * Middle names alone do not count, as in the paper's code.
 */
export function nameForms(fullName: string): string[] {
  const parts = nameParts(fullName);
  return parts.length === 0 ? [] : [...new Set([fullName.trim(), parts[0]!, parts.at(-1)!])];
}

/** The words of a name, split at white space. */
export function nameParts(fullName: string): string[] {
  return fullName.match(/\S+/g) ?? [];
}

/** Every run of two to five words in `text` that could be a name. */
function possibleNames(text: string): Set<string> {
  const names = new Set<string>();
  for (const [match] of text.matchAll(run)) {
    const words = match.split(" ");
    for (let first = 0; first < words.length; first++) {
      if (startsLower.test(words[first]!)) continue;
      for (let last = first + 1; last < Math.min(words.length, first + longestName); last++) {
        const word = words[last]!;
        if (startsLower.test(word)) continue;
        names.add([...words.slice(first, last), word.replace(possessive, "")].join(" "));
        if (possessive.test(word)) break; // "Jaime Vasquez's Silent Truths" names him, then a book
      }
    }
  }
  return names;
}
