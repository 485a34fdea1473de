// What a classifier is to everything else: texts in, one score a text out. The score is the
// classifier's own estimate that the text is risky; each classifier is calibrated differently, which
// is why the thresholds that turn scores into risk classes are options everywhere.

/** Scores texts, usually sentences: 0 is surely harmless, 1 surely risky. */
export interface TextClassifier {
  /** Names the classifier, its model and its label in results. */
  readonly name: string;
  /**
   * One score for each text, in order.
   *
   * @throws {CannotError} when the model or the service cannot score them.
   */
  score(texts: readonly string[]): Float64Array | Promise<Float64Array>;
}

/** The text as Dolma gives it to its classifiers: line feeds become spaces, the ends are trimmed. */
export function classifierInput(text: string): string {
  return (text.includes("\n") ? text.replaceAll("\n", " ") : text).trim();
}
