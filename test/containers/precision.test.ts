/** Scoring in 8 bits: when it is chosen, that all of a stage's jobs keep to the choice, and what it changes. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openScorer } from '../../containers/scorer/open-scorer.ts';
import { judge } from '../../containers/scorer/precision.ts';
import { stageLayout } from '../../core/layout.ts';
import { rowRanges } from '../../core/plan/stage-plan.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { scoresKey } from '../../core/selection/scores.ts';
import { TinyRun, tinyConfig } from './support.ts';

describe('8 bits', () => {
  const exact = Array.from({ length: 512 }, (_, i) => Math.sin(i) * 1000);

  it('are used where the order holds', () => {
    const near = exact.map((value, i) => 2 * value + 20 * Math.cos(7 * i));
    expect(judge(exact, near)).toMatchObject({ used: 'int8', rows: 512 });
  });

  it('are not used where the order changes, or where there is none', () => {
    const far = exact.map((value, i) => value + 200 * Math.cos(7 * i));
    const found = judge(exact, far);
    expect(found.used).toBe('float32');
    expect(found.spearman).toBeGreaterThan(0.9);
    expect(found.spearman).toBeLessThan(0.995);
    expect(judge([1, 1, 1], [1, 2, 3])).toEqual({ used: 'float32', spearman: 0, rows: 3 });
    expect(judge([1, 2, 3], [1, Number.NaN, 3]).used).toBe('float32');
  });
});

describe('a stage', () => {
  afterEach(() => vi.restoreAllMocks());

  /** A run through stage 1, its scorer, and the utilities of its pool. */
  async function scored(precision: string, jobs: number) {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const influenceModel = { width: 64, heads: 2, minimumSpearman: -1 };
    const tiny = await TinyRun.create(tinyConfig({ scoring: { jobs, precision }, influenceModel }));
    await tiny.prepare();
    for (const stage of [0, 1]) await tiny.stage(stage);
    const plan = await readPlan(tiny.run, 1);
    const parts = [];
    for (let job = 0; job < plan.scoreItems; job++)
      parts.push(Buffer.from(await tiny.store.get(scoresKey(stageLayout(1).score(job)))));
    return { tiny, plan, record: await readScorer(tiny.store, plan), utilities: Buffer.concat(parts) };
  }

  it('says in its scorer how it multiplies, and all of its jobs do so', async () => {
    const [plain, one, many] = [await scored('float32', 1), await scored('int8', 1), await scored('int8', 5)];
    expect(plain.record.precision).toBeUndefined();
    expect(one.record.precision).toMatchObject({ used: 'int8', rows: 512 });
    expect(one.record.precision!.spearman).toBeGreaterThanOrEqual(0.995);
    expect(one.utilities.equals(plain.utilities)).toBe(false);
    expect(many.record).toEqual(one.record);
    expect(many.utilities.equals(one.utilities)).toBe(true);

    // If the check had failed, the scores would be those of float32.
    const { tiny, plan, record } = one;
    const corpus = await openRunCorpus(tiny.run);
    const failed = { ...record, precision: { ...record.precision!, used: 'float32' as const } };
    const scorer = await openScorer(tiny.job(1), corpus, plan, failed);
    const rows = rowRanges(corpus.index, plan.poolShards).flatMap(({ begin, end }) =>
      Array.from({ length: end - begin }, (_, i) => begin + i),
    );
    const utilities = Float32Array.from(await scorer.utilities(rows));
    expect(Buffer.from(utilities.buffer).equals(plain.utilities)).toBe(true);
  });

  it('skips the check where it has few rows to score', async () => {
    expect((await scored('auto', 1)).record.precision).toBeUndefined();
  });
});
