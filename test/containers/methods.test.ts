/** How each method of selection scores rows, whatever the number of jobs that share the work. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { holdOut } from '../../containers/hold-out.ts';
import { modelShape } from '../../containers/model.ts';
import { loadPassageSet } from '../../containers/passages.ts';
import { openTrainingRows } from '../../containers/pretrain/training-rows.ts';
import { openProbe } from '../../containers/probe/open-probe.ts';
import {
  type ClassifierFile,
  classifierSample,
  classifierScorer,
  fitClassifier,
} from '../../containers/text-scores/classifier.ts';
import { dsirScorer, loadDsir } from '../../containers/text-scores/dsir.ts';
import { InterruptedError } from '../../core/errors.ts';
import type { InfluenceFit, SelectionSummary } from '../../core/formats.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { mean, spearman } from '../../core/metrics/index.ts';
import { readParquet } from '../../core/parquet.ts';
import { rowRanges } from '../../core/plan/stage-plan.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { summarise } from '../../core/run/summary.ts';
import { METHODS, type Method, methodTraits } from '../../core/selection/methods.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { scoresKey } from '../../core/selection/scores.ts';
import { getJson, getJsonIfPresent, putJson } from '../../core/storage/index.ts';
import { rowLosses } from '../../engine/decoder/row-passes.ts';
import { loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { collectReportData } from '../../report/data.ts';
import { domainsOfRows } from '../corpus/support.ts';
import { filesOf, TinyRun, tinyConfig, tinyModel } from './support.ts';

afterEach(() => vi.restoreAllMocks());

type Over = Record<string, Record<string, unknown>>;

/** A run with the method up to the given number of stages, with one scoring job unless overridden. */
async function runWith(method: Method, over: Over = {}, stages = 2): Promise<TinyRun> {
  const probe = { documents: 12, jobs: 1, method: method === 'color-filter' ? 'lookahead' : 'exact', ...over.probe };
  const tiny = await TinyRun.create(
    tinyConfig({
      scoring: { jobs: 1 },
      ...over,
      probe,
      pretrain: { stages, ...over.pretrain },
      selection: { method, fraction: 0.3, ...over.selection },
    }),
  );
  await tiny.prepare();
  for (let stage = 0; stage < stages; stage++) await tiny.stage(stage);
  return tiny;
}

/** The pool's rows of a stage and their utilities. */
async function scored(tiny: TinyRun, stage: number): Promise<{ rows: number[]; utilities: number[] }> {
  const plan = await readPlan(tiny.run, stage);
  const { index } = await openRunCorpus(tiny.run);
  const rows = rowRanges(index, plan.poolShards).flatMap(({ begin, end }) =>
    Array.from({ length: end - begin }, (_, i) => begin + i),
  );
  const bytes = await tiny.store.get(scoresKey(stageLayout(stage).score(0)));
  return { rows, utilities: Array.from(new Float32Array(bytes.slice().buffer)) };
}

const selectedRows = async (tiny: TinyRun, stage: number) =>
  (await readParquet({ store: tiny.store, key: armLayout(stage, 'main').selection }, { row: 'INT64' })).row;

const quiet = () => vi.spyOn(process.stderr, 'write').mockReturnValue(true);

describe.each(METHODS)('%s', (method) => {
  it('chooses the same rows however the work is cut', async () => {
    quiet();
    const outcomes = [];
    const cuts: Over[] = [{ probe: { jobs: 1 } }, { scoring: { jobs: 3, batchDocuments: 7 }, probe: { jobs: 4 } }];
    for (const cut of cuts) {
      const tiny = await runWith(method, cut);
      const { method: said } = await getJson<SelectionSummary>(tiny.store, armLayout(1, 'main').selectionSummary);
      expect(said).toBe(method);
      const files = await filesOf(tiny.store, 'stages/1/');
      const cutByJob = /\/(probes|scores|timings)\/|\/(plan|(probe|score)-items)\.json$/;
      outcomes.push(Object.entries(files).filter(([key]) => !cutByJob.test(key)));
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[0]!.some(([key]) => key.endsWith('scorer.json'))).toBe(methodTraits(method).score !== undefined);
  });
});

it('hard-top-k takes the rows with the highest utilities, and no others', async () => {
  quiet();
  const tiny = await runWith('hard-top-k');
  const { rows, utilities } = await scored(tiny, 1);
  const chosen = new Set(await selectedRows(tiny, 1));
  const inside = utilities.filter((_, i) => chosen.has(rows[i]!));
  const outside = utilities.filter((_, i) => !chosen.has(rows[i]!));
  expect(Math.min(...inside)).toBeGreaterThanOrEqual(Math.max(...outside));
  expect(chosen.size).toBeGreaterThan(10);
});

it('static-influence keeps the model of the first scored stage, and probes no more', async () => {
  quiet();
  const tiny = await runWith('static-influence', {}, 3);
  const plan = await readPlan(tiny.run, 2);
  expect(plan).toMatchObject({ scored: true, probes: 0, probeItems: 0, scorerStage: 1 });
  expect(await getJsonIfPresent(tiny.store, stageLayout(2).fit)).toBeUndefined();
  expect(await tiny.store.list(`${stageLayout(2).influenceModel}/`)).toEqual([]);
  const influence = await runWith('influence', {}, 3);
  expect((await scored(tiny, 1)).utilities).toEqual((await scored(influence, 1)).utilities);
  expect(new Set((await scored(tiny, 2)).utilities).size).toBeGreaterThan(20);
});

it.each(['oracle', 'color-filter'] as const)('%s scores each row by its own probe, on one scale', async (method) => {
  const tiny = await runWith(method, { pretrain: { stages: 3, stepsPerStage: 4 } }, 3);
  for (const stage of [1, 2]) {
    const plan = await readPlan(tiny.run, stage);
    const corpus = await openRunCorpus(tiny.run);
    expect(plan.scorerStage).toBe(method === 'oracle' ? stage : 1);
    const probe = await openProbe(tiny.run, corpus, plan);
    const { rows, utilities } = await scored(tiny, stage);
    const measured = await probe.influences(await corpus.tokenRows(rows.slice(0, 20)), corpus.index.sequenceLength);
    const [part] = (await readScorer(tiny.store, plan)).parts;
    expect(part).toMatchObject({ kind: 'probe', weight: 1 });
    measured.forEach(({ influence }, i) => {
      expect(utilities[i]).toBeCloseTo((-influence - part!.mean) / part!.std, 4);
    });
  }
});

it('perplexity prefers the rows that the current checkpoint predicts best', async () => {
  const tiny = await runWith('perplexity');
  const corpus = await openRunCorpus(tiny.run);
  const model = await tinyModel(modelShape(tiny.run.record.config, corpus.index));
  const { parameters } = await loadCheckpoint(tiny.store, armLayout(0, 'main').checkpoint);
  const { rows, utilities } = await scored(tiny, 1);
  const losses = await rowLosses(model, parameters, await corpus.tokenRows(rows), corpus.index.sequenceLength);
  expect(spearman(utilities, Array.from(losses))).toBeLessThan(-0.999);
});

it('classifier prefers the rows that look like the reference passages, and is fitted once', async () => {
  const over = { reference: { ...tinyConfig().reference, passages: 12 } };
  const tiny = await runWith('classifier', over, 3);
  expect(await readPlan(tiny.run, 2)).toMatchObject({ scored: true, probes: 0, preparesProbe: false, scorerStage: 1 });
  expect(await tiny.store.size(stageLayout(2).classifier)).toBeUndefined();
  const corpus = await openRunCorpus(tiny.run);
  const { rows, utilities } = await scored(tiny, 2);
  const domains = await domainsOfRows(corpus);
  const meanOf = (name: string) =>
    mean(utilities.filter((_, i) => corpus.index.domains[domains[rows[i]!]!]!.name === name));
  expect(meanOf('novels-austen')).toBeGreaterThan(meanOf('logs') + 0.5);
  expect(meanOf('novels-austen')).toBeGreaterThan(meanOf('dictionary') + 0.5);
});

it('classifier scores a candidate that it was fitted to by a model that was not', async () => {
  const tiny = await runWith('classifier', { reference: { ...tinyConfig().reference, passages: 12 } });
  const { store } = tiny;
  const corpus = await openRunCorpus(tiny.run);
  const key = stageLayout(1).classifier;
  expect(await getJson<ClassifierFile>(store, key)).not.toHaveProperty('halves'); // no row of the hold-out is a candidate
  await store.delete(key);
  const plan = { ...(await readPlan(tiny.run, 1)), poolShards: corpus.index.shards.map((_, shard) => shard) };
  await fitClassifier(tiny.job(1), corpus, plan);
  const learned = await classifierSample(tiny.job(1), corpus, plan);
  const others = rowRanges(corpus.index, plan.holdOutShards)
    .flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, i) => begin + i))
    .filter((row) => !learned.includes(row));
  const scores = async (rows: number[]) => (await classifierScorer(tiny.job(1), corpus, plan)).utilities(rows);
  const [crossed, unlearned] = [await scores(learned), await scores(others)];
  const { halves, ...whole } = await getJson<ClassifierFile>(store, key);
  expect(halves).toHaveLength(2);
  await putJson(store, key, whole);
  const gap = Math.abs(mean(await scores(learned)) - mean(unlearned));
  expect(Math.abs(mean(crossed) - mean(unlearned))).toBeLessThan(gap / 2);
  expect(await scores(others)).toEqual(unlearned);
});

it('DSIR weighs rows that it counted by the counts of the others', async () => {
  const tiny = await runWith('dsir');
  const corpus = await openRunCorpus(tiny.run);
  const plan = await readPlan(tiny.run, 1);
  const model = await loadDsir(tiny.job(1), 1);
  const weights = async (rows: readonly number[]) =>
    Array.from(await (await dsirScorer(tiny.job(1), corpus, plan)).utilities(rows));
  const expected = async (rows: readonly number[], counted: boolean) =>
    (await corpus.documentTexts(rows)).map((texts) => model.rowWeight(texts, 'sum', counted));
  const probeable = Array.from((await holdOut(tiny.run, corpus, plan)).probeable);
  const candidates = rowRanges(corpus.index, plan.poolShards).map(({ begin }) => begin);
  expect(await weights(candidates)).toEqual(await expected(candidates, false));
  expect(await weights(probeable)).toEqual(await expected(probeable, true));
});

it('train-on-reference puts reference passages into each batch of the main arm, and leaves the control alone', async () => {
  const over = { selection: { referenceShare: 0.5 }, reference: { ...tinyConfig().reference, passages: 12 } };
  const tiny = await runWith('train-on-reference', over);
  const corpus = await openRunCorpus(tiny.run);
  const plan = await readPlan(tiny.run, 1);
  expect(plan).toMatchObject({ scored: false, arms: ['main', 'control'] });
  const length = corpus.index.sequenceLength;
  const { run } = tiny;
  const rowsOf = async (arm: 'main' | 'control', referenceShare = 0.5) => {
    const { selection } = run.record.config;
    const config = { ...run.record.config, selection: { ...selection, referenceShare } };
    const job = tiny.job(1, { arm, run: { ...run, record: { ...run.record, config } } });
    const rows = await openTrainingRows(job, corpus, plan);
    const batch = await rows(0);
    return [0, 1, 2, 3].map((i) => batch.subarray(i * length, (i + 1) * length));
  };
  const passages = await loadPassageSet(tiny.run, corpus, tiny.run.record.config.reference);
  const { endOfText } = corpus.index.tokenizer;
  const text = passages.flatMap(({ tokens }) => [...tokens, endOfText]).join();
  const isReference = (tokens: Int32Array) => text.includes(Array.from(tokens).join());
  expect((await rowsOf('main')).map(isReference)).toEqual([true, true, false, false]);
  expect((await rowsOf('control')).map(isReference)).toEqual([false, false, false, false]);
  // The share is of whole rows: the nearest number of them, but at least one.
  const rowsAt = async (share: number) => (await rowsOf('main', share)).filter(isReference).length;
  expect([await rowsAt(0.01), await rowsAt(0.3), await rowsAt(0.4)]).toEqual([1, 1, 2]);

  // The batches go through all of the reference's rows before one comes again, in another order at each stage.
  const count = Math.floor((text.match(/,/g)!.length + 1) / length);
  const inOrder = async (stage: number) => {
    const rows = await openTrainingRows(tiny.job(stage, { arm: 'main' }), corpus, { ...plan, stage });
    const seen: string[] = [];
    for (let step = 0; step < plan.steps; step++)
      for (const i of [0, 1]) seen.push((await rows(step)).subarray(i * length, (i + 1) * length).join());
    return seen;
  };
  const first = await inOrder(1);
  expect(count).toBeGreaterThan(2); // otherwise the rows of one batch would be all
  expect(new Set(first).size).toBe(Math.min(count, first.length));
  const [before, after] = [armLayout(1, 'main'), armLayout(2, 'main')];
  for (const file of ['selection', 'selectionSummary'] as const)
    await tiny.store.put(after[file], await tiny.store.get(before[file]));
  expect(await inOrder(2)).not.toEqual(first);
});

describe('a weak influence model', () => {
  const weak = (whenWeak: string) => ({
    influenceModel: { ...tinyConfig().influenceModel, minimumSpearman: 1, whenWeak },
  });

  it('is warned of, but still selects, unless the configuration says otherwise', async () => {
    const said = quiet();
    const tiny = await runWith('influence', weak('warn'));
    expect(said.mock.calls.join()).toMatch(
      /stage 1: the influence model is weak: its Spearman .* selects by influence/,
    );
    const fit = await getJson<InfluenceFit>(tiny.store, stageLayout(1).fit);
    expect(fit.weak).toMatch(/Spearman on held-out probes/);
    expect((await readScorer(tiny.store, { stage: 1 })).method).toBe('influence');
  });

  it('is named in the later stages that keep it, too', async () => {
    quiet();
    const tiny = await runWith('static-influence', weak('warn'), 3);
    const { stages } = await summarise(tiny.run);
    for (const { warnings } of stages.slice(1))
      expect(warnings[0]).toMatch(/^The influence model is weak: its Spearman/);
    const report = await collectReportData(tiny.run.open, tiny.run.store.uri);
    expect(report.stages.map(({ weakProbe }) => weakProbe)).toEqual([undefined, undefined, undefined]);
  });

  it('gives way to random rows', async () => {
    quiet();
    const tiny = await runWith('influence', weak('random'));
    expect(await readScorer(tiny.store, { stage: 1 })).toMatchObject({ method: 'random', parts: [] });
    const random = await runWith('random');
    const [given, plain] = await Promise.all([tiny, random].map((one) => selectedRows(one, 1)));
    expect(given!.length).toBeGreaterThan(plain!.length); // a fraction of the pool, and not just what is consumed
    const { method } = await getJson<SelectionSummary>(tiny.store, armLayout(1, 'main').selectionSummary);
    expect(method).toBe('random');
    const { stages } = await summarise(tiny.run);
    expect(stages[1]!.warnings[0]).toMatch(
      /^The influence model is weak: its Spearman .*\. Rows were selected by random instead of influence\.$/,
    );
  });

  it('stops the run', async () => {
    quiet();
    await expect(runWith('influence', weak('stop'))).rejects.toThrow(
      /stage 1: the influence model is weak: .*probe\.documents/,
    );
  });
});

describe('lookahead whose steps make the model worse at the references', () => {
  const tooFast = (whenWeak: string): Over => ({
    probe: { method: 'lookahead', learningRateScale: 1000 },
    influenceModel: { ...tinyConfig().influenceModel, minimumSpearman: -1, whenWeak },
  });

  it('gives way as a weak influence model does', async () => {
    quiet();
    const tiny = await runWith('influence', tooFast('dsir'));
    const because = expect.stringMatching(/lookahead's steps .* kept aside from \d\.\d{3} to \d+\.\d{3}/);
    expect(await readScorer(tiny.store, { stage: 1 })).toMatchObject({ method: 'dsir', weak: because });
    expect(await getJson<InfluenceFit>(tiny.store, stageLayout(1).fit)).toMatchObject({
      weak: because,
      weakLabels: true,
    });
    const { stages } = await summarise(tiny.run);
    expect(stages[1]!.warnings[0]).toMatch(
      /^The labels are weak: lookahead's steps .* worse model\. Rows were selected by dsir instead of influence\.$/,
    );
  });

  it('is recorded and warned of where every row is probed', async () => {
    quiet();
    const tiny = await runWith('color-filter', tooFast('warn'));
    const { method, weak } = await readScorer(tiny.store, { stage: 1 });
    expect([method, weak]).toEqual(['color-filter', expect.stringMatching(/lookahead's steps .* worse model$/)]);
    const { stages } = await summarise(tiny.run);
    expect(stages[1]!.warnings[0]).toBe(`The probe is weak: ${weak}.`);
  });

  it('stops a run that is to stop, also where every row is probed', async () => {
    quiet();
    await expect(runWith('color-filter', tooFast('stop'))).rejects.toThrow(
      /stage 1: the probe is weak: lookahead's steps .*In another run, .*probe\.learningRateScale/,
    );
  });
});

describe('a probe of the decayed checkpoint', () => {
  it.each(['exact', 'lookahead'] as const)(
    'by %s that is stopped in its branch resumes to the same bytes',
    async (method) => {
      const tiny = await TinyRun.create(tinyConfig({ probe: { method, checkpoint: 'decayed' } }));
      await tiny.prepare();
      await tiny.stage(0);
      await tiny.plan(1);
      const { run: prepareProbe } = await import('../../containers/prepare-probe/index.ts');
      const { probeModel } = stageLayout(1);
      await prepareProbe(tiny.job(1));
      const whole = await filesOf(tiny.store, probeModel);
      expect(Object.keys(whole).length).toBeGreaterThan(1);
      for (const steps of [1, 2]) {
        for (const key of Object.keys(whole)) await tiny.store.delete(key);
        const controller = new AbortController();
        const progress = ({ done }: { done: number }) => done === steps && controller.abort();
        await expect(prepareProbe(tiny.job(1, { signal: controller.signal, progress }))).rejects.toThrow(
          InterruptedError,
        );
        await prepareProbe(tiny.job(1));
        expect(await filesOf(tiny.store, probeModel)).toEqual(whole);
      }
    },
  );

  it('is made once for all jobs, from the end of the decay branch at its last learning rate', async () => {
    quiet();
    const tiny = await runWith('influence', { probe: { checkpoint: 'decayed', jobs: 2 } });
    const record = await getJson<{ learningRate: number }>(tiny.store, `${stageLayout(1).probeModel}/probe.json`);
    const { learningRate, decayHalvings } = tiny.run.record.config.pretrain;
    expect(record.learningRate).toBeCloseTo(learningRate / 2 ** decayHalvings, 12);
    const trunk = await loadCheckpoint(tiny.store, armLayout(0, 'main').checkpoint);
    const decayed = await loadCheckpoint(tiny.store, `${stageLayout(1).probeModel}/checkpoint`);
    expect(decayed.optimizer.step).toBe(trunk.optimizer.step + tiny.run.record.config.pretrain.decaySteps);
    expect(decayed.state.step).toBe(decayed.optimizer.step);
    const plain = await runWith('influence');
    const influences = async (one: TinyRun) =>
      (await readParquet({ store: one.store, key: stageLayout(1).probe(0) }, { influence: 'DOUBLE' })).influence;
    expect(await influences(tiny)).not.toEqual((await influences(plain)).slice(0, 6));
  });
});
