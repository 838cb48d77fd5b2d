/** Turns text into the ids of a vocabulary and back. */
export interface Tokenizer {
  /** Ids of a text, without any special token added; a special token spelled out in the text becomes its id. */
  encode(text: string): number[];
  /** Text of ids, special tokens included; bytes that are not UTF-8 become U+FFFD. */
  decode(ids: ArrayLike<number>): string;
  /** One more than the highest id, added tokens included. */
  readonly vocabularySize: number;
  /** Id of the token that ends a document. */
  readonly endOfText: number;
  /** SHA-256 of the tokenizer.json that it was loaded from. */
  readonly sha256: string;
}
