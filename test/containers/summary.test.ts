import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { CorpusIndex, RunSummary, Timing, TrainingMetrics } from '../../core/formats.ts';
import { armLayout, CORPUS_FILE, CORPUS_FOLDER, stageLayout } from '../../core/layout.ts';
import { mean } from '../../core/metrics/index.ts';
import { summarise } from '../../core/run/summary.ts';
import { readTimings } from '../../core/run/timings.ts';
import { getJson, putJson } from '../../core/storage/index.ts';
import { TinyRun, tinyConfig } from './support.ts';

let tiny: TinyRun;
let summary: RunSummary;
beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  tiny = await TinyRun.create(tinyConfig({ probe: { method: 'lookahead', documents: 12, jobs: 2 } }));
  await tiny.prepare();
  for (const stage of [0, 1]) await tiny.stage(stage);
  summary = await summarise(tiny.run);
});
afterAll(() => vi.restoreAllMocks());

it('gives each stage the tokens of all stages so far, and the loss of the last tenth of its own steps', async () => {
  for (const arm of ['main', 'control'] as const) {
    const { loss } = await getJson<TrainingMetrics>(tiny.store, armLayout(1, arm).metrics);
    expect(summary.stages[1]![arm]).toMatchObject({ tokens: 2 * 8 * 4 * 32, trainingLoss: mean(loss.slice(-1)) });
  }
});

it("has each arm's own training time, and that of its interrupted attempts", async () => {
  const { timing } = stageLayout(1);
  const attempts = { main: { seconds: 33 }, control: { seconds: 70, earlier: [{ begin: 0, seconds: 7 }] } };
  for (const arm of ['main', 'control'] as const) {
    const before = await getJson<Timing>(tiny.store, timing(`pretrain-${arm}`));
    await putJson(tiny.store, timing(`pretrain-${arm}`), { ...before, ...attempts[arm] });
  }
  const { main, control } = (await summarise(tiny.run)).stages[1]!;
  expect([main.trainingSeconds, control!.trainingSeconds]).toEqual([33, 77]);
});

it('counts everything but training, evaluation and preparation as selection', async () => {
  for (const stage of [0, 1]) {
    const others = (await readTimings(tiny.store, stage)).filter(
      ({ job }) => !/^(prepare|pretrain-.*|evaluate-.*)$/.test(job),
    );
    const flops = others.reduce((sum, one) => sum + one.flops, 0);
    expect(summary.stages[stage]!.selectionFlops).toBe(flops);
    expect(others.map(({ job }) => job).sort()).toEqual(
      stage === 0 ? [] : ['fit-influence', 'prepare-probe', 'probe-0', 'probe-1', 'score-0', 'score-1'],
    );
  }
});

it('tells held-out passages apart by which of their tokens count', async () => {
  const { record } = tiny.run;
  const { heldOut } = record.config;
  const hashOf = async (over: object) => {
    const run = { ...tiny.run, record: { ...record, config: { ...record.config, heldOut: { ...heldOut, ...over } } } };
    return (await summarise(run)).data!.heldOut;
  };
  expect(await hashOf({})).toBe(summary.data!.heldOut);
  expect(await hashOf({ target: 'last-word' })).not.toBe(summary.data!.heldOut);
  expect(await hashOf({ passages: 3 })).not.toBe(summary.data!.heldOut);
});

it('tells runs apart by what their rows are chosen by, and not by how the work is cut or saved', async () => {
  const { record } = tiny.run;
  const choiceOf = async (over: Record<string, Record<string, unknown>>) => {
    const run = { ...tiny.run, record: { ...record, config: tinyConfig({ probe: { method: 'lookahead' }, ...over }) } };
    return (await summarise(run)).data!.choice;
  };
  const lookahead = { method: 'lookahead' };
  const same = await choiceOf({});
  expect(await choiceOf({ probe: { ...lookahead, jobs: 1, flushEvery: 3 }, scoring: { jobs: 1 } })).toBe(same);
  expect(await choiceOf({ probe: { ...lookahead, documents: 11 } })).not.toBe(same);
  expect(await choiceOf({ influenceModel: { epochs: 2 } })).not.toBe(same);
  expect(await choiceOf({ selection: { temperature: 0.4 } })).not.toBe(same);
  const random = await choiceOf({ selection: { method: 'random' } });
  const probed = { probe: { ...lookahead, documents: 11 }, influenceModel: { epochs: 2 } };
  expect(await choiceOf({ selection: { method: 'random' }, ...probed })).toBe(random); // neither is used
});

it('tells runs apart by the length of their rows and the size of their vocabulary', async () => {
  const key = `${CORPUS_FOLDER}/${CORPUS_FILE}`;
  const index = await getJson<CorpusIndex>(tiny.store, key);
  const { sequenceLength, tokenizer } = index;
  const others = [
    { sequenceLength: sequenceLength + 1 },
    { tokenizer: { ...tokenizer, vocabularySize: tokenizer.vocabularySize + 1 } },
  ];
  for (const other of others) {
    await putJson(tiny.store, key, { ...index, ...other });
    expect((await summarise(tiny.run)).data!.rows).not.toBe(summary.data!.rows);
  }
  await putJson(tiny.store, key, index);
  expect((await summarise(tiny.run)).data!.rows).toBe(summary.data!.rows);
});

it("tells trainers, texts and a prepared corpus's pools apart, and is of one corpus whether or not its seed was recorded", async () => {
  const { record } = tiny.run;
  const dataOf = async (over: object, versions: Record<string, string> = {}) => {
    const config = { ...record.config, ...over };
    const run = { ...tiny.run, record: { ...record, config, versions: { ...record.versions, ...versions } } };
    return (await summarise(run)).data!;
  };
  expect(summary.data!.trainer).toBe('mates');
  expect((await dataOf({}, { trainer: 'python train.py' })).trainer).toBe('python train.py');
  const key = `${CORPUS_FOLDER}/${CORPUS_FILE}`;
  const index = await getJson<CorpusIndex>(tiny.store, key);
  expect(index.seed).toBe(record.config.seed);
  const same = summary.data!.corpus;
  const prepared = { corpus: { prepared: 'c' } };
  expect((await dataOf(prepared)).corpus).toBe(same); // of its own seed
  const [other, another] = [await dataOf({ ...prepared, seed: 8 }), await dataOf({ ...prepared, seed: 9 })];
  expect(new Set([same, other.corpus, another.corpus]).size).toBe(3);
  expect(other.texts).toBe(summary.data!.texts);
  try {
    await putJson(tiny.store, key, { ...index, seed: undefined }); // as older versions wrote it
    expect((await dataOf({})).corpus).toBe(same);
    expect((await dataOf({ ...prepared, seed: 8 })).corpus).toBe(other.corpus);
    await putJson(tiny.store, key, { ...index, inputs: index.inputs.map((input) => ({ ...input, sha256: 'other' })) });
    expect((await dataOf({})).texts).not.toBe(summary.data!.texts);
  } finally {
    await putJson(tiny.store, key, index);
  }
});

it('names the scores that count beside the method, and hashes tasks by their items', async () => {
  const { record } = tiny.run;
  const of = async (over: object) =>
    summarise({ ...tiny.run, record: { ...record, config: { ...record.config, ...over } } });
  expect(summary.label).toBe('influence');
  expect(summary.data!.tasks).toBeUndefined();
  const { selection, evaluation, heldOut } = record.config;
  const weights = { dsirWeight: 0.5, classifierWeight: 1 };
  expect((await of({ selection: { ...selection, ...weights } })).label).toBe('influence + dsir + classifier');
  expect((await of({ selection: { ...selection, method: 'random' } })).label).toBe('random');
  const tasksOf = async (...tasks: object[]) => (await of({ evaluation: { ...evaluation, tasks } })).data!.tasks!;
  const file = heldOut.input; // any file of the run
  const hashes = await tasksOf({ file, name: 'a' }, { file, name: 'b' }, { file, name: 'c', limit: 3 });
  expect(Object.keys(hashes)).toEqual(['a', 'b', 'c']);
  expect(hashes.a).toBe(hashes.b);
  expect(hashes.c).not.toBe(hashes.a);
});
