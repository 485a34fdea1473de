// How the methods of all experiments look in figures: the same colour and shape everywhere, whoever stands beside them.

import type { StyleOrder } from "../report/plot_style.ts";

/** The title of the model that every run starts from. */
export const baseTitle = "Base model";

/** Titles in the order of the palette; those of one group play the same part in different experiments. */
export const methodOrder: StyleOrder = [
  ["Masked SLUNG"],
  ["Direct training", "Toxic baseline"],
  ["Unlikelihood SLUNG"],
  ["Control tokens"],
  ["Goldfish", "Token removal"],
  ["Low-risk baseline", "Document filtering"],
  [baseTitle, "Control"],
];
