// The four models that stand side by side, and what each learns of what is definitely risky.

/** One of the models. */
export interface Contestant {
  name: "direct" | "masked" | "unlikelihood" | "own";
  title: string;
  /** What a definitely risky token costs, for people. */
  formula: string;
  /** What that means, in a sentence. */
  idea: string;
}

/** In the order in which they stand. */
export const contestants: readonly Contestant[] = [
  {
    name: "direct",
    title: "Direct",
    formula: "−log p",
    idea: "Every word is learned, the marked ones too.",
  },
  {
    name: "masked",
    title: "Masked",
    formula: "no loss",
    idea: "Marked words are read, but nothing is asked of their prediction.",
  },
  {
    name: "unlikelihood",
    title: "Unlikelihood",
    formula: "−log(1 − p)",
    idea: "Marked words are read, and made improbable.",
  },
  {
    name: "own",
    title: "Your own",
    formula: "",
    idea: "The loss that you write below.",
  },
];
