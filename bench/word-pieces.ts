/**
 * A WordPiece tokenizer.json for benchmarks: the texts' most frequent words and, for the rest, their most frequent endings
 * and all characters. It cuts text into some more pieces than BERT's own vocabulary, which is not ours to ship.
 */
const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'];
const ENDING = 4;

export function wordPieces(texts: readonly string[], size: number): object {
  const words = new Map<string, number>();
  for (const text of texts)
    for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? []) add(words, word, 1);
  const endings = new Map<string, number>();
  const characters = new Set<string>();
  for (const [word, count] of words) {
    for (const character of word) characters.add(character);
    for (let length = 2; length <= Math.min(ENDING, word.length - 1); length++)
      add(endings, `##${word.slice(-length)}`, count);
  }
  const known = new Set([...SPECIAL, ...characters, ...[...characters].map((character) => `##${character}`)]);
  for (const ending of mostFrequent(endings).slice(0, Math.floor(size / 10))) known.add(ending);
  for (const word of mostFrequent(words)) if (known.size < size) known.add(word);
  const vocab = Object.fromEntries([...known].map((token, id) => [token, id]));
  const special = (content: string) => ({
    id: vocab[content],
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map(special),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', vocab['[SEP]']], cls: ['[CLS]', vocab['[CLS]']] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

/** The keys from the most frequent on; ties are in the order of their code units. */
function mostFrequent(counts: ReadonlyMap<string, number>): string[] {
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([key]) => key);
}
