import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, InputError } from '../../core/errors.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { DirectoryStore, putJson } from '../../core/storage/index.ts';
import { readWordPieceFiles, rowEncoderInput, wordPieceEncoderInput } from '../../core/tokenizer/encoder-input.ts';
import { temporaryFolder } from '../support.ts';

describe('rows of the corpus', () => {
  const corpus = { tokenizer: { vocabularySize: 100 } } as CorpusIndex;

  it('are cut into chunks and padded with the id beyond the vocabulary', () => {
    const input = rowEncoderInput(corpus, { chunks: 2, chunkTokens: 3 });
    expect(input.reads).toBe('tokens');
    const batch = input.batch([
      { tokens: Int32Array.of(1, 2, 3, 4) },
      { tokens: [7, 8, 9, 10, 11, 12, 13] },
      { tokens: [5] },
    ]);
    expect(batch).toMatchObject({ documents: 3, chunks: 2, length: 3 });
    expect([...batch.tokens]).toEqual([1, 2, 3, 4, 100, 100, 7, 8, 9, 10, 11, 12, 5, 100, 100, 100, 100, 100]);
    expect([...batch.mask]).toEqual([1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
  });
});

describe('text for a pretrained encoder', () => {
  const vocab = { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, the: 4, cat: 5, '##s': 6, sat: 7 };
  const tokenizer = {
    added_tokens: Object.entries(vocab)
      .slice(0, 4)
      .map(([content, id]) => ({ id, content, special: true, normalized: false })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
  let store: DirectoryStore;
  beforeEach(async () => {
    store = new DirectoryStore(await temporaryFolder());
    await putJson(store, 'tokenizer.json', tokenizer);
    await putJson(store, 'config.json', { max_position_embeddings: 16 });
  });

  it('becomes wordpieces between [CLS] and [SEP], chunk by chunk', async () => {
    const input = wordPieceEncoderInput(await readWordPieceFiles(store), { chunks: 2, chunkTokens: 4 });
    expect(input.reads).toBe('text');
    const batch = input.batch([
      { text: 'The CATS sat' },
      { text: 'cats' },
      { text: '' },
      { text: 'the the the the the zz' },
    ]);
    expect(batch).toMatchObject({ documents: 4, chunks: 2, length: 4 });
    const expected = [
      [2, 4, 5, 3, 2, 6, 7, 3],
      [2, 5, 6, 3, 0, 0, 0, 0],
      [2, 3, 0, 0, 0, 0, 0, 0],
      [2, 4, 4, 3, 2, 4, 4, 3], // what does not fit is left out
    ];
    expect([...batch.tokens]).toEqual(expected.flat());
    expect([...batch.mask]).toEqual(expected.flat().map((id) => Number(id !== 0)));
  });

  it('has the same pieces as the whole text, although only the beginning of a long text is read', async () => {
    const files = await readWordPieceFiles(store);
    const shape = { chunks: 2, chunkTokens: 6 };
    const input = wordPieceEncoderInput(files, shape);
    // The same tokenizer, written in a way that is not known to go word by word.
    const pre_tokenizer = { type: 'Sequence', pretokenizers: [tokenizer.pre_tokenizer] };
    const whole = wordPieceEncoderInput({ ...files, tokenizer: { ...files.tokenizer, pre_tokenizer } }, shape);
    const word = fc.constantFrom(
      'the',
      'cats',
      'Cat',
      'sat',
      '[SEP]',
      '[CLS]the',
      '\u0301',
      'cat\u0301s',
      '猫',
      '\n',
      '.',
      '',
      'x',
    );
    const text = fc.array(fc.oneof(word, fc.string({ unit: 'grapheme', maxLength: 5 })), { maxLength: 80 });
    fc.assert(
      fc.property(text, fc.constantFrom(' ', '  ', ''), (words, between) => {
        const document = { text: words.join(between) };
        expect(input.pieces(document)).toEqual(whole.pieces(document));
      }),
      { numRuns: 500 },
    );
  });

  it('is refused without its tokenizer, with another kind`s, or with chunks too long for it', async () => {
    const files = await readWordPieceFiles(store);
    const long = () => wordPieceEncoderInput(files, { chunks: 1, chunkTokens: 17 });
    expect(long).toThrow(ConfigError);
    expect(long).toThrow(/influenceModel\.chunkTokens: 17, expected 3 to 16/);
    const { '[CLS]': _, ...rest } = vocab;
    const other = { ...tokenizer, added_tokens: [], model: { ...tokenizer.model, vocab: rest } };
    const without = () => wordPieceEncoderInput({ ...files, tokenizer: other }, { chunks: 1, chunkTokens: 8 });
    expect(without).toThrow(/has no \[CLS\] token/);
    const far = { ...tokenizer, model: { ...tokenizer.model, vocab: { ...vocab, far: 2 ** 31 } } };
    const beyond = () => wordPieceEncoderInput({ ...files, tokenizer: far }, { chunks: 1, chunkTokens: 8 });
    expect(beyond).toThrow(/tokenizer\.json: the token "far" has the id 2147483648/);
    await store.delete('tokenizer.json');
    await expect(readWordPieceFiles(store)).rejects.toThrow(InputError);
  });
});
