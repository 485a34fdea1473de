// Small things of sentences and commands that are printed.

/** A number and what is counted, e.g. `1 text` and `2 texts`. @param plural The noun with an s unless given. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** A word of a command as a shell takes it: in quotation marks where it holds more than plain characters. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
