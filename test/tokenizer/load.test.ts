import { Tokenizer as Library } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, InputError } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import { splitWords } from '../../core/tokenizer/byte-level.ts';
import { loadTokenizer, trainBpe } from '../../core/tokenizer/index.ts';

const training = [
  "The cat's hat isn't where it was; we'll look, they've looked, I'd look. 1234567890 2024-11-23",
  'Größe, naïve, café, Ω≈ç√, 日本語のテキスト, русский текст, 🙂🙃👩‍💻 and so on and so on and so on',
  'for (let i = 0; i < 10; i++) {\n    console.log(i);\n        deeper();\n}\r\n\r\n\tend',
];
const source = trainBpe(
  training.flatMap((text) => [text, text, text.toUpperCase()]),
  420,
);
const tokenizer = loadTokenizer(source, 'tokenizer.json');

const tricky = [
  '',
  ' ',
  '   leading and trailing   ',
  'a\r\nb\r\n\r\n\tc \n \n',
  "I'll can't WE'VE 'tis ''s o'clock",
  'e\u0301 é ﬁ ½ Ⅷ १२३',
  '👩‍💻🙂🏳️‍🌈 x🙂y',
  '<|endoftext|>a<|endoftext|><|endoftext|> <|endoftext',
  'zero\u200bwidth \u00a0nbsp\u3000ideographic\u2028line',
  '日本語'.repeat(40),
  'x'.repeat(300),
  ' '.repeat(200),
  'the cat and so on '.repeat(20),
];
/** Any text with words of the training text in it, so that merges happen. */
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(...training.join(' ').split(' '), ...tricky, ' ', '\n', '  '),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

/** Variants of the file that take other ways through the encoder. */
function variant(change: (json: Record<string, unknown> & { model: Record<string, unknown> }) => void): string {
  const json = JSON.parse(source);
  change(json);
  return JSON.stringify(json);
}
const variants: [string, string][] = [
  ['as trained', source],
  [
    'normalising, with added tokens, as Pythia',
    variant((json) => {
      json.normalizer = { type: 'NFC' };
      json.added_tokens = [
        ...(json.added_tokens as object[]),
        { id: 421, content: '<|padding|>', special: true, normalized: false },
        ...[2, 3, 4].map((spaces) => ({ id: 420 + spaces, content: ' '.repeat(spaces), normalized: true })),
      ];
    }),
  ],
  [
    'with merges written as strings',
    variant(({ model }) => {
      model.merges = (model.merges as string[][]).map((merge) => merge.join(' '));
    }),
  ],
  [
    'ignoring merges for whole words',
    variant(({ model }) => {
      model.ignore_merges = true;
      (model.vocab as Record<string, number>).ologs = 420;
    }),
  ],
];

/** Lone surrogates become U+FFFD, as in any UTF-8. */
const wellFormed = (text: string) => Buffer.from(text).toString();

describe('a byte-level BPE', () => {
  it.each(variants)('gives the ids of @huggingface/tokenizers: %s', (_, file) => {
    const ours = loadTokenizer(file, 'tokenizer.json');
    const library = new Library(JSON.parse(file), {});
    // the library takes JavaScript's \s for white space, which differs from the native library's at these two
    const compare = (text: string) => {
      const plain = wellFormed(text).replace(/[\u0085\ufeff]/g, ' ');
      const ids = ours.encode(plain);
      expect(ids).toEqual(library.encode(plain, { add_special_tokens: false }).ids);
      if (ids.length > 0) {
        const decoded = library.decode(ids, { skip_special_tokens: false, clean_up_tokenization_spaces: false });
        expect(ours.decode(ids)).toBe(decoded);
      }
    };
    for (const text of [...tricky, 'ologs ologs', 'deep     indent']) compare(text);
    fc.assert(fc.property(anyText, compare));
  });

  it('takes the white space of the native library: U+0085 is, U+FEFF is not', () => {
    expect(splitWords('a \ufeffb\u0085 c')).toEqual(['a', ' \ufeff', 'b', '\u0085', ' c']);
  });

  it('round-trips any well-formed text', () =>
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(wellFormed(text));
      }),
    ));

  it('encodes long words as it does short ones: the heap and the scan agree', () => {
    const unit = 'consoleandsoon';
    const library = new Library(JSON.parse(source), {});
    for (let repeats = 1; repeats < 12; repeats++) {
      const word = unit.repeat(repeats);
      expect(tokenizer.encode(word)).toEqual(library.encode(word, { add_special_tokens: false }).ids);
    }
  });

  it('encodes a word of 200,000 letters', () => {
    const text = 'ab'.repeat(100_000);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  it('decodes bytes that are not UTF-8 to U+FFFD', () => {
    const [first] = tokenizer.encode('語x');
    expect(tokenizer.decode([first!])).toMatch(/\ufffd|語/);
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode(Int32Array.of(tokenizer.endOfText))).toBe('<|endoftext|>');
  });

  it('knows its size with added tokens, its end of text and its hash', () => {
    expect(tokenizer).toMatchObject({ vocabularySize: 420, endOfText: 0, sha256: sha256(source) });
    expect(loadTokenizer(Buffer.from(source), 't').sha256).toBe(sha256(source));
    expect(loadTokenizer(variants[1]![1], 't').vocabularySize).toBe(425);
  });
});

it('takes tokens of the raw text before those of the normalised one, with a normalizer and without', () => {
  // The ids are those of Hugging Face's tokenizers 0.23.
  const file = variant((json) => {
    json.added_tokens = [
      ...(json.added_tokens as object[]),
      { id: 421, content: '<|end|>', special: true, normalized: false },
      { id: 422, content: '<|end|>x', special: false, normalized: true },
    ];
  });
  const [a, x, y] = ['a', 'x', 'y'].map((letter) => tokenizer.encode(letter)[0]);
  expect(loadTokenizer(file, 't').encode('a<|end|>xy')).toEqual([a, 421, x, y]);
});

describe('other tokenizers', () => {
  const wordPiece = JSON.stringify({
    version: '1.0',
    added_tokens: [
      { id: 0, content: '[UNK]', special: true },
      { id: 1, content: '[CLS]', special: true },
      { id: 2, content: '[SEP]', special: true },
    ],
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', 2], cls: ['[CLS]', 1] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: { '[UNK]': 0, '[CLS]': 1, '[SEP]': 2, cat: 3, '##s': 4 },
    },
  });

  it('go through the library, without special tokens', () => {
    const bert = loadTokenizer(wordPiece, 'bert.json');
    expect(bert.encode('Cats cat dog')).toEqual([3, 4, 3, 0]);
    expect(bert.decode([3, 4, 3])).toBe('cats cat');
    expect(bert).toMatchObject({ vocabularySize: 5, endOfText: 2 });
    expect(bert.decode([])).toBe('');
  });

  /** Words, by a vocabulary of them alone. */
  const wordLevel = (change: object = {}) => {
    const words = ['[UNK]', '<eos>', 'café', 'привет', '\u0967\u0968', 'x\u200dy', '!?', '1', '2', 'a', '½', '</s>'];
    const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
    return JSON.stringify({
      version: '1.0',
      added_tokens: [{ id: 1, content: '<eos>', special: true }],
      normalizer: null,
      post_processor: null,
      pre_tokenizer: { type: 'Whitespace' },
      decoder: null,
      model: { type: 'WordLevel', unk_token: '[UNK]', vocab },
      ...change,
    });
  };

  it('cut at letters and digits of all of Unicode', () => {
    // The ids are those of Hugging Face's tokenizers 0.23.
    const words = loadTokenizer(wordLevel(), 'words.json');
    expect(words.encode('café привет \u0967\u0968 x\u200dy!? ½')).toEqual([2, 3, 4, 5, 6, 10]);
    const digits = (individual_digits: boolean) =>
      loadTokenizer(wordLevel({ pre_tokenizer: { type: 'Digits', individual_digits } }), 'digits.json');
    expect(digits(true).encode('a12')).toEqual([9, 7, 8]);
    expect(digits(false).encode('a12')).toEqual([9, 0]);
    expect(digits(false).encode('a\u0967\u0968½')).toEqual([9, 0]);
  });

  it.each([
    [{ type: 'Punctuation' }, 'a|-|-|b  |$|c\u0085d\ufeffe|,| |«|f|»|…|g|_|h'],
    [{ type: 'Punctuation', behavior: 'Isolated' }, 'a|-|-|b  |$|c\u0085d\ufeffe|,| |«|f|»|…|g|_|h'],
    [{ type: 'Punctuation', behavior: 'Removed' }, 'a|b  |c\u0085d\ufeffe| |f|g|h'],
    [{ type: 'Punctuation', behavior: 'Contiguous' }, 'a|--|b  |$|c\u0085d\ufeffe|,| |«|f|»…|g|_|h'],
    [{ type: 'WhitespaceSplit' }, 'a--b|$c|d\ufeffe,|«f»…g_h'],
    [{ type: 'BertPreTokenizer' }, 'a|-|-|b|$|c|d\ufeffe|,|«|f|»|…|g|_|h'],
    [
      { type: 'BertPreTokenizer' },
      'a|-|-|b|$|c|d\ufeffe|,|«|f|»|…|g|_|h',
      { type: 'BertNormalizer', clean_text: false },
    ],
    [{ type: 'Whitespace' }, 'a|--|b|$|c|d|\ufeff|e|,|«|f|»…|g_h'],
  ])('cut as %j does', (pre_tokenizer, pieces, normalizer: object | null = null) => {
    // The pieces are those of Hugging Face's tokenizers 0.23.
    const words = pieces.split('|');
    const vocab = Object.fromEntries(['[UNK]', ...words].map((word, id) => [word, id]));
    const tokenizer = loadTokenizer(
      wordLevel({ normalizer, pre_tokenizer, model: { type: 'WordLevel', unk_token: '[UNK]', vocab } }),
      'x.json',
    );
    expect(tokenizer.encode('a--b  $c\u0085d\ufeffe, «f»…g_h')).toEqual(words.map((word) => vocab[word]));
  });

  it('end documents with a special token, which may be an ordinary entry of the vocabulary', () => {
    expect(loadTokenizer(wordLevel(), 'gemma.json').endOfText).toBe(1); // where </s> is a tag of HTML
    expect(loadTokenizer(wordLevel({ added_tokens: [] }), 'gemma.json').endOfText).toBe(1);
  });

  it('name the kind that cannot take a long text', () => {
    const vocab = [
      ['<unk>', 0],
      ['</s>', 0],
      ['\u2581a', -1],
      ['b', -2],
    ];
    const unigram = loadTokenizer(
      wordLevel({
        added_tokens: [{ id: 1, content: '</s>', special: true }],
        pre_tokenizer: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always' },
        model: { type: 'Unigram', unk_id: 0, vocab },
      }),
      'unigram.json',
    );
    expect(unigram.encode('a ab')).toEqual([2, 2, 3]);
    expect(() => unigram.encode('a '.repeat(400_000))).toThrow(InputError);
    expect(() => unigram.encode('a '.repeat(400_000))).toThrow(
      'a text of 800000 characters is too long for a tokenizer of the kind Unigram',
    );
  });

  const bpe = (model: object) =>
    JSON.stringify({
      added_tokens: [{ id: 2, content: '</s>', special: true }],
      pre_tokenizer: { type: 'Metaspace' },
      model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: [], ...model },
    });
  const unigram = (pieces: string[], model: object, normalizer: object | null = null) =>
    JSON.stringify({
      added_tokens: [{ id: 0, content: '</s>', special: true }],
      normalizer,
      pre_tokenizer: { type: 'Metaspace' },
      model: { type: 'Unigram', unk_id: 0, vocab: ['</s>', ...pieces].map((piece) => [piece, -1]), ...model },
    });

  it('lowers a final sigma to the letter that Hugging Face has', () => {
    const vocab = { '[UNK]': 0, οδος: 1, οδοσ: 2 };
    const lowered = { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] };
    const tokenizer = loadTokenizer(
      wordLevel({ normalizer: lowered, model: { type: 'WordLevel', unk_token: '[UNK]', vocab } }),
      'x.json',
    );
    expect(tokenizer.encode('ΟΔΟΣ')).toEqual([2]);
  });

  it.each([
    [
      'a token of whole words',
      wordLevel({ added_tokens: [{ id: 1, content: '<eos>', single_word: true }] }),
      'x.json: the added token "<eos>" has single_word',
    ],
    [
      'a split that keeps the matches with what follows',
      wordLevel({
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [{ type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithNext' }],
        },
      }),
      'x.json: the pre-tokenizer Split has the behavior MergedWithNext',
    ],
    [
      'punctuation that stays with what follows',
      wordLevel({ pre_tokenizer: { type: 'Punctuation', behavior: 'MergedWithNext' } }),
      'x.json: the pre-tokenizer Punctuation has the behavior MergedWithNext',
    ],
    [
      'pieces of a fixed length',
      wordLevel({ pre_tokenizer: { type: 'FixedLength', length: 5 } }),
      'x.json: the pre-tokenizer FixedLength is not supported',
    ],
    [
      'a token that is looked for in lower case but written in capitals',
      wordLevel({
        normalizer: { type: 'Lowercase' },
        added_tokens: [
          { id: 1, content: '</s>', special: true },
          { id: 12, content: 'NASA', normalized: true },
        ],
      }),
      /the added token "NASA" is changed by the normalizer/,
    ],
    [
      'a BPE with a prefix of subwords',
      bpe({ continuing_subword_prefix: '##' }),
      /the BPE has the continuing_subword_prefix "##"/,
    ],
    [
      'a BPE that can spell neither all bytes nor what is unknown',
      bpe({}),
      /the BPE has neither an unk_token nor all bytes/,
    ],
    [
      'a Unigram with bytes for what is unknown',
      unigram(['▁A', '▁b'], { byte_fallback: true }),
      /the Unigram has byte_fallback, .*its ids would differ from Hugging Face's/,
    ],
    [
      'a table of characters that folds case',
      unigram(['▁a', '▁b'], {}, { type: 'Sequence', normalizers: [{ type: 'Precompiled' }] }),
      /the Precompiled normalizer seems to fold case/,
    ],
    ['no JSON', '{', /x\.json: not a tokenizer\.json/],
    ['another file', '{"a": 1}', /x\.json: not a Hugging Face tokenizer\.json \(it has no model\.vocab\)/],
    [
      'no end of text',
      source.replaceAll('<|endoftext|>', '<|start|>'),
      /x\.json: it has no token that usually ends a document \(<\|endoftext\|>, .*; name the one that does in corpus\.tokenizer\.endOfText\.$/,
    ],
  ])('refuses %s', (_, text, message) => {
    expect(() => loadTokenizer(text, 'x.json')).toThrow(ConfigError);
    expect(() => loadTokenizer(text, 'x.json')).toThrow(message);
  });

  it.each([2 ** 31, 2 ** 24, -5, 1.5, '7', null, undefined])('refuses the id %j, whoever has it', (id) => {
    const token = { content: 'zz', id, special: true };
    for (const text of [
      variant(({ model }) => Object.assign(model.vocab as object, { zz: id ?? null })),
      variant((json) => (json.added_tokens as object[]).push(token)),
      wordLevel({ added_tokens: [{ id: 1, content: '</s>', special: true }, token] }),
    ]) {
      const load = () => loadTokenizer(text, 'x.json');
      expect(load).toThrow(ConfigError);
      expect(load).toThrow(
        /^x\.json: the token "zz" has the id .*, a whole number from 0 to 16777215 was expected; .*again\.$/,
      );
    }
  });

  it('takes the largest id there can be', () => {
    const text = variant(({ model }) => Object.assign(model.vocab as object, { zz: 2 ** 24 - 1 }));
    expect(loadTokenizer(text, 'x.json').vocabularySize).toBe(2 ** 24);
  });

  it('ends documents with the token that is named', () => {
    const named = source.replaceAll('<|endoftext|>', '<|end|>');
    for (const end of ['<|end|>', 0]) {
      const tokenizer = loadTokenizer(named, 'x.json', { end });
      expect([tokenizer.endOfText, tokenizer.decode([0])]).toEqual([0, '<|end|>']);
    }
    // An ordinary token, as the line feed is, is in texts too.
    for (const end of ['<|end|>', 'Ċ'])
      expect(() => loadTokenizer(source, 'x.json', { end })).toThrow(
        new ConfigError(
          `x.json: "${end}" is none of its added tokens, of which one has to end documents; correct corpus.tokenizer.endOfText.`,
        ),
      );
    const both = { ...JSON.parse(source) };
    both.added_tokens.push({ ...both.added_tokens[0], id: 420, content: '<|stop|>' });
    const endOf = (preferredEnd: string) => loadTokenizer(JSON.stringify(both), 'x.json', { preferredEnd }).endOfText;
    expect(['<|stop|>', '<|end|>', 'Ċ'].map(endOf)).toEqual([420, 0, 0]);
  });
});
