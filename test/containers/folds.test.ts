/** How penalties are chosen: whose labels they are judged by, and which rows are held out together. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { dealFolds } from '../../containers/influence-model/split.ts';
import type { InfluenceFit } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { fitRidge } from '../../core/regression/ridge.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { getJson } from '../../core/storage/index.ts';
import { TinyRun, tinyConfig } from './support.ts';

vi.mock('../../core/regression/ridge.ts', { spy: true });
vi.mock('../../containers/influence-model/split.ts', { spy: true });

let tiny: TinyRun;
beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  tiny = await TinyRun.create(
    tinyConfig({
      pretrain: { ...tinyConfig().pretrain, stages: 3, stepsPerStage: 4 },
      probe: { documents: 60, jobs: 1, method: 'directional' },
      influenceModel: { architecture: 'ngram', buckets: 2048, earlierStages: 1 },
      selection: { classifierWeight: 1 },
      pools: { holdOut: 0.4 },
    }),
  );
  await tiny.prepare();
  for (const stage of [0, 1, 2]) await tiny.stage(stage);
});
afterAll(() => vi.restoreAllMocks());

/** The last call, of stage 2, with or without a number of rows to choose by. */
const lastFit = (chooses: boolean) =>
  vi.mocked(fitRidge).mock.calls.findLast(([, , { chooseBy }]) => (chooseBy !== undefined) === chooses)!;
/** Expects five folds, with each row in one of them. */
function expectFolds(folds: readonly ArrayLike<number>[] | undefined, rows: number) {
  expect(folds).toHaveLength(5);
  const held = folds!.flatMap((fold) => Array.from(fold));
  expect(held.toSorted((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, row) => row));
}

it("the influence model's penalties are chosen by five folds of documents, judged by the labels of its own stage", async () => {
  const { documents } = await getJson<InfluenceFit>(tiny.store, stageLayout(2).fit);
  const { fit, validation, earlier = 0 } = documents;
  expect(earlier).toBeGreaterThan(0);
  const [, labels, options] = lastFit(true);
  expect(labels).toHaveLength(fit + validation + earlier);
  expect(options.chooseBy).toBe(fit + validation);
  expectFolds(options.folds, labels.length);
  const [rows, documentsOf] = vi.mocked(dealFolds).mock.calls.at(-1)!;
  const corpus = await openRunCorpus(tiny.run);
  expect(rows).toHaveLength(labels.length);
  expect(rows.map(documentsOf)).toEqual(await corpus.documents(rows));
});

it("the classifier's penalties are chosen by five folds, each with equally many of the reference's rows", () => {
  const [, labels, { folds }] = lastFit(false);
  expectFolds(folds, labels.length);
  const ofReference = folds!.map((fold) => Array.from(fold).filter((row) => labels[row] === 1).length);
  expect(Math.max(...ofReference) - Math.min(...ofReference)).toBeLessThanOrEqual(1);
});
