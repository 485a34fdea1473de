/** Finding the risk in texts: words, patterns, entities, and classifiers of sentences. @module */

export * from "./classifier.ts";
export * from "./entities.ts";
export * from "./fasttext.ts";
export * from "./labeller.ts";
export * from "./linear_classifier.ts";
export * from "./names.ts";
export * from "./open_classifier.ts";
export * from "./perspective.ts";
export * from "./phrases.ts";
export * from "./sentences.ts";
export * from "./transformers_classifier.ts";
