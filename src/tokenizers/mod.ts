/** Tokenizers with exact offsets: Hugging Face's, llama2.c's, and byte pairs trained here. @module */

export * from "./byte_pair.ts";
export * from "./open.ts";
export * from "./tokenizer.ts";
