import { describe, expect, it } from 'vitest';
import {
  exclusionWarnings,
  passageStatistics,
  passageWarnings,
  unusedWarnings,
} from '../../core/diagnostics/passages.ts';

/** A corpus of a million tokens in which every token is as frequent, but 8 and 9, which are the bytes of one mark. */
const counts = Uint32Array.of(125_000, 125_000, 125_000, 125_000, 125_000, 125_000, 125_000, 125_000, 3, 0);
const decode = (ids: number[]) => ids.map((id) => (id < 8 ? ` w${id}` : id === 8 ? '\u201c'.slice(0, 1) : '')).join('');
const passage = (tokens: number[], firstTarget = 1) => ({ tokens, firstTarget });
const often = (tokens: number[], times: number) => Array.from({ length: times }, () => passage(tokens));

describe('passageStatistics', () => {
  it('finds the tokens that the corpus hardly ever has, and what they are', () => {
    const statistics = passageStatistics(often([0, 1, 8, 9, 2, 3], 10), counts, decode);
    expect(statistics).toEqual({ passages: 10, tokens: 60, targets: 50, missing: 20 / 50, examples: ['\u201c'] });
  });

  it('shows the beginning of a long text that the corpus lacks, and few of them', () => {
    const french = Array.from({ length: 6 }, (_, n) => Array.from({ length: 60 }, (_, i) => 10 + ((i * (n + 1)) % 61)));
    const word = (id: number) => (id < 10 ? ' the' : ` m\u{1d452}t${id}`);
    const lacking = Uint32Array.from({ length: 71 }, (_, id) => (id < 10 ? 100_000 : 0));
    const { examples, missing } = passageStatistics(
      french.flatMap((tokens) => often([0, ...tokens], 5)),
      lacking,
      (ids) => ids.map(word).join(''),
    );
    expect(missing).toBe(1);
    expect(examples).toHaveLength(4);
    for (const example of examples) expect(example).toMatch(/^.{15,19}\u2026$/u);
    const [warning] = passageWarnings('reference.input', { targets: 1800, missing, examples });
    expect(warning!.length).toBeLessThan(400);
  });

  it('leaves out what does not count, and what is rare in the passages too', () => {
    expect(passageStatistics(often([8, 9, 0, 1], 10), counts, decode).missing).toBeCloseTo(1 / 3); // 8 is no target
    const rare = [...often([0, 1, 2, 8], 4), ...often([0, 1, 2, 3], 10)];
    expect(passageStatistics(rare, counts, decode).missing).toBe(0); // four times are not enough
    expect(passageStatistics(often([0, 1, 2, 3], 10), counts, decode)).toMatchObject({ missing: 0, examples: [] });
  });

  it('does not take a token for missing that is not much more frequent in the passages', () => {
    const corpus = counts.slice();
    corpus[8] = 9; // nine in a million, so that 900 in a million are a hundred times as many
    const tokens = Array.from({ length: 1001 }, (_, i) => i % 8);
    const passages = (times: number) => [...often(tokens, 50 - times), ...often(tokens.with(500, 8), times)]; // of 50,000
    expect(passageStatistics(passages(44), corpus, decode).missing).toBe(0);
    expect(passageStatistics(passages(46), corpus, decode).missing).toBe(46 / 50_000);
  });
});

it('warns from a fiftieth of missing tokens on, naming the field and the tokens', () => {
  const statistics = { targets: 100, examples: ['\u201c', '\u2019'] };
  expect(passageWarnings('reference.input', { ...statistics, missing: 0.019 })).toEqual([]);
  const [warning] = passageWarnings('heldOut.input', { ...statistics, missing: 0.061 });
  expect(warning).toMatch(
    /^6\.1 % of the tokens of heldOut\.input that count .* such as "\u201c", "\u2019"\. .* as the corpus does/,
  );
  expect(passageWarnings('reference.input', { targets: 9, missing: 1, examples: [] })[0]).toMatch(
    /from the corpus\. Their/,
  );
});

it('says how much of a file goes unused, unless so many passages were asked for', () => {
  const warnings = (wanted: number, found: number, dropped = 0, target: 'passage' | 'last-word' = 'passage') =>
    unusedWarnings(
      'reference',
      { passages: wanted, target },
      Array.from({ length: Math.min(wanted, found) }, () => ({ ...passage([1, 2, 3]), dropped })),
      found,
    );
  expect(warnings(64, 64)).toEqual([]);
  expect(warnings(48, 128)).toEqual([]);
  expect(warnings(64, 128)).toEqual([
    expect.stringMatching(
      /^reference\.passages is 64, its default, and reference\.input has 128: only the first 64 .* Set it to 128 /,
    ),
  ]);
  expect(warnings(64, 20)).toEqual(['reference.passages is 64, and reference.input has 20: these are used.']);
  expect(warnings(16, 16, 1)).toEqual([]); // a quarter
  expect(warnings(16, 16, 2, 'last-word')).toEqual([]);
  expect(warnings(16, 16, 2)).toEqual([
    expect.stringMatching(
      /^40\.0 % of the tokens of reference\.input are left out, .* longer rows \(corpus\.sequenceLength\)\.$/,
    ),
  ]);
});

it('warns of few passages, whether or not so few were asked for', () => {
  const warnings = (group: 'reference' | 'heldOut', used: number) =>
    unusedWarnings(group, { passages: used, target: 'passage' }, new Array(used).fill(passage([1, 2, 3])), used);
  for (const [group, least] of [
    ['reference', 16],
    ['heldOut', 32],
  ] as const) {
    expect(warnings(group, least)).toEqual([]);
    const [few] = warnings(group, least - 1);
    expect(few).toMatch(
      new RegExp(`^${group}\\.input: ${least - 1} passages are few, .* at least ${least}, better 64`),
    );
  }
  expect(warnings('reference', 1)[0]).toMatch(/^reference\.input: 1 passage is few, /);
});

it('says which passages were not kept out of a corpus, or that this is unknown', () => {
  const warnings = (hashes: string[], excluded?: string[]) =>
    exclusionWarnings('heldOut.input', 'held-out.jsonl', new Set(hashes), { excluded });
  expect(warnings(['a', 'b'], ['a', 'b', 'c'])).toEqual([]);
  const [some] = warnings(['a', 'd', 'e'], ['a', 'b']);
  expect(some).toMatch(/^2 of the 3 passages of heldOut\.input were not kept out .* --exclude held-out\.jsonl /);
  expect(warnings(['a'], [])[0]).toMatch(/^The passage of heldOut\.input was not kept out /);
  expect(warnings(['a'])[0]).toMatch(/^Whether the passages of heldOut\.input were kept out .* is not known/);
});
