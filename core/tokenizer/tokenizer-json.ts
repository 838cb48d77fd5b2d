/** The parts of a tokenizer.json that are read here. */
export interface TokenizerJson {
  added_tokens?: AddedToken[];
  normalizer?: NormalizerJson | null;
  pre_tokenizer?: PreTokenizerJson | null;
  decoder?: { type: string } | null;
  model: {
    type?: string;
    vocab: Record<string, number> | [string, number][];
    merges?: (string | [string, string])[];
    dropout?: number | null;
    unk_token?: string | null;
    continuing_subword_prefix?: string | null;
    end_of_word_suffix?: string | null;
    byte_fallback?: boolean;
    ignore_merges?: boolean;
  };
}

export interface NormalizerJson {
  type: string;
  /** For `BertNormalizer`. */
  lowercase?: boolean;
  clean_text?: boolean;
  /** For `Sequence`. */
  normalizers?: NormalizerJson[];
}

export interface PreTokenizerJson {
  type: string;
  add_prefix_space?: boolean;
  use_regex?: boolean;
  /** For `Split`: what becomes of the matches. */
  behavior?: string;
  invert?: boolean;
  pattern?: { Regex: string };
  individual_digits?: boolean;
  /** For `Sequence`. */
  pretokenizers?: PreTokenizerJson[];
}

export interface AddedToken {
  id: number;
  content: string;
  single_word?: boolean;
  lstrip?: boolean;
  rstrip?: boolean;
  normalized?: boolean;
  special?: boolean;
}
