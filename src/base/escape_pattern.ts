// `RegExp.escape` for patterns of which a text is a whole alternative, since Node 22 and browsers of 2024 have none.

/** A pattern that matches a text and nothing else, in every mode and outside of classes. */
export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
