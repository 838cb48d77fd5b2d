import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RunError } from '../../core/errors.ts';
import {
  type EncodedTask,
  meanScore,
  pairedDifference,
  pairedMeanDifference,
  type RequestResult,
  scoreTask,
  type TaskScore,
  textLosses,
} from '../../core/evaluation/index.ts';
import { perplexityStandardError } from '../../core/evaluation/score.ts';

/** A task of the given items, each with as many requests as it has pairs. */
function task(
  layout: EncodedTask['layout'],
  items: { gold?: number; choices?: string[]; text?: string }[],
): EncodedTask {
  const full = items.map(({ gold = 0, choices, text = '' }, i) => ({
    line: i + 1,
    gold,
    choices,
    pairs: (choices ?? [text]).map((continuation) => ({ context: '', continuation })),
  }));
  const requests = full.flatMap(({ pairs }, item) =>
    pairs.map((_, option) => ({ tokens: [0, 1, 2], firstTarget: 1, item, option })),
  );
  return { name: 't', file: 't.jsonl', layout, normalised: layout === 'choices', items: full, requests, truncated: 0 };
}
const results = (...values: number[]): RequestResult[] =>
  values.map((logLikelihood) => ({ logLikelihood, greedy: false }));

describe('choices', () => {
  const choices = ['a', 'bbbb', '\u00e9\u00e9\u00e9']; // 1, 4 and 3 characters; 1, 4 and 6 bytes
  it('are right when the gold one is likeliest, per character and per byte', () => {
    // per character -3, -1, -2; per byte -3, -1, -1
    expect(scoreTask(task('choices', [{ choices, gold: 0 }]), results(-3, -4, -6))).toMatchObject({
      acc: 1,
      accNorm: 0,
    });
    expect(scoreTask(task('choices', [{ choices, gold: 1 }]), results(-3, -4, -6))).toMatchObject({
      acc: 0,
      accNorm: 1,
    });
    // per character -9, -2, -1.8; per byte -9, -2, -0.9
    expect(scoreTask(task('choices', [{ choices, gold: 2 }]), results(-9, -8, -5.4))).toMatchObject({ accNorm: 1 });
    // per character -9, -1, -2; per byte -9, -1, -1 less a little
    const byBytes = scoreTask(task('choices', [{ choices, gold: 2 }]), results(-9, -4.1, -6));
    expect(byBytes).toMatchObject({ acc: 0, accNorm: 0, accBytes: 1 });
  });

  it('count code points, not UTF-16 units', () => {
    const faces = ['\u{1f600}\u{1f600}', 'abc']; // 2 and 3 code points, 4 and 3 UTF-16 units
    const score = scoreTask(task('choices', [{ choices: faces, gold: 1 }]), results(-3, -4));
    expect(score).toMatchObject({ acc: 0, accNorm: 1 }); // -1.5 against -1.33; per UTF-16 unit -0.75 would win
  });

  it('take the first of several that are equally likely', () => {
    const of = (gold: number) => scoreTask(task('choices', [{ choices: ['x', 'y'], gold }]), results(-1, -1));
    expect(of(0)).toMatchObject({ acc: 1, accNorm: 1 });
    expect(of(1)).toMatchObject({ acc: 0, accNorm: 0 });
  });

  it("have the standard error of a sample's mean", () => {
    const four = task('choices', Array(4).fill({ choices: ['x', 'y'], gold: 0 }));
    const score = scoreTask(four, results(-1, -2, -2, -1, -1, -2, -1, -2));
    expect(score).toMatchObject({ acc: 0.75, correct: '1011', items: 4 });
    // deviations 1/4 three times and 3/4 once: sqrt((3/16 + 9/16) / 3 / 4)
    expect((score as { accStderr: number }).accStderr).toBeCloseTo(Math.sqrt(0.75 / 3 / 4), 12);
    expect(scoreTask(task('choices', [{ choices: ['x', 'y'] }]), results(-1, -2))).toMatchObject({ accStderr: 0 });
  });

  it('have no normalised accuracy where the harness has none', () => {
    const plain = { ...task('choices', [{ choices: ['x', 'y'] }]), normalised: false };
    expect(Object.keys(scoreTask(plain, results(-1, -2)))).not.toContain('accNorm');
  });
});

describe('continuations', () => {
  it('have the perplexity of whole continuations, the share of greedy ones and the loss per token', () => {
    const found = [
      { logLikelihood: -2, greedy: true },
      { logLikelihood: -4, greedy: false },
    ];
    const score = scoreTask(task('continuation', [{}, {}]), found);
    expect(score).toMatchObject({ items: 2, acc: 0.5, correct: '10', loss: 6 / 4 });
    expect((score as { perplexity: number }).perplexity).toBeCloseTo(Math.exp(3), 10);
  });

  it('have the standard error over every one of the n^n resamples', () => {
    const values = [-0.2, -3, -7.5, -1];
    const perplexities: number[] = [];
    for (let draw = 0; draw < 4 ** 4; draw++) {
      const sum = [0, 1, 2, 3].reduce((total, i) => total + values[Math.floor(draw / 4 ** i) % 4]!, 0);
      perplexities.push(Math.exp(-sum / 4));
    }
    const mean = perplexities.reduce((a, b) => a + b) / perplexities.length;
    const variance = perplexities.reduce((sum, x) => sum + (x - mean) ** 2, 0) / perplexities.length;
    expect(perplexityStandardError(values) / Math.sqrt(variance)).toBeCloseTo(1, 12);
  });

  it('come near the delta method where there are many, and scale with the perplexity', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -3, max: 0, noNaN: true }), { minLength: 300, maxLength: 400 }),
        (values) => {
          const n = values.length;
          const mean = values.reduce((a, b) => a + b) / n;
          const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n;
          const delta = Math.exp(-mean) * Math.sqrt(variance / n);
          expect(Math.abs(perplexityStandardError(values) - delta)).toBeLessThan(0.02 * delta + 1e-12);
          const shifted = perplexityStandardError(values.map((x) => x - 5));
          expect(Math.abs(shifted / Math.exp(5) - perplexityStandardError(values))).toBeLessThan(1e-8);
        },
      ),
      { numRuns: 20 },
    );
    expect(perplexityStandardError([-3, -3, -3])).toBe(0);
  });
});

describe('texts', () => {
  it('have the bits per byte and perplexities of all windows together', () => {
    const words = task('text', [{ text: 'caf\u00e9 au lait' }, { text: 'a b' }]);
    words.requests.splice(1, 0, { ...words.requests[0]!, option: 1 });
    const score = scoreTask(words, results(-3, -4, -5));
    expect(score).toMatchObject({ layout: 'text', items: 2 });
    const { bitsPerByte, bytePerplexity, wordPerplexity } = score as Extract<TaskScore, { layout: 'text' }>;
    expect(bitsPerByte).toBeCloseTo(12 / 16 / Math.log(2), 12);
    expect(bytePerplexity).toBeCloseTo(Math.exp(12 / 16), 12);
    expect(wordPerplexity).toBeCloseTo(Math.exp(12 / 5), 12);
    // three windows of two targets, two of them of the first text
    expect(textLosses(words, results(-3, -4, -5))).toEqual({
      passages: 2,
      loss: 12 / 6,
      passageLoss: (7 / 4 + 5 / 2) / 2,
    });
  });
});

it('a model that gives no number is refused by the line', () => {
  const attempt = () => scoreTask(task('continuation', [{}, {}]), results(-1, Number.NaN));
  expect(attempt).toThrow(RunError);
  expect(attempt).toThrow(/t\.jsonl, line 2: the model gives a log-likelihood of NaN/);
});

describe('the mean over tasks', () => {
  const choice = (acc: number, accStderr: number, norm?: [number, number]): TaskScore => ({
    task: 't',
    layout: 'choices',
    items: 9,
    acc,
    accStderr,
    correct: '',
    ...(norm && { accNorm: norm[0], accNormStderr: norm[1] }),
  });
  const other: TaskScore = {
    task: 'x',
    layout: 'text',
    items: 1,
    wordPerplexity: 9,
    bytePerplexity: 2,
    bitsPerByte: 1,
  };

  it('has the standard error of the mean, not the mean of standard errors', () => {
    const mean = meanScore([choice(0.5, 0.03, [0.6, 0.04]), other, choice(0.3, 0.04)])!;
    expect(mean).toMatchObject({ tasks: 2, acc: 0.4 });
    expect(mean.accStderr).toBeCloseTo(0.05 / 2, 12);
    expect(mean.accNorm).toBeCloseTo(0.45, 12); // the plain accuracy where there is no other
    expect(mean.accNormStderr).toBeCloseTo(Math.hypot(0.04, 0.04) / 2, 12);
  });

  it('is undefined for fewer than two tasks', () => {
    expect(meanScore([choice(0.5, 0.1), other])).toBeUndefined();
  });
});

describe('pairedDifference', () => {
  it('is much surer than the difference of two samples where most items agree', () => {
    const [a, b] = ['1'.repeat(60) + '0'.repeat(40), `${'1'.repeat(58)}00${'0'.repeat(40)}`];
    const { difference, stderr } = pairedDifference(a, b)!;
    expect(difference).toBeCloseTo(0.02, 12);
    expect(stderr).toBeCloseTo(Math.sqrt((2 * 0.98 ** 2 + 98 * 0.02 ** 2) / 99 / 100), 12);
    expect(stderr).toBeLessThan(0.3 * Math.hypot(0.049, 0.0496));
  });

  it('is undefined for items of different files', () => {
    expect(pairedDifference('10', '101')).toBeUndefined();
  });
});

describe('pairedMeanDifference', () => {
  const answers = (task: string, correct: string, correctNorm?: string): TaskScore => ({
    task,
    layout: 'choices',
    items: correct.length,
    acc: 0,
    accStderr: 0,
    correct,
    correctNorm,
  });
  const [one, other] = [
    [answers('arc', '1100', '1110'), answers('boolq', '10')],
    [answers('boolq', '00'), answers('arc', '1000', '1001')],
  ];

  it('is of the metric asked for, and of the plain answers where a task has no others', () => {
    const plain = pairedMeanDifference(one, other, 'acc')!;
    expect(plain.difference).toBe((1 / 4 + 1 / 2) / 2);
    expect(plain.stderr).toBeCloseTo(Math.hypot(1 / 4, 1 / 2) / 2, 12);
    const normalised = pairedMeanDifference(one, other, 'accNorm')!;
    expect(normalised.difference).toBe((1 / 4 + 1 / 2) / 2);
    expect(normalised.stderr).toBeCloseTo(Math.hypot(Math.sqrt(2.75 / 3 / 4), 1 / 2) / 2, 12);
  });

  it('is undefined unless both have the same tasks, and two of them', () => {
    expect(pairedMeanDifference(one, other.slice(1), 'acc')).toBeUndefined();
    expect(pairedMeanDifference(one.slice(1), other, 'acc')).toBeUndefined();
    expect(pairedMeanDifference(one.slice(1), other.slice(0, 1), 'acc')).toBeUndefined();
  });
});
