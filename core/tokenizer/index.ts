export { loadTokenizer, usualEndOfText } from './load.ts';
export type { Tokenizer } from './tokenizer.ts';
export { trainBpe } from './train-bpe.ts';
