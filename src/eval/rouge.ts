// ROUGE-L (Lin 2004): overlap of two texts as their longest common subsequence of words, LCS.
// recall = LCS / words of the reference, precision = LCS / words of the candidate, F1 of the two.
// Words are runs of a-z and 0-9 after lower-casing, as in google-research's rouge_score; accented
// letters separate words there too. TOFU stems words first (use_stemmer=True); this does not, so
// "novels" and "novel" differ and scores come out slightly lower.

/** ROUGE-L of a candidate against a reference; all zero when either has no words. */
export interface RougeScore {
  /** LCS over words of the reference, 0 to 1. */
  recall: number;
  /** LCS over words of the candidate, 0 to 1. */
  precision: number;
  /** Harmonic mean of the two. */
  f1: number;
}

/** ROUGE-L of `candidate` against `reference`. TOFU reports the recall. */
export function rougeL(candidate: string, reference: string): RougeScore {
  const words = rougeWords(candidate);
  const referenceWords = rougeWords(reference);
  const common = longestCommonSubsequence(words, referenceWords);
  if (common === 0) return { recall: 0, precision: 0, f1: 0 };
  const recall = common / referenceWords.length;
  const precision = common / words.length;
  return { recall, precision, f1: 2 * recall * precision / (recall + precision) };
}

function rougeWords(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}

/** The length of the longest common subsequence, in O(|b|) memory. */
function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  const row = new Uint32Array(b.length + 1); // row[j]: LCS of the words of a so far and b[0..j)
  for (const word of a) {
    let diagonal = 0;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j]!;
      row[j] = word === b[j - 1] ? diagonal + 1 : Math.max(above, row[j - 1]!);
      diagonal = above;
    }
  }
  return row[b.length]!;
}

/** ROUGE-1 recall: how many of the reference's words are in the candidate, each as often as it is in both. */
export function rouge1Recall(candidate: string, reference: string): number {
  const words = rougeWords(candidate), referenceWords = rougeWords(reference);
  const left = new Map<string, number>();
  for (const word of words) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of referenceWords) {
    const count = left.get(word) ?? 0;
    if (count > 0) common++;
    left.set(word, count - 1);
  }
  return referenceWords.length === 0 ? 0 : common / referenceWords.length;
}
