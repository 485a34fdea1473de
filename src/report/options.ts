// The options of a command as data, and what their values are as types: `{ type: "integer", default: 3 }` gives
// `run` a number, `{ type: "string", choices: ["a", "b"] }` one of two texts or nothing.

/** What every option has. */
export interface Described {
  /** One line for `--help`, without a full stop. */
  help: string;
}

/** What every option with a value has. */
export interface Valued extends Described {
  /** What stands for the value in `--help`, e.g. `folder` in `--out <folder>`. */
  placeholder?: string;
  /** Whether leaving the option out is an error. */
  required?: boolean;
}

/** The limits of a number, both allowed. */
export interface Ranged {
  /** The smallest value allowed; −2^31 + 1 of integers and −1e30 of numbers unless given. */
  min?: number;
  /** The largest value allowed; 2^31 − 1 of integers and 1e30 of numbers unless given. */
  max?: number;
}

/** A text, optionally one of a few. */
export interface StringOption extends Valued {
  /** Its kind. */
  type: "string";
  /** The only values allowed; they also type what `run` receives. */
  choices?: readonly string[];
  /** The value when the option is left out. */
  default?: string;
}

/** A file or folder; a relative one counts from where the user stands, which need not be the project's root. */
export interface PathOption extends Valued {
  /** Its kind. */
  type: "path";
  /** Words that are allowed as well and are no paths. */
  names?: readonly string[];
  /** Whether a word is a name of another kind and no path, e.g. one on the hub. */
  isName?: (text: string) => boolean;
  /** The value when the option is left out; a relative one counts from the project's root. */
  default?: string;
}

/** A finite number, or an integer. */
export interface NumberOption extends Valued, Ranged {
  /** Its kind. */
  type: "number" | "integer";
  /** The value when the option is left out. */
  default?: number;
}

/** An option without a value: absent is `false`. */
export interface FlagOption extends Described {
  /** Its kind. */
  type: "flag";
}

/** Several values, given by repeating the option or, unless they are paths, with commas. */
export interface ListOption extends Valued, Ranged {
  /** Its kind. */
  type: "list";
  /** The type of each item; `"string"` unless given. */
  of?: "string" | "path" | "number" | "integer";
  /** The only items allowed, if they are texts. */
  choices?: readonly string[];
  /** Whether each item may be given only once. */
  distinct?: boolean;
  /** The items when the option is left out; none unless given. */
  default?: readonly (string | number)[];
}

/** One option of a command. */
export type Option = StringOption | PathOption | NumberOption | FlagOption | ListOption;

/** Options by name; `learningRate` is written `--learning-rate`. `json` and `help` are built in. */
export type Options = { readonly [name: string]: Option };

/** What `run` receives: every option parsed, checked and typed. */
export type Values<O extends Options> = { readonly [Name in keyof O]: ValueOf<O[Name]> };

/** What `run` receives for one option. */
export type ValueOf<O extends Option> = O extends { type: "flag" } ? boolean
  : O extends { type: "list" } ? ItemOf<O>[]
  : O extends { default: string | number } | { required: true } ? ItemOf<O>
  : ItemOf<O> | undefined;

/** The type of one value of an option. */
export type ItemOf<O extends Option> = O extends
  { type: "number" | "integer" } | { of: "number" | "integer" } ? number
  : O extends { choices: readonly (infer Choice extends string)[] } ? Choice
  : string;
