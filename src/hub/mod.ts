/** Models, tokenizers and data sets of the Hugging Face hub, by name. @module */

export type { Surroundings } from "./client.ts";
export { fetchFromHub, type FetchOptions } from "./fetch.ts";
export * from "./name.ts";
export * from "./settings.ts";
export type { Purpose } from "./wanted.ts";
