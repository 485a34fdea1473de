/** Text to token ids and back: byte pairs trained here, Hugging Face's, llama2.c's and llama.cpp's. @module */

export { endOfText, padding, trainBytePair } from "../data/byte_pair.ts";
export {
  checkVocabulary,
  type Encoding,
  loadTokenizer as openTokenizer,
  type Tokenizer,
} from "../data/tokenizer.ts";
