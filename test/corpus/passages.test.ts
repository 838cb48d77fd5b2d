import { describe, expect, it } from 'vitest';
import { textHash } from '../../core/corpus/document.ts';
import { lastTokens, loadPassages, passageHashes } from '../../core/corpus/passages.ts';
import { InputError } from '../../core/errors.ts';
import { loadTokenizer, trainBpe } from '../../core/tokenizer/index.ts';
import { jsonl } from './support.ts';

const tokenizer = loadTokenizer(trainBpe(['the cat sat on the mat and the dog sat too '.repeat(4)], 300), 'tokenizer');
const load = (records: object[], target: 'passage' | 'last-word' = 'passage', maxTokens = 100, limit = 10) =>
  loadPassages([Buffer.from(jsonl(records))], 'ref.jsonl', limit, target, tokenizer, maxTokens);

describe('loadPassages', () => {
  it('counts every token after the first of a whole passage', async () => {
    const text = 'the cat sat on the mat';
    expect(await load([{ text }])).toEqual([{ tokens: tokenizer.encode(text), firstTarget: 1 }]);
  });

  it('counts the last word alone, with the space before it', async () => {
    const [passage] = await load([{ text: 'the cat sat on the mat\n' }], 'last-word');
    expect(tokenizer.decode(passage!.tokens.slice(passage!.firstTarget))).toBe(' mat');
    expect(tokenizer.decode(passage!.tokens)).toBe('the cat sat on the mat');
  });

  it.each([
    ['the cat sat on', 'the mat', ' the mat'],
    ['the cat sat on ', 'the mat', ' the mat'],
    ['the cat sat on', ' the mat', ' the mat'],
  ])('joins %j and %j with one space', async (context, continuation, counted) => {
    const [passage] = await load([{ context, continuation }], 'last-word');
    expect(tokenizer.decode(passage!.tokens.slice(passage!.firstTarget))).toBe(counted);
    expect(tokenizer.decode(passage!.tokens)).toBe('the cat sat on the mat');
    expect((await load([{ context, continuation }]))[0]!.firstTarget).toBe(1);
  });

  it('cuts long passages at their start', async () => {
    const text = 'the dog sat too and the cat sat on the mat';
    const whole = (await load([{ text }], 'last-word'))[0]!;
    const [cut] = await load([{ text }], 'last-word', 5);
    expect(cut!.tokens).toEqual(whole.tokens.slice(-5));
    expect(cut!.firstTarget).toBe(whole.firstTarget - (whole.tokens.length - 5));
    expect((await load([{ text: `the ${'x'.repeat(40)}` }], 'last-word', 5))[0]!.firstTarget).toBe(1);
  });

  it('uses as many as asked for, and reads no further', async () => {
    const records = [{ text: 'the cat sat' }, { text: 'the dog sat' }, { text: 'on the mat' }];
    expect(await load(records, 'passage', 100, 2)).toHaveLength(2);
    expect(await load(records)).toHaveLength(3);
    const endless = function* () {
      for (;;) yield Buffer.from(jsonl(records));
    };
    expect(await loadPassages(endless(), 'ref.jsonl', 7, 'passage', tokenizer, 100)).toHaveLength(7);
  });

  it.each<[string, string, RegExp]>([
    ['another field', '{"text":"the cat"}\n{"passage":"x"}\n', /ref\.jsonl, line 2: expected .* fields passage/],
    ['an empty text', '{"text":" "}\n', /line 1: .*not empty/],
    ['an empty continuation', '{"context":"a","continuation":" "}\n', /line 1: the continuation is empty/],
    ['broken JSON', '{"text":\n', /line 1: not valid JSON/],
    ['one word', '{"text":"catdog"}\n', /line 1: one word alone/],
    ['nothing', '\n', /ref\.jsonl: no passages/],
  ])('refuses %s', async (_, content, message) => {
    const attempt = loadPassages([Buffer.from(content)], 'ref.jsonl', 9, 'last-word', tokenizer, 50);
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
  });

  it('refuses a passage of one token', async () => {
    await expect(load([{ text: 'x' }])).rejects.toThrow(/a passage of 1 token predicts nothing/);
  });
});

describe('lastTokens', () => {
  it('are the end of a passage, and its targets as far as they are there', () => {
    const passage = { tokens: [1, 2, 3, 4, 5, 6], firstTarget: 4 };
    expect(lastTokens(passage, 6)).toEqual(passage);
    expect(lastTokens(passage, 5)).toEqual({ tokens: [2, 3, 4, 5, 6], firstTarget: 3, dropped: 1 });
    expect(lastTokens(passage, 3)).toEqual({ tokens: [4, 5, 6], firstTarget: 1, dropped: 3 });
    expect(lastTokens(passage, 2)).toEqual({ tokens: [5, 6], firstTarget: 1, dropped: 4 });
  });
});

describe('passageHashes', () => {
  it('are the hashes of the same texts as documents', async () => {
    const bytes = Buffer.from(jsonl([{ text: ' a b ' }, { context: 'c', continuation: 'd' }]));
    expect(await passageHashes([bytes], 'ref.jsonl')).toEqual(new Set([textHash('a b'), textHash('c d')]));
  });
});
