/** What a probing job saves as it goes, what probes are prepared with, learning rates in the warm-up, and the rows that decay branches, samples and DSIR take. */
import { afterEach, expect, it, vi } from 'vitest';
import { branchRate } from '../../containers/decay-branch.ts';
import { holdOut, sampleHoldOut } from '../../containers/hold-out.ts';
import { openLanguageModel } from '../../containers/model.ts';
import { loadPassageSet } from '../../containers/passages.ts';
import { directionalCopies } from '../../containers/probe/directional.ts';
import { ExactProbe } from '../../containers/probe/exact-probe.ts';
import { lookaheadCopies } from '../../containers/probe/lookahead.ts';
import { openProbe } from '../../containers/probe/open-probe.ts';
import { loadCopies, type ProbeRecord } from '../../containers/probe/prepared-probe.ts';
import { type DsirFile, NgramCounts } from '../../core/dsir/index.ts';
import { InterruptedError } from '../../core/errors.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { controlRows } from '../../core/plan/hold-out.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { STREAM } from '../../core/random/philox.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { getJson } from '../../core/storage/index.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import { loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { Trainer } from '../../engine/trainer.ts';
import { TinyRun, tinyConfig } from './support.ts';

afterEach(() => vi.restoreAllMocks());
async function beforeProbes(over: Parameters<typeof tinyConfig>[0]): Promise<TinyRun> {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const tiny = await TinyRun.create(tinyConfig(over));
  await tiny.prepare();
  await tiny.select(await tiny.plan(0));
  await tiny.pretrain(0);
  await tiny.plan(1);
  return tiny;
}

it('a probing job saves its probes at intervals, so that a job that is killed loses few', async () => {
  const tiny = await beforeProbes({ probe: { method: 'exact', documents: 12, jobs: 1, flushEvery: 5 } });
  const kept: number[] = [];
  const put = tiny.store.put.bind(tiny.store);
  vi.spyOn(tiny.store, 'put').mockImplementation(async (key, content, ...more) => {
    if (key === stageLayout(1).probePartial(0)) kept.push(JSON.parse(String(content)).row.length);
    return put(key, content, ...more);
  });
  const forget = tiny.store.delete.bind(tiny.store);
  const whole: boolean[] = [];
  vi.spyOn(tiny.store, 'delete').mockImplementation(async (key) => {
    if (key === stageLayout(1).probePartial(0))
      whole.push((await tiny.store.size(stageLayout(1).probe(0))) !== undefined);
    return forget(key);
  });
  await tiny.probe(1, { index: 0, begin: 0, end: 12 });
  expect(kept).toEqual([5, 10]);
  expect(whole).toEqual([true]); // what was saved is deleted once the result is there
});

it.each([
  ['lookahead', 'trunk', 1],
  ['exact', 'decayed', 2],
])(
  'preparing the %s probe of the %s checkpoint ends when it is told to, and leaves no probe',
  async (method, checkpoint, at) => {
    const tiny = await beforeProbes({ probe: { method, checkpoint } });
    const stop = new AbortController();
    let reports = 0;
    const stopped = { signal: stop.signal, progress: () => void (++reports === at && stop.abort()) };
    const { run } = await import('../../containers/prepare-probe/index.ts');
    await expect(run(tiny.job(1, stopped))).rejects.toThrow(InterruptedError);
    expect(reports).toBe(at);
    expect(await tiny.store.size(`${stageLayout(1).probeModel}/probe.json`)).toBeUndefined();
  },
);

it.each(['directional', 'lookahead'] as const)(
  'the copies of a %s probe are made with the reference passages, and for lookahead with rows that are not probed',
  async (method) => {
    const lookahead = { steps: 3, batchRows: 4 };
    const tiny = await beforeProbes({ pools: { holdOut: 0.4 }, probe: { method, documents: 12, lookahead } });
    await (await import('../../containers/prepare-probe/index.ts')).run(tiny.job(1));
    const record = await getJson<ProbeRecord>(tiny.store, `${stageLayout(1).probeModel}/probe.json`);
    const { first, second } = await loadCopies(tiny.run, 1, record);

    const { config } = tiny.run.record;
    const corpus = await openRunCorpus(tiny.run);
    const model = await openLanguageModel(config, corpus.index);
    const checkpoint = await loadCheckpoint(tiny.store, armLayout(0, 'main').checkpoint);
    const passages = await loadPassageSet(tiny.run, corpus, config.reference);
    const { learningRate } = config.pretrain;
    const plan = await readPlan(tiny.run, 1);
    const { probeable } = await holdOut(tiny.run, corpus, plan);
    const others = controlRows(probeable, plan.probes, 12, config.seed, 1);
    const randomRows = await corpus.tokenRows(others);
    const copies =
      method === 'directional'
        ? await directionalCopies(checkpoint, new PassageSet(model, passages), config, learningRate)
        : await lookaheadCopies(model, checkpoint, { config, learningRate, passages, randomRows, length: 32 });
    expect([first.flat, second.flat]).toEqual([copies.first.flat, copies.second.flat]);
    expect(record).toMatchObject({ learningRate, scale: copies.scale });
  },
);

it('the decay branch of a trunk that is still warming up starts at its current rate, and so does a probe of the decayed checkpoint', async () => {
  const over = {
    pretrain: { ...tinyConfig().pretrain, warmupSteps: 20 },
    probe: { method: 'exact', checkpoint: 'decayed' },
  };
  const { pretrain } = tinyConfig(over);
  const { learningRate, decaySteps, decayHalvings } = pretrain;
  const last = (9 / 20) * learningRate * 2 ** -decayHalvings; // after eight steps
  expect(branchRate(pretrain, 8)(decaySteps)).toBeCloseTo(last, 12);
  const tiny = await beforeProbes(over);
  await (await import('../../containers/prepare-probe/index.ts')).run(tiny.job(1));
  const record = await getJson<ProbeRecord>(tiny.store, `${stageLayout(1).probeModel}/probe.json`);
  expect(record.learningRate).toBeCloseTo(last, 12);
});

it('a decay branch that is longer than its stage goes through the rows of the stage again', async () => {
  const tiny = await beforeProbes({ pretrain: { ...tinyConfig().pretrain, decaySteps: 11 } });
  const { batchRows } = tiny.run.record.config.pretrain;
  const step = vi.spyOn(Trainer.prototype, 'step');
  await tiny.evaluate(0);

  const plan = await readPlan(tiny.run, 0);
  const { row } = await readParquet({ store: tiny.store, key: armLayout(0, 'main').selection }, { row: 'INT64' });
  const order = trainingOrder(row, plan.consumedRows, tiny.run.record.config.seed, 0);
  const corpus = await openRunCorpus(tiny.run);
  const batch = (at: number) => corpus.tokenRows(order.slice(at * batchRows, (at + 1) * batchRows));
  const expected = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2].map(batch));
  expect(step.mock.calls.map(([tokens]) => tokens)).toEqual(expected);
});

it('the sample of the hold-out that a scorer is fitted to is another at each stage that one is fitted at, and the same at those that keep it', async () => {
  const tiny = await beforeProbes({ pools: { holdOut: 0.4 } });
  const corpus = await openRunCorpus(tiny.run);
  const plan = await readPlan(tiny.run, 1);
  const sample = (over: { stage?: number; scorerStage?: number } = {}, stream: number = STREAM.dsirSample) =>
    sampleHoldOut(tiny.job(1), corpus, { ...plan, ...over }, stream, 10);
  const first = await sample();
  expect(await sample({ stage: 2 })).toEqual(first);
  expect(await sample({ stage: 2, scorerStage: 2 })).not.toEqual(first);
  expect(await sample({}, STREAM.classifierSample)).not.toEqual(first);
  expect([first.length, first]).toEqual([10, first.toSorted((a, b) => a - b)]);
});

it("the exact probe of a run clips as the trunk does, at the trunk's rate times probe.learningRateScale", async () => {
  const over = {
    pretrain: { ...tinyConfig().pretrain, clipNorm: 0.05 },
    probe: { method: 'exact', learningRateScale: 0.5 },
  };
  const tiny = await beforeProbes(over);
  const { config } = tiny.run.record;
  const corpus = await openRunCorpus(tiny.run);
  const plan = await readPlan(tiny.run, 1);
  const model = await openLanguageModel(config, corpus.index);
  const checkpoint = await loadCheckpoint(tiny.store, armLayout(0, 'main').checkpoint);
  const reference = new PassageSet(model, await loadPassageSet(tiny.run, corpus, config.reference));
  const { clipNorm, learningRate } = config.pretrain;
  const by = async (step: { clipNorm: number; learningRate: number }) =>
    (await ExactProbe.create(model, checkpoint, reference, step)).influences(tokens, 32);
  const tokens = await corpus.tokenRows([0, 9, 20]);
  const found = await (await openProbe(tiny.run, corpus, plan)).influences(tokens, 32);
  expect(found).toEqual(await by({ clipNorm, learningRate: learningRate / 2 }));
  expect(found).not.toEqual(await by({ clipNorm: 1e9, learningRate: learningRate / 2 })); // otherwise the clip would not show
});

it("DSIR estimates the pool's distribution from the passages of the hold-out, each by itself, and the other from the reference passages", async () => {
  const tiny = await beforeProbes({ selection: { method: 'dsir' } });
  await (await import('../../containers/fit-influence/index.ts')).run(tiny.job(1));
  const { pool, poolRows, reference } = await getJson<DsirFile>(tiny.store, stageLayout(1).dsir);
  const corpus = await openRunCorpus(tiny.run);
  const { probeable } = await holdOut(tiny.run, corpus, await readPlan(tiny.run, 1));
  const counts = new NgramCounts(pool.hashing);
  for (const text of (await corpus.documentTexts([...probeable])).flat()) counts.add(text);
  expect(poolRows).toBe(probeable.length);
  expect(pool).toEqual(counts.toFile());
  const wanted = new NgramCounts(pool.hashing);
  const tokenizer = await corpus.tokenizer();
  for (const { tokens } of await loadPassageSet(tiny.run, corpus, tiny.run.record.config.reference))
    wanted.add(tokenizer.decode(tokens));
  expect(reference).toEqual(wanted.toFile());
});
