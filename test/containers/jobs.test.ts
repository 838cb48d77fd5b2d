import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { holdOut } from '../../containers/hold-out.ts';
import { modelShape } from '../../containers/model.ts';
import { loadPassageSet } from '../../containers/passages.ts';
import { InputError, InterruptedError } from '../../core/errors.ts';
import type { Evaluation, PassagesCheck, Slice, StagePlan } from '../../core/formats.ts';
import { armLayout, INPUTS_FILE, PASSAGES_FILE, stageLayout } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { probeItems } from '../../core/plan/stage-plan.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { repeatableFiles } from '../../core/run/manifest.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { getJson, getJsonIfPresent } from '../../core/storage/index.ts';
import { loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { Trainer } from '../../engine/trainer.ts';
import { filesOf, plainPassageLoss, TinyRun, tinyConfig, tinyModel } from './support.ts';

const PROBES = { row: 'INT64', loss: 'DOUBLE', baseline: 'DOUBLE', influence: 'DOUBLE' } as const;

let tiny: TinyRun;
let plan: StagePlan;
beforeAll(async () => {
  tiny = await TinyRun.create();
  await tiny.prepare();
  const first = await tiny.plan(0);
  await tiny.select(first);
  await tiny.pretrain(0);
  plan = await tiny.plan(1);
});
afterAll(() => tiny?.remove());

/** Aborts a job as SIGTERM would, at its n-th report of progress. */
function stopAt(report: number) {
  const controller = new AbortController();
  let reports = 0;
  return {
    signal: controller.signal,
    progress: () => {
      if (++reports === report) controller.abort();
    },
  };
}

describe('evaluation', () => {
  const { evaluation: evaluationKey, checkpoint, selection } = armLayout(0, 'main');

  it('trains a branch and leaves the checkpoint, and every other file, as it was', async () => {
    const before = await filesOf(tiny.store, '');
    await tiny.evaluate(0);
    const after = await filesOf(tiny.store, '');
    const added = [evaluationKey];
    expect(Object.keys(after).filter((key) => !(key in before))).toEqual(added.sort());
    for (const key of Object.keys(before)) expect(after[key], key).toBe(before[key]);
  });

  it('that is stopped in its branch, or after it, resumes to the same bytes, and keeps no partial checkpoint', async () => {
    const { run: evaluate } = await import('../../containers/evaluate/index.ts');
    const { partialBranch } = armLayout(0, 'main');
    const whole = await tiny.store.get(evaluationKey);
    for (const [report, saved] of [
      [1, '000000010'], // the next of three steps, after the eight of the trunk, is the last that is trained
      [2, '000000011'],
      [4, undefined], // a branch that was not stopped and took no time
    ] as const) {
      await tiny.store.delete(evaluationKey);
      await expect(evaluate(tiny.job(0, stopAt(report)))).rejects.toThrow(InterruptedError);
      const marks = (await tiny.store.list(partialBranch)).filter((key) => key.endsWith('/training.json'));
      expect(marks).toEqual(saved === undefined ? [] : [`${partialBranch}${saved}/training.json`]);
      expect(await repeatableFiles(tiny.store)).not.toContain(marks[0]);
      const steps = vi.spyOn(Trainer.prototype, 'step');
      await tiny.evaluate(0);
      expect(steps).toHaveBeenCalledTimes(saved === undefined ? 3 : 11 - Number(saved));
      steps.mockRestore();
      expect(await tiny.store.get(evaluationKey)).toEqual(whole);
      expect(await tiny.store.list(partialBranch)).toEqual([]);
    }
  });

  it('measures the branch that AdamW makes of the last rows trained on, at a halving rate', async () => {
    const { config } = tiny.run.record;
    const { batchRows, decaySteps, decayHalvings, clipNorm, learningRate } = config.pretrain;
    const corpus = await openRunCorpus(tiny.run);
    const length = corpus.index.sequenceLength;
    const model = await tinyModel(modelShape(config, corpus.index));
    const { parameters, optimizer } = await loadCheckpoint(tiny.store, checkpoint);
    const reference = await loadPassageSet(tiny.run, corpus, config.reference);
    const undecayed = await plainPassageLoss(model, parameters, reference);

    const { row } = await readParquet({ store: tiny.store, key: selection }, { row: 'INT64' });
    const consumed = trainingOrder(row, plan.consumedRows, config.seed, 0);
    const branch = consumed.slice(-decaySteps * batchRows);
    const gradient = parameters.clone();
    for (let t = 1; t <= decaySteps; t++) {
      const tokens = await corpus.tokenRows(branch.slice((t - 1) * batchRows, t * batchRows));
      await model.lossAndGradient(parameters, { batch: batchRows, length, tokens }, gradient);
      const norm = Math.sqrt(gradient.flat.reduce((sum, g) => sum + g * g, 0));
      const scale = Math.min(1, clipNorm / norm);
      const clipped = gradient.flat.map((g) => g * scale);
      optimizer.apply(parameters.flat, clipped, learningRate * 2 ** ((-decayHalvings * t) / decaySteps));
    }

    const found = await getJson<Evaluation>(tiny.store, evaluationKey);
    expect(found).toMatchObject({ step: config.pretrain.stepsPerStage, decaySteps });
    expect(found.referenceLoss).toBeCloseTo(await plainPassageLoss(model, parameters, reference), 5);
    expect(Math.abs(found.referenceLoss - undecayed)).toBeGreaterThan(1e-4); // or the branch did nothing
    const heldOut = await loadPassageSet(tiny.run, corpus, config.heldOut);
    expect(found.heldOutLoss).toBeCloseTo(await plainPassageLoss(model, parameters, heldOut), 5);

    const { evaluation } = await holdOut(tiny.run, corpus, plan);
    const means: number[] = [];
    for (const [domain, rows] of evaluation) {
      const tokens = await corpus.tokenRows(rows);
      const passages = rows.map((_, i) => ({
        tokens: Array.from(tokens.subarray(i * length, (i + 1) * length)),
        firstTarget: 1,
      }));
      const loss = await plainPassageLoss(model, parameters, passages);
      const { name } = corpus.index.domains[domain]!;
      expect(found.domainLoss[name]!.loss).toBeCloseTo(loss, 5);
      expect(found.domainLoss[name]!.rows).toBe(rows.length);
      means.push(loss);
    }
    expect(Object.keys(found.domainLoss)).toHaveLength(means.length);
    expect(found.mixedDomainLoss).toBeCloseTo(means.reduce((sum, loss) => sum + loss, 0) / means.length, 5);
  });

  it('is not made twice', async () => {
    const before = await filesOf(tiny.store, '');
    await tiny.evaluate(0);
    expect(await filesOf(tiny.store, '')).toEqual(before);
  });
});

describe('probing', () => {
  const probed = async (index: number) => readParquet({ store: tiny.store, key: stageLayout(1).probe(index) }, PROBES);

  it('writes its Parquet and nothing else, and not to the checkpoint', async () => {
    const before = await filesOf(tiny.store, '');
    const items = probeItems(plan);
    for (const item of items) await tiny.probe(1, item);
    const after = await filesOf(tiny.store, '');
    const { probe } = stageLayout(1);
    expect(Object.keys(after).filter((key) => !(key in before))).toEqual([...items.map(({ index }) => probe(index))]);
    for (const key of Object.keys(before)) expect(after[key], key).toBe(before[key]);
  });

  it('takes hold-out rows, each once, that no pool has', async () => {
    const rows = (await Promise.all(probeItems(plan).map(({ index }) => probed(index)))).flatMap(({ row }) => row);
    const corpus = await openRunCorpus(tiny.run);
    expect(new Set(rows).size).toBe(plan.probes);
    for (const row of rows) expect(plan.holdOutShards).toContain(corpus.shardOf(row));
  });

  it('gives the same numbers in one job as in several', async () => {
    const one: Slice = { index: 90, begin: 0, end: plan.probes };
    await tiny.probe(1, one);
    const several = await Promise.all(probeItems(plan).map(({ index }) => probed(index)));
    for (const column of ['row', 'loss', 'baseline', 'influence'] as const)
      expect(several.flatMap((part) => part[column])).toEqual((await probed(90))[column]);
  });

  it.each([1, 2, 3, 11, 12])('that is stopped after %i of 12 resumes to the same bytes', async (done) => {
    const { probe, probePartial } = stageLayout(1);
    const item: Slice = { index: 90 + done, begin: 0, end: plan.probes };
    await expect(tiny.probe(1, item, stopAt(done))).rejects.toThrow(InterruptedError);
    expect(await tiny.store.size(probe(item.index))).toBeUndefined();
    const partial = await getJson<{ row: number[] }>(tiny.store, probePartial(item.index));
    expect(partial.row).toHaveLength(done);
    await tiny.probe(1, item);
    expect(await getJsonIfPresent(tiny.store, probePartial(item.index))).toBeUndefined();
    expect(await tiny.store.get(probe(item.index))).toEqual(await tiny.store.get(probe(90)));
  });
});

describe('pretraining', () => {
  it('that is stopped at any step resumes to the same bytes, and keeps no partial checkpoint', async () => {
    const { root, checkpoint, metrics } = armLayout(0, 'main');
    const whole = await filesOf(tiny.store, `${root}/`);
    const { run: pretrain } = await import('../../containers/pretrain/index.ts');
    for (const steps of [1, 3, 7]) {
      for (const key of [...(await tiny.store.list(`${checkpoint}/`)), metrics]) await tiny.store.delete(key);
      await expect(pretrain(tiny.job(0, stopAt(steps)))).rejects.toThrow(InterruptedError);
      const { partialCheckpoints } = armLayout(0, 'main');
      expect(await tiny.store.size(`${partialCheckpoints}00000000${steps}/training.json`)).toBeGreaterThan(0);
      await pretrain(tiny.job(0));
      expect(await filesOf(tiny.store, `${root}/`)).toEqual(whole);
    }
  });
});

it.each([
  [1e-9, 7],
  [1e9, 0],
])('pretraining saves every %f minutes, however few steps they are', async (checkpointEveryMinutes, saved) => {
  const slow = await TinyRun.create(tinyConfig({ pretrain: { checkpointEverySteps: 100, checkpointEveryMinutes } }));
  try {
    await slow.prepare();
    await slow.select(await slow.plan(0));
    const put = vi.spyOn(slow.store, 'put');
    await slow.pretrain(0);
    const { partialCheckpoints } = armLayout(0, 'main');
    const marks = put.mock.calls.filter(
      ([key]) => key.startsWith(partialCheckpoints) && key.endsWith('/training.json'),
    );
    expect(marks).toHaveLength(saved); // of eight steps all but the last
  } finally {
    await slow.remove();
  }
});

describe('a job whose attempt before was killed between its result and its clearing up', () => {
  it('removes what that left, and nothing of it is of the run', async () => {
    const { checkpoint, partialCheckpoints } = armLayout(0, 'main');
    const partial = stageLayout(1).probePartial(0);
    const left = `${partialCheckpoints}000000005/training.json`;
    const item: Slice = probeItems(plan)[0]!;
    await tiny.probe(1, item);
    await tiny.store.put(partial, '{}');
    await tiny.store.put(left, await tiny.store.get(`${checkpoint}/training.json`));
    expect(await repeatableFiles(tiny.store)).not.toContain(left);
    expect(await repeatableFiles(tiny.store)).not.toContain(partial);
    await tiny.probe(1, item);
    await tiny.pretrain(0);
    expect([await tiny.store.size(left), await tiny.store.size(partial)]).toEqual([undefined, undefined]);
  });
});

describe('preparing', () => {
  it('looks at the passages again until the run has begun: they may be of another configuration', async () => {
    const checked = await tiny.store.get(PASSAGES_FILE);
    const plan = await tiny.store.get(stageLayout(0).plan);
    await tiny.store.put(PASSAGES_FILE, '{}');
    await tiny.prepare();
    expect(new TextDecoder().decode(await tiny.store.get(PASSAGES_FILE))).toBe('{}');
    await tiny.store.delete(stageLayout(0).plan);
    await tiny.prepare();
    expect(await tiny.store.get(PASSAGES_FILE)).toEqual(checked);
    await tiny.store.put(stageLayout(0).plan, plan);
  });

  it('refuses to go on with other files than the run began with', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mates-inputs-'));
    const file = join(folder, 'lines.jsonl');
    const write = (texts: string[]) => writeFile(file, texts.map((text) => JSON.stringify({ text })).join('\n'));
    const lines = ['the first line of some', 'the second one'];
    await write(lines);
    const other = await TinyRun.create(tinyConfig({ evaluation: { tasks: [{ file }] } }));
    try {
      await other.prepare();
      await write([...lines, 'a third one']);
      await other.prepare(); // nothing was made of the former
      await other.plan(0);
      await other.prepare();
      await write(lines);
      await expect(other.prepare()).rejects.toThrow(/lines\.jsonl is not the file that the run began with/);
      await other.store.delete(INPUTS_FILE); // a run of before they were recorded
      await other.prepare();
    } finally {
      await other.remove();
      await rm(folder, { recursive: true });
    }
  });

  it('refuses one reference passage where lookahead keeps some aside', async () => {
    const { reference } = tinyConfig();
    const one = { reference: { ...reference, passages: 1 }, probe: { ...tinyConfig().probe, method: 'lookahead' } };
    const other = await TinyRun.create(tinyConfig(one as never));
    try {
      await expect(other.prepare()).rejects.toThrow('reference.passages: 1 are too few for probe.method "lookahead"');
    } finally {
      await other.remove();
    }
  });

  it('warns of passages that are written as the corpus is not, before anything is trained', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mates-passages-'));
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const input = join(folder, 'reference.jsonl');
    const odd = Array.from({ length: 8 }, (_, i) =>
      JSON.stringify({ text: `\u2039${i}\u203a \u2039yes\u203a`.repeat(4) }),
    );
    await writeFile(input, odd.join('\n'));
    const other = await TinyRun.create(tinyConfig({ reference: { input, passages: 8 } }));
    try {
      await other.prepare();
      const { warnings, reference } = await getJson<PassagesCheck>(other.store, PASSAGES_FILE);
      expect(reference.missing).toBeGreaterThan(0.02);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('reference.input');
      await other.plan(0);
      await other.prepare();
      expect(said.mock.calls).toEqual([[`Warning: ${warnings[0]}\n`]]);
    } finally {
      vi.restoreAllMocks();
      await other.remove();
      await rm(folder, { recursive: true });
    }
  });

  it('warns of files of one name that become one domain, and of a vocabulary that cannot be reached', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mates-namesakes-'));
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const input = [];
    for (const name of ['logs', 'dictionary']) {
      const lines = (await readFile(`test/fixtures/mini-corpus/${name}.jsonl`, 'utf8')).trim().split('\n');
      const texts = lines.map((line) => JSON.stringify({ text: JSON.parse(line).text }));
      await mkdir(join(folder, name));
      input.push(join(folder, name, 'part-0.jsonl'));
      await writeFile(input.at(-1)!, texts.join('\n'));
    }
    const other = await TinyRun.create(tinyConfig({ corpus: { input, tokenizer: { train: 50_000 } } }));
    try {
      await other.prepare();
      const warnings = said.mock.calls.map(([text]) => String(text));
      expect(warnings).toContainEqual(
        expect.stringMatching(
          /^Warning: logs\/part-0\.jsonl and dictionary\/part-0\.jsonl count as one domain, "part-0",/,
        ),
      );
      expect(warnings).toContainEqual(
        expect.stringMatching(/^Warning: .* not the 50000 of corpus\.tokenizer\.train: /),
      );
    } finally {
      vi.restoreAllMocks();
      await other.remove();
      await rm(folder, { recursive: true });
    }
  });

  it('warns of a corpus prepared beforehand that may have the passages in it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mates-prepared-'));
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const prepared = join(folder, 'corpus');
    await cp(join(tiny.directory, 'corpus'), prepared, { recursive: true });
    const input = join(folder, 'others.jsonl');
    await writeFile(input, ['one text', 'and another'].map((text) => JSON.stringify({ text })).join('\n'));
    const warningsOf = async (over: Record<string, Record<string, unknown>> = {}) => {
      const run = await TinyRun.create(tinyConfig({ corpus: { prepared, input: [] }, ...over }));
      await run.prepare();
      const { warnings } = await getJson<PassagesCheck>(run.store, PASSAGES_FILE);
      await run.remove();
      return warnings;
    };
    try {
      expect(await warningsOf()).toEqual([]);
      const [first, ...more] = await warningsOf({ heldOut: { input, passages: 2 } });
      expect(first).toMatch(/^2 of the 2 passages of heldOut\.input were not kept out/);
      expect(more).toEqual([]);
      expect(said.mock.calls).toEqual([[`Warning: ${first}\n`]]);
      const { excluded, ...older } = JSON.parse(await readFile(join(prepared, 'corpus.json'), 'utf8'));
      expect(excluded).toHaveLength(24); // of whole files, as other runs may use more of them
      await writeFile(join(prepared, 'corpus.json'), JSON.stringify(older));
      expect((await warningsOf()).map((warning) => /of (\w+)\.input were kept out/.exec(warning)?.[1])).toEqual([
        ...['reference', 'heldOut'],
      ]);
    } finally {
      vi.restoreAllMocks();
      await rm(folder, { recursive: true });
    }
  });

  it('refuses passages that are both selected for and held out', async () => {
    const { reference } = tinyConfig();
    const same = await TinyRun.create(tinyConfig({ heldOut: { input: reference.input, passages: 2 } }));
    try {
      await expect(same.prepare()).rejects.toThrow(InputError);
      await expect(same.prepare()).rejects.toThrow(
        /^2 of the passages of heldOut\.input .* are reference passages too/,
      );
    } finally {
      await same.remove();
    }
  });
});

describe('a run', () => {
  it('selects and trains the same with any number of jobs and any size of their batches', async () => {
    const cuts = [
      { probe: { jobs: 1, flushEvery: 50 }, scoring: { jobs: 1 } },
      { probe: { jobs: 5 }, scoring: { jobs: 7, batchDocuments: 5 } },
    ];
    const outcomes = [];
    for (const cut of cuts) {
      const other = await TinyRun.create(tinyConfig(cut));
      try {
        await other.prepare();
        for (const stage of [0, 1]) await other.stage(stage);
        const files = await filesOf(other.store, 'stages/1/');
        const cutByJob = /\/(probes|scores|timings)\/|\/(plan|(probe|score)-items)\.json$/;
        outcomes.push(Object.entries(files).filter(([key]) => !cutByJob.test(key)));
      } finally {
        await other.remove();
      }
    }
    expect(outcomes[0]!.length).toBeGreaterThan(15);
    expect(outcomes[1]).toEqual(outcomes[0]);
  });
});
