import { describe, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { encodeTask, parseTask, type TaskOptions } from '../../core/evaluation/index.ts';
import { loadTokenizer, trainBpe } from '../../core/tokenizer/index.ts';
import { jsonl } from '../corpus/support.ts';

const parse = (records: object[], file = 'own.jsonl', options: TaskOptions = {}) =>
  parseTask([Buffer.from(jsonl(records))], file, options);
const question = { query: 'Question: who sat?', choices: ['the cat', 'the dog'], gold: 1 };

describe('parseTask', () => {
  it('reads each layout, the pairs joined by one space', async () => {
    expect(await parse([question])).toMatchObject({
      name: 'own',
      layout: 'choices',
      normalised: true,
      items: [
        {
          line: 1,
          gold: 1,
          choices: question.choices,
          pairs: [
            { context: 'Question: who sat?', continuation: ' the cat' },
            { context: 'Question: who sat?', continuation: ' the dog' },
          ],
        },
      ],
    });
    expect(await parse([{ context_options: ['so Sarah', 'so Maria'], continuation: 'sat.', gold: 0 }])).toMatchObject({
      layout: 'contexts',
      normalised: false,
      items: [{ gold: 0, pairs: [{ context: 'so Sarah', continuation: ' sat.' }, { context: 'so Maria' }] }],
    });
    expect(await parse([{ context: 'the cat', continuation: 'sat' }])).toMatchObject({
      layout: 'continuation',
      items: [{ gold: 0, pairs: [{ context: 'the cat', continuation: ' sat' }] }],
    });
    expect(await parse([{ text: 'the cat' }])).toMatchObject({
      layout: 'text',
      items: [{ pairs: [{ context: '', continuation: 'the cat' }] }],
    });
  });

  it.each([
    ['tasks/arc_easy.jsonl', 'Question: who sat?\nAnswer:', ' the cat', true],
    ['arc_challenge.jsonl', 'Question: who sat?\nAnswer:', ' the cat', true],
    ['s3://b/piqa.jsonl', 'Question: who sat?\nAnswer:', ' the cat', true],
    ['sciq.jsonl', 'Question: who sat?\nAnswer:', ' the cat', true],
    ['logiqa.jsonl', 'Question: who sat?\nAnswer:', ' the cat', true],
    ['logi_qa.jsonl', 'Question: who sat?\nAnswer:', ' the cat', true],
    ['boolq.jsonl', 'Question: who sat?\nAnswer:', ' the cat', false],
    ['copa.jsonl', 'Question: who sat?', '  the cat', false],
    ['openbook_qa.jsonl', 'Question: who sat?', ' the cat', true],
    ['toString.jsonl', 'Question: who sat?', ' the cat', true],
  ])('knows how the harness puts %s together', async (file, context, continuation, normalised) => {
    const task = await parse([question], file);
    expect(task.items[0]!.pairs[0]).toEqual({ context, continuation });
    expect(task.normalised).toBe(normalised);
  });

  it('takes a name and a delimiter in place of those', async () => {
    const named = await parse([question], 'x.jsonl', { name: 'copa' });
    expect(named.items[0]!.pairs[0]!.continuation).toBe('  the cat');
    const delimited = await parse([question], 'arc_easy.jsonl', { delimiter: '\n\nA: ' });
    expect(delimited.items[0]!.pairs[0]!.context).toBe('Question: who sat?\n\nA:');
  });

  it('uses as many lines as asked for, and keeps their numbers over blank ones', async () => {
    const bytes = Buffer.from(`\n${jsonl([question])}\n\n${jsonl([question, question])}`);
    expect((await parseTask([bytes], 'own.jsonl', { limit: 2 })).items.map(({ line }) => line)).toEqual([2, 5]);
  });

  it.each<[string, object[] | string, RegExp]>([
    [
      'an unknown layout',
      [{ question: 'x' }],
      /own\.jsonl, line 1: expected \{"query", "choices", "gold"\} or .* found the fields question\./,
    ],
    [
      'a mix of layouts',
      [question, { text: 'x' }],
      /line 2: the fields are those of \{"text"\}, the first line has \{"query", "choices", "gold"\}/,
    ],
    [
      'a gold that is no choice',
      [{ ...question, gold: 2 }],
      /line 1: gold is 2; the place of the right option was expected, 0 to 1\./,
    ],
    ['a gold that is missing', [{ query: 'x', choices: ['a', 'b'] }], /line 1: gold is missing/],
    ['a gold that is text', [{ ...question, gold: 'A' }], /gold is "A"/],
    ['one choice', [{ ...question, choices: ['a'] }], /line 1: choices is \["a"\]; two or more strings/],
    ['an empty choice', [{ ...question, choices: ['a', ' '] }], /line 1: choices is/],
    ['a query that is no text', [{ ...question, query: 3 }], /line 1: query is 3; a string was expected/],
    ['an empty continuation', [{ context: 'x', continuation: ' ' }], /line 1: continuation is empty; remove the line/],
    ['an empty text', [{ text: '' }], /line 1: text is empty/],
    ['broken JSON', '{"text":\n', /own\.jsonl, line 1: not valid JSON/],
    ['an empty file', '\n', /own\.jsonl: no items; give JSON Lines of/],
  ])('refuses %s', async (_, content, message) => {
    const bytes = Buffer.from(typeof content === 'string' ? content : jsonl(content));
    const failure = await parseTask([bytes], 'own.jsonl').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toMatch(message);
  });
});

describe('encodeTask', () => {
  const tokenizer = loadTokenizer(
    trainBpe(['the cat sat on the mat and the dog sat too '.repeat(4)], 300),
    'tokenizer',
  );

  it('gives the requests of each item in the order of its options', async () => {
    const task = encodeTask(await parse([question, question]), tokenizer, 99);
    expect(task.requests.map(({ item, option }) => [item, option])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    expect(task.truncated).toBe(0);
    const [first] = task.requests;
    expect(tokenizer.decode(first!.tokens.slice(first!.firstTarget))).toBe(' the cat');
  });

  it('cuts a long context at its start and counts the cuts', async () => {
    const task = encodeTask(await parse([{ context: 'the cat sat on the', continuation: 'mat' }]), tokenizer, 3);
    const [{ tokens, firstTarget }] = task.requests as [(typeof task.requests)[0]];
    expect([tokens.length, firstTarget, task.truncated]).toEqual([4, 3, 1]);
    expect(tokenizer.decode(tokens)).toBe(' sat on the mat');
  });

  it('cuts texts into windows, none of them lost', async () => {
    const task = encodeTask(await parse([{ text: 'the cat sat on the mat' }]), tokenizer, 4);
    expect(task.requests.map(({ option }) => option)).toEqual([0, 1]);
    expect(task.truncated).toBe(0);
  });

  it('begins every item as the tokenizer does', async () => {
    const beginning = { prefix: 7, added: [8] };
    const [pair] = encodeTask(await parse([{ context: 'the', continuation: 'cat' }]), tokenizer, 9, beginning).requests;
    expect(pair).toMatchObject({
      tokens: [8, ...tokenizer.encode('the cat')],
      firstTarget: 1 + tokenizer.encode('the').length,
    });
    const [text] = encodeTask(await parse([{ text: 'the cat' }]), tokenizer, 9, beginning).requests;
    expect(text).toMatchObject({ tokens: [7, 8, ...tokenizer.encode('the cat')], firstTarget: 1 });
  });

  it('refuses continuations that are longer than the model reads, naming their lines', async () => {
    const long = { context: 'the', continuation: 'cat sat on the mat' };
    const task = await parse([{ context: 'the', continuation: 'cat' }, long]);
    expect(() => encodeTask(task, tokenizer, 4)).toThrow(
      /own\.jsonl, line 2: a continuation of 5 tokens is longer than the 4 that the model reads; remove the line\.$/,
    );
    const said = async (lines: number) => {
      const items = Array.from({ length: lines }, () => long);
      const several = await parse(items);
      try {
        encodeTask(several, tokenizer, 4);
      } catch (error) {
        return (error as Error).message.replace(/.*reads/, '');
      }
    };
    expect(await said(2)).toBe(', and so is one in line 2; remove these lines.');
    expect(await said(3)).toBe(', and so are those in lines 2, 3; remove these lines.');
    expect(await said(24)).toMatch(/, and so are those in lines 2, .*, 21 and 3 more; remove these lines\.$/);
  });

  it('refuses a pair of one token, which nothing predicts', async () => {
    const task = await parse([{ context: ' t', continuation: 'he' }], 'x.jsonl', { delimiter: '' });
    expect(() => encodeTask(task, tokenizer, 9)).toThrow(/x\.jsonl, line 1: 1 token leaves nothing to score/);
  });
});
