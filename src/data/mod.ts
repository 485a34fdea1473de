/** Texts, sequences and the data sets of the experiments. @module */

export type { FilterOptions } from "./document_filters.ts";
export * from "./csv.ts";
export * from "./epochs.ts";
export * from "./label_noise.ts";
export * from "./labelling.ts";
export * from "./lines.ts";
export * from "./method.ts";
export * from "./mixing.ts";
export * from "./offsets.ts";
export * from "./packing.ts";
export * from "./plain_texts.ts";
export * from "./records.ts";
export * from "./sequence.ts";
export type { ShardSettings, SliceProgress } from "./shards/build.ts";
export type { PartColumn, PartDocument } from "./shards/part_file.ts";
export type { Slice } from "./shards/progress.ts";
export * from "./sources/chat.ts";
export * from "./sources/comments.ts";
export * from "./sources/dolma.ts";
export * from "./sources/dolma_folder.ts";
export * from "./sources/invented_authors.ts";
export * from "./sources/invented_notes.ts";
export * from "./sources/invented_toxicity.ts";
export * from "./sources/tofu.ts";
export { readRiskyTexts, type SpanReadingOptions, streamRiskyTexts } from "./span_files.ts";
export { isOffsetsLine, type SpanRecordOptions } from "./span_record.ts";
export {
  encodeIntoWindows,
  encodePrompt,
  encodeText,
  type EncodingOptions,
  prefixLength,
  type RiskyText,
  type SpanRule,
} from "./spans.ts";
export * from "./texts.ts";
export * from "./token_weights.ts";
