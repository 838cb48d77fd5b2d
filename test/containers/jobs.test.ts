import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { holdOut } from '../../containers/hold-out.ts';
import { modelShape } from '../../containers/model.ts';
import { loadPassageSet } from '../../containers/passages.ts';
import { InputError, InterruptedError } from '../../core/errors.ts';
import type { Evaluation, PassagesCheck, Slice, StagePlan } from '../../core/formats.ts';
import { armLayout, checkpointMark, INPUTS_FILE, PASSAGES_FILE, stageLayout } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { probeItems } from '../../core/plan/stage-plan.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { repeatableFiles } from '../../core/run/manifest.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { getJson, getJsonIfPresent } from '../../core/storage/index.ts';
import { loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { Trainer } from '../../engine/trainer.ts';
import { temporaryFolder } from '../support.ts';
import { filesOf, plainPassageLoss, TinyRun, tinyConfig, tinyModel } from './support.ts';

const {
  pretrain: { stepsPerStage: STEPS, decaySteps: DECAY_STEPS, checkpointEverySteps: SAVED_EVERY },
  probe: { documents: DOCUMENTS },
} = tinyConfig();

/** A run whose first stage is trained and whose second stage is planned. Tests leave its files as they find them. */
let tiny: TinyRun;
let plan: StagePlan;
beforeAll(async () => {
  tiny = await TinyRun.create();
  await tiny.prepare();
  await tiny.select(await tiny.plan(0));
  await tiny.pretrain(0);
  plan = await tiny.plan(1);
});
afterEach(() => vi.restoreAllMocks());

/** The files of a run, by key: before something is done, and after it. */
async function filesAround(work: () => Promise<void>) {
  const before = await filesOf(tiny.store, '');
  await work();
  return { before, after: await filesOf(tiny.store, '') };
}

/** Expects that the work left every earlier file as it was, and that these are the new ones. */
function expectAdded({ before, after }: Awaited<ReturnType<typeof filesAround>>, added: string[]): void {
  expect(Object.keys(after).filter((key) => !(key in before))).toEqual(added);
  for (const key of Object.keys(before)) expect(after[key], key).toBe(before[key]);
}

/** The file that marks the resumable checkpoint of a step as complete. */
const markAt = (folder: string, step: number) => checkpointMark(folder + String(step).padStart(9, '0'));

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
  let files: Awaited<ReturnType<typeof filesAround>>;
  beforeAll(async () => {
    files = await filesAround(() => tiny.evaluate(0));
  });

  it('trains a branch, and leaves the checkpoint and every other file as they were', () => {
    expectAdded(files, [evaluationKey]);
  });

  it.each([
    // Told to stop during its branch, the job saves itself as it was before the step that it gives up.
    ['after the first step of its branch', 1, STEPS + 1],
    ['after the second step of its branch', 2, STEPS + 2],
    // Told to stop later, it saves nothing: the branch took no time, so it is trained again.
    ['after its branch', DECAY_STEPS + 1, undefined],
  ] as const)(
    'resumes to the same bytes when it is stopped %s, and keeps no partial checkpoint',
    async (_, report, saved) => {
      const { run: evaluate } = await import('../../containers/evaluate/index.ts');
      const { partialBranch } = armLayout(0, 'main');
      const whole = await tiny.store.get(evaluationKey);
      await tiny.store.delete(evaluationKey);
      await expect(evaluate(tiny.job(0, stopAt(report)))).rejects.toThrow(InterruptedError);
      const marks = (await tiny.store.list(partialBranch)).filter((key) => key.endsWith(checkpointMark('')));
      expect(marks).toEqual(saved === undefined ? [] : [markAt(partialBranch, saved)]);
      expect(await repeatableFiles(tiny.store)).not.toContain(marks[0]);
      const steps = vi.spyOn(Trainer.prototype, 'step');
      await tiny.evaluate(0);
      expect(steps).toHaveBeenCalledTimes(STEPS + DECAY_STEPS - (saved ?? STEPS));
      expect(await tiny.store.get(evaluationKey)).toEqual(whole);
      expect(await tiny.store.list(partialBranch)).toEqual([]);
    },
  );

  it('measures a branch that AdamW trains on the last rows of the trunk, at a rate that is halved again and again', async () => {
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
    expect(Math.abs(found.referenceLoss - undecayed)).toBeGreaterThan(1e-4); // otherwise the branch did nothing
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
    const { before, after } = await filesAround(() => tiny.evaluate(0));
    expect(after).toEqual(before);
  });
});

describe('probing', () => {
  const { probe, probePartial } = stageLayout(1);
  /** All probes in one job, whose index no item of the plan has. */
  const IN_ONE: Slice = { index: 90, begin: 0, end: DOCUMENTS };
  const COLUMNS = { row: 'INT64', loss: 'DOUBLE', baseline: 'DOUBLE', influence: 'DOUBLE' } as const;
  const probed = async (index: number) => readParquet({ store: tiny.store, key: probe(index) }, COLUMNS);

  let items: Slice[];
  let files: Awaited<ReturnType<typeof filesAround>>;
  let several: Awaited<ReturnType<typeof probed>>[];
  beforeAll(async () => {
    items = probeItems(plan);
    files = await filesAround(async () => {
      for (const item of items) await tiny.probe(1, item);
    });
    several = await Promise.all(items.map(({ index }) => probed(index)));
    await tiny.probe(1, IN_ONE);
  });

  it('writes its Parquet files and nothing else, and leaves the checkpoint as it was', () => {
    expectAdded(
      files,
      items.map(({ index }) => probe(index)),
    );
  });

  it('takes rows of the hold-out, each once, and none that a pool has', async () => {
    const rows = several.flatMap(({ row }) => row);
    const corpus = await openRunCorpus(tiny.run);
    expect(plan.probes).toBe(DOCUMENTS);
    expect(new Set(rows).size).toBe(plan.probes);
    for (const row of rows) expect(plan.holdOutShards).toContain(corpus.shardOf(row));
  });

  it('gives the same numbers in one job as in several', async () => {
    const one = await probed(IN_ONE.index);
    for (const column of ['row', 'loss', 'baseline', 'influence'] as const)
      expect(several.flatMap((part) => part[column])).toEqual(one[column]);
  });

  it.each([1, 2, 3, DOCUMENTS - 1, DOCUMENTS])(
    `resumes to the same bytes when it is stopped after %i of ${DOCUMENTS} documents`,
    async (done) => {
      const item: Slice = { ...IN_ONE, index: IN_ONE.index + done };
      await expect(tiny.probe(1, item, stopAt(done))).rejects.toThrow(InterruptedError);
      expect(await tiny.store.size(probe(item.index))).toBeUndefined();
      const partial = await getJson<{ row: number[] }>(tiny.store, probePartial(item.index));
      expect(partial.row).toHaveLength(done);
      await tiny.probe(1, item);
      expect(await getJsonIfPresent(tiny.store, probePartial(item.index))).toBeUndefined();
      expect(await tiny.store.get(probe(item.index))).toEqual(await tiny.store.get(probe(IN_ONE.index)));
    },
  );
});

describe('pretraining', () => {
  const { root, checkpoint, metrics, partialCheckpoints } = armLayout(0, 'main');

  it.each([1, SAVED_EVERY, STEPS - 1])(
    `resumes to the same bytes when it is stopped after %i of ${STEPS} steps, and keeps no partial checkpoint`,
    async (done) => {
      const whole = await filesOf(tiny.store, `${root}/`);
      const { run: pretrain } = await import('../../containers/pretrain/index.ts');
      for (const key of [...(await tiny.store.list(`${checkpoint}/`)), metrics]) await tiny.store.delete(key);
      await expect(pretrain(tiny.job(0, stopAt(done)))).rejects.toThrow(InterruptedError);
      expect(await tiny.store.size(markAt(partialCheckpoints, done))).toBeGreaterThan(0);
      await pretrain(tiny.job(0));
      expect(await filesOf(tiny.store, `${root}/`)).toEqual(whole);
    },
  );

  it.each([
    [1e-9, STEPS - 1], // after every step but the last, whose checkpoint is the stage's own
    [1e9, 0],
  ])('saves every %f minutes, however few steps that is', async (checkpointEveryMinutes, saved) => {
    const often = { checkpointEverySteps: STEPS + 1, checkpointEveryMinutes };
    const slow = await TinyRun.create(tinyConfig({ pretrain: often }));
    await slow.prepare();
    await slow.select(await slow.plan(0));
    const put = vi.spyOn(slow.store, 'put');
    await slow.pretrain(0);
    const keys = put.mock.calls.map(([key]) => key).filter((key) => key.startsWith(partialCheckpoints));
    expect(keys.filter((key) => key.endsWith(checkpointMark('')))).toHaveLength(saved);
  });
});

describe('a job whose earlier attempt was killed after writing its result and before clearing up', () => {
  it('removes what that attempt left, none of which counts as part of the run', async () => {
    const { checkpoint, partialCheckpoints } = armLayout(0, 'main');
    const item = probeItems(plan)[0]!;
    const partial = stageLayout(1).probePartial(item.index);
    const left = markAt(partialCheckpoints, STEPS - 1);
    await tiny.probe(1, item);
    await tiny.store.put(partial, '{}');
    await tiny.store.put(left, await tiny.store.get(checkpointMark(checkpoint)));
    expect(await repeatableFiles(tiny.store)).not.toContain(left);
    expect(await repeatableFiles(tiny.store)).not.toContain(partial);
    await tiny.probe(1, item);
    await tiny.pretrain(0);
    expect([await tiny.store.size(left), await tiny.store.size(partial)]).toEqual([undefined, undefined]);
  });
});

describe('preparing', () => {
  let prepared: TinyRun;
  beforeAll(async () => {
    prepared = await TinyRun.create();
    await prepared.prepare();
  });

  it('checks the passages again until the run has begun, as they may be those of another configuration', async () => {
    const checked = await prepared.store.get(PASSAGES_FILE);
    await prepared.store.put(PASSAGES_FILE, '{}');
    await prepared.plan(0);
    await prepared.prepare();
    expect(new TextDecoder().decode(await prepared.store.get(PASSAGES_FILE))).toBe('{}');
    await prepared.store.delete(stageLayout(0).plan);
    await prepared.prepare();
    expect(await prepared.store.get(PASSAGES_FILE)).toEqual(checked);
  });

  it('refuses to go on with files that differ from those the run began with', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'lines.jsonl');
    const write = (texts: string[]) => writeFile(file, texts.map((text) => JSON.stringify({ text })).join('\n'));
    const lines = ['the first line of some', 'the second one'];
    await write(lines);
    const other = await TinyRun.create(tinyConfig({ evaluation: { tasks: [{ file }] } }));
    await other.prepare();
    await write([...lines, 'a third one']);
    await other.prepare(); // nothing was made from the earlier file yet
    await other.plan(0);
    await other.prepare();
    await write(lines);
    await expect(other.prepare()).rejects.toThrow(/lines\.jsonl is not the file that the run began with/);
    await other.store.delete(INPUTS_FILE); // as in runs from before the files were recorded
    await other.prepare();
  });

  it('refuses a single reference passage where lookahead has to keep some aside', async () => {
    const input = join(await temporaryFolder(), 'one.jsonl');
    await writeFile(input, JSON.stringify({ text: 'the only passage' }));
    const other = await TinyRun.create(tinyConfig({ reference: { input }, probe: { method: 'lookahead' } }));
    await expect(other.prepare()).rejects.toThrow(
      'reference.input has 1 passage, counting equal ones once: too few for probe.method "lookahead"',
    );
    expect(await other.store.list('corpus/')).toEqual([]); // it takes much longer to prepare
  });

  it('warns of passages written in characters that the corpus lacks, before anything is trained', async () => {
    const folder = await temporaryFolder();
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const input = join(folder, 'reference.jsonl');
    const odd = Array.from({ length: 8 }, (_, i) =>
      JSON.stringify({ text: `\u2039${i}\u203a \u2039yes\u203a`.repeat(4) }),
    );
    await writeFile(input, odd.join('\n'));
    const other = await TinyRun.create(tinyConfig({ reference: { input, passages: 8 } }));
    await other.prepare();
    const { warnings, reference } = await getJson<PassagesCheck>(other.store, PASSAGES_FILE);
    expect(reference.missing).toBeGreaterThan(0.02);
    expect(warnings.at(-1)).toContain('tokens of reference.input that count');
    await other.plan(0);
    await other.prepare();
    expect(said.mock.calls).toEqual(warnings.map((warning) => [`Warning: ${warning}\n`]));
  });

  it('warns of files of the same name that become one domain, and of a vocabulary size that cannot be reached', async () => {
    const folder = await temporaryFolder();
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
    await other.prepare();
    const warnings = said.mock.calls.map(([text]) => String(text));
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /^Warning: logs\/part-0\.jsonl and dictionary\/part-0\.jsonl count as one domain, "part-0",/,
      ),
    );
    expect(warnings).toContainEqual(expect.stringMatching(/^Warning: .* not the 50000 of corpus\.tokenizer\.train: /));
  });

  it('warns of a corpus prepared beforehand that may contain the passages', async () => {
    const folder = await temporaryFolder();
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const corpus = join(folder, 'corpus');
    await cp(join(prepared.directory, 'corpus'), corpus, { recursive: true });
    const input = join(folder, 'others.jsonl');
    await writeFile(input, ['one text', 'and another'].map((text) => JSON.stringify({ text })).join('\n'));
    const warningsOf = async (over: Record<string, Record<string, unknown>> = {}) => {
      const run = await TinyRun.create(tinyConfig({ corpus: { prepared: corpus }, ...over }));
      await run.prepare();
      const { warnings } = await getJson<PassagesCheck>(run.store, PASSAGES_FILE);
      return warnings.filter((warning) => !/longer than a row|passages are few/.test(warning)); // as in all tiny runs
    };
    expect(await warningsOf()).toEqual([]);
    const [first, ...more] = await warningsOf({ heldOut: { input, passages: 2 } });
    expect(first).toMatch(/^2 of the 2 passages of heldOut\.input were not kept out/);
    expect(more).toEqual([]);
    expect(said.mock.calls).toContainEqual([`Warning: ${first}\n`]);
    const { excluded, ...older } = JSON.parse(await readFile(join(corpus, 'corpus.json'), 'utf8'));
    expect(excluded).toHaveLength(24); // every passage of both files, as other runs may use more of them
    await writeFile(join(corpus, 'corpus.json'), JSON.stringify(older));
    expect((await warningsOf()).map((warning) => /of (\w+)\.input were kept out/.exec(warning)?.[1])).toEqual([
      'reference',
      'heldOut',
    ]);
  });

  it('refuses passages that are both selected for and held out', async () => {
    const { reference } = tinyConfig();
    const same = await TinyRun.create(tinyConfig({ heldOut: { input: reference.input, passages: 2 } }));
    await expect(same.prepare()).rejects.toThrow(InputError);
    await expect(same.prepare()).rejects.toThrow(/^2 of the passages of heldOut\.input .* are reference passages too/);
  });
});

describe('a run', () => {
  it('selects and trains the same with any number of jobs and any batch size', async () => {
    const cuts = [
      { probe: { jobs: 1, flushEvery: 50 }, scoring: { jobs: 1 } },
      { probe: { jobs: 5 }, scoring: { jobs: 7, batchDocuments: 5 } },
    ];
    const outcomes = [];
    for (const cut of cuts) {
      const other = await TinyRun.create(tinyConfig(cut));
      await other.prepare();
      for (const stage of [0, 1]) await other.stage(stage);
      const files = await filesOf(other.store, 'stages/1/');
      const cutByJob = /\/(probes|scores|timings)\/|\/(plan|(probe|score)-items)\.json$/;
      outcomes.push(Object.entries(files).filter(([key]) => !cutByJob.test(key)));
    }
    expect(outcomes[0]!.length).toBeGreaterThan(15);
    expect(outcomes[1]).toEqual(outcomes[0]);
  });
});
