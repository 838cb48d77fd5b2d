export { loadTokenizer, type Tokenizer } from './load.ts';
export { trainBpe } from './train-bpe.ts';
