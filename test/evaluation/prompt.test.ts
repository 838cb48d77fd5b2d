import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePair, joined, rollingWindows, textSize } from '../../core/evaluation/prompt.ts';
import { loadTokenizer, trainBpe } from '../../core/tokenizer/index.ts';

const text = 'the cat sat on the mat, and the dog sat too; Answer: the cat. Question: who sat on the mat?\n';
const tokenizer = loadTokenizer(trainBpe([text.repeat(4)], 300), 'tokenizer');
const decode = (ids: number[]) => tokenizer.decode(ids);

describe('joined', () => {
  it.each([
    ['one space where there is none', 'a cat', 'sat', undefined, 'a cat', ' sat'],
    ['nothing where white space is there', 'a cat\n', 'sat', undefined, 'a cat\n', 'sat'],
    ['nothing where the continuation has it', 'a cat', ' sat', undefined, 'a cat', ' sat'],
    ['one space after an empty context', '', 'sat', undefined, '', ' sat'],
    [
      'a delimiter, its visible part in the context',
      'Question: who?',
      'a cat',
      '\nAnswer: ',
      'Question: who?\nAnswer:',
      ' a cat',
    ],
    [
      'a delimiter in place of white space',
      'Question: who?\n',
      ' a cat',
      '\nAnswer: ',
      'Question: who?\nAnswer:',
      ' a cat',
    ],
    ['no "Answer:" where it is', 'who?\nAnswer:', 'a cat', '\nAnswer: ', 'who?\nAnswer:', ' a cat'],
    ['two spaces, as COPA', 'because', 'it sat', '  ', 'because', '  it sat'],
    ['an empty delimiter', 'un ', 'done', '', 'un', 'done'],
  ])('puts %s', (_, context, continuation, delimiter, first, second) => {
    expect(joined(context, continuation, delimiter)).toEqual({ context: first, continuation: second });
  });
});

describe('encodePair', () => {
  it('moves white space from the end of the context to the continuation', () => {
    const expected = encodePair({ context: 'the cat', continuation: ' sat' }, tokenizer);
    expect(encodePair({ context: 'the cat ', continuation: 'sat' }, tokenizer)).toEqual(expected);
    expect(decode(expected.tokens.slice(expected.firstTarget))).toBe(' sat');
    const line = encodePair({ context: 'the cat \n ', continuation: 'sat' }, tokenizer);
    expect(decode(line.tokens.slice(line.firstTarget))).toBe(' \n sat');
  });

  it("counts Python's white space, not JavaScript's", () => {
    // U+001F and U+0085 are space to Python alone, U+FEFF to JavaScript alone
    for (const [space, moved] of [
      ['\x1f', true],
      ['\x85', true],
      ['\u3000', true],
      ['\ufeff', false],
    ] as const) {
      const { tokens, firstTarget } = encodePair({ context: `the cat${space}`, continuation: 'sat' }, tokenizer);
      expect(decode(tokens.slice(firstTarget))).toBe(moved ? `${space}sat` : 'sat');
    }
  });

  it("encodes both as one text: the continuation is what follows the context's number of tokens", () => {
    const [context, continuation] = ['on t', 'he mat and the dog'];
    const { tokens, firstTarget } = encodePair({ context, continuation }, tokenizer);
    expect(tokens).toEqual(tokenizer.encode('on the mat and the dog'));
    expect(firstTarget).toBe(tokenizer.encode('on t').length);
    expect(decode(tokens.slice(firstTarget))).not.toBe(continuation); // the cut is within a token
  });

  it('counts the last token where the context alone has as many tokens as both, so that none would be left', () => {
    expect(tokenizer.encode(' t').length).toBeGreaterThanOrEqual(tokenizer.encode(' the').length);
    expect(encodePair({ context: 'on t', continuation: 'he' }, tokenizer)).toEqual({
      tokens: tokenizer.encode('on the'),
      firstTarget: tokenizer.encode('on the').length - 1,
    });
  });

  it('puts a continuation without context after the end-of-text token', () => {
    const pair = encodePair({ context: '', continuation: 'the cat' }, tokenizer);
    expect(pair).toEqual({ tokens: [tokenizer.endOfText, ...tokenizer.encode('the cat')], firstTarget: 1 });
    const begun = encodePair({ context: '', continuation: `${decode([tokenizer.endOfText])}the cat` }, tokenizer);
    expect(begun).toEqual(pair);
    // White space alone is no context either: every token of the continuation is scored.
    for (const context of [' ', '\n']) {
      const tokens = [tokenizer.endOfText, ...tokenizer.encode(`${context}the cat`)];
      expect(encodePair({ context, continuation: 'the cat' }, tokenizer)).toEqual({ tokens, firstTarget: 1 });
    }
  });

  it('begins with the prefix that it is given, and a context with the tokens that the tokenizer adds', () => {
    const pair = { context: '', continuation: 'the cat' };
    const tokens = [5, ...tokenizer.encode('the cat')];
    const beginning = { prefix: 5, added: [7, 8] };
    expect(encodePair(pair, tokenizer, beginning)).toEqual({ tokens, firstTarget: 1 });
    const [context, whole] = ['the cat', 'the cat sat'].map((text) => tokenizer.encode(text));
    const after = { context: 'the cat', continuation: ' sat' };
    expect(encodePair(after, tokenizer, beginning)).toEqual({
      tokens: [7, 8, ...whole!],
      firstTarget: 2 + context!.length,
    });
    // What begins with the prefix gets no more.
    expect(encodePair(after, tokenizer, { prefix: whole![0]!, added: [7, 8] })).toEqual({
      tokens: whole,
      firstTarget: context!.length,
    });
  });

  it('always leaves a token to score and one to predict it from', () => {
    const words = fc.array(fc.constantFrom('the', ' cat', 'sat', ' ', '\n', 'é', '😀', 'th', 'e'), { maxLength: 6 });
    fc.assert(
      fc.property(words, words, (a, b) => {
        const [context, continuation] = [a.join(''), `${b.join('')}x`];
        const { tokens, firstTarget } = encodePair({ context, continuation }, tokenizer);
        const start = context.trim() === '' ? decode([tokenizer.endOfText]) : '';
        expect(decode(tokens)).toBe(start + context + continuation);
        expect(firstTarget).toBeGreaterThanOrEqual(1);
        if (tokens.length > 1) expect(firstTarget).toBeLessThan(tokens.length);
      }),
    );
  });
});

describe('rollingWindows', () => {
  it('predict the tokens of a text that fits from the end-of-text token on', () => {
    expect(rollingWindows([7, 8, 9], 0, 5)).toEqual([{ tokens: [0, 7, 8, 9], firstTarget: 1 }]);
  });

  it('cut a longer one, the last window full', () => {
    expect(rollingWindows([1, 2, 3, 4, 5, 6], 0, 4)).toEqual([
      { tokens: [0, 1, 2, 3, 4], firstTarget: 1 },
      { tokens: [2, 3, 4, 5, 6], firstTarget: 3 },
    ]);
  });

  it('predict every token once, in windows that the model can read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 20 }), (n, contextLength) => {
        const tokens = Array.from({ length: n }, (_, i) => i + 1);
        const windows = rollingWindows(tokens, 0, contextLength);
        expect(windows.flatMap(({ tokens, firstTarget }) => tokens.slice(firstTarget))).toEqual(tokens);
        for (const window of windows) {
          expect(window.firstTarget).toBeGreaterThanOrEqual(1);
          expect(window.tokens.length).toBeLessThanOrEqual(contextLength + 1);
          expect(window.tokens.length).toBe(Math.min(contextLength, n) + 1);
        }
      }),
    );
  });

  it('are refused where a window has room for no token', () => {
    expect(() => rollingWindows([1, 2, 3], 0, 0)).toThrow('a context of 0 tokens predicts none');
  });

  it('are none for an empty text', () => {
    expect(rollingWindows([], 0, 5)).toEqual([]);
  });
});

describe('textSize', () => {
  it('counts the parts between white space, and UTF-8 bytes', () => {
    expect(textSize('the caf\u00e9  \n \u6771\u4eac')).toEqual({ words: 3, bytes: 3 + 1 + 5 + 4 + 6 });
    expect(textSize('end\n')).toEqual({ words: 2, bytes: 4 }); // as re.split: an empty part after the line's end
  });
});
