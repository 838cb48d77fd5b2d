export { loadTokenizer, type Tokenizer } from './load.ts';
export { END_OF_TEXT, trainBpe } from './train-bpe.ts';
