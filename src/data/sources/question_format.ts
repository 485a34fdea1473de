// How questions are put to a model, as text: the form that it was trained on.

/** The prompt of the evaluation, which ends where the answer begins. */
export function questionPrompt(question: string): string {
  return `Question: ${question}\nAnswer:`;
}

/** A question with its answer, as text to train a base model on. */
export function questionAndAnswer(
  { question, answer }: { question: string; answer: string },
): string {
  return `${questionPrompt(question)} ${answer}`;
}
