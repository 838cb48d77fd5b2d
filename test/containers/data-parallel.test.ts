/** The jobs that train, with their steps shared by two workers: the same bytes, and a clean end. */
import { spawn } from 'node:child_process';
import { beforeAll, expect, it } from 'vitest';
import { trainingWorkers } from '../../containers/model.ts';
import { parseConfig } from '../../core/config/load.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { filesOf, TinyRun, tinyConfig } from './support.ts';

const { checkpoint, metrics, partialCheckpoints, evaluation } = armLayout(0, 'main');
/** By one worker. */
let expected: Record<string, string>;
let tiny: TinyRun;

beforeAll(async () => {
  tiny = await TinyRun.create(tinyConfig({ engine: { threads: 1, workers: 2 }, pretrain: { stepsPerStage: 30 } }));
  await tiny.prepare();
  await tiny.select(await tiny.plan(0));
  workers(1);
  await tiny.pretrain(0);
  await tiny.evaluate(0);
  expected = await results();
  await forget();
  workers(2);
});

function workers(count: number): void {
  tiny.run.record.config.engine.workers = count;
}

async function results(): Promise<Record<string, string>> {
  const files = await filesOf(tiny.store, 'stages/0/');
  const timing = stageLayout(0).timing('');
  return Object.fromEntries(
    Object.entries(files).filter(([key]) => !key.startsWith(timing.slice(0, timing.lastIndexOf('/')))),
  );
}

async function forget(): Promise<void> {
  const files = [
    metrics,
    evaluation,
    ...(await tiny.store.list(checkpoint)),
    ...(await tiny.store.list(partialCheckpoints)),
  ];
  for (const key of files) await tiny.store.delete(key);
}

it('pretraining and the decay branch give the same bytes', async () => {
  await tiny.pretrain(0);
  await tiny.evaluate(0);
  expect(await results()).toEqual(expected);
  await forget();
});

it('SIGTERM ends the job and its workers with exit code 75; the next attempt, by one worker, gives the same bytes', async () => {
  const job = spawn(process.execPath, ['--import', 'tsx', 'containers/main.ts', 'pretrain'], {
    env: { ...process.env, MATES_RUN_URI: tiny.directory, MATES_STAGE: '0' },
  });
  let output = '';
  for (const stream of [job.stdout, job.stderr])
    stream.on('data', (data: Buffer) => {
      if (output === '') job.kill('SIGTERM'); // with the first step's line of progress
      output += data;
    });
  const ended = await new Promise((resolve) => job.on('close', (code, signal) => resolve({ code, signal })));
  expect(ended, output).toEqual({ code: 75, signal: null });
  expect(await tiny.store.size(`${checkpoint}/training.json`)).toBeUndefined();
  expect(await tiny.store.list(partialCheckpoints)).not.toEqual([]);

  workers(1);
  await tiny.pretrain(0);
  await tiny.evaluate(0);
  expect(await results()).toEqual(expected);
});

it('there is a worker for each GPU, and for each micro-batch at most', () => {
  const inputs = { corpus: { input: ['x'] }, reference: { input: 'x' }, heldOut: { input: 'x' } };
  const pretrain = { batchRows: 8, microBatchRows: 2 };
  const of = (engine: object, gpus: number) =>
    trainingWorkers(parseConfig({ ...inputs, pretrain, engine }, 'test'), gpus);
  expect(of({}, 2)).toBe(1); // the CPU was asked for
  expect(of({ workers: 3 }, 0)).toBe(3);
  expect(of({ workers: 8 }, 0)).toBe(4);
  expect(of({ runtime: 'onnx-cuda' }, 0)).toBe(1); // which finds no GPU, and says so
  expect(of({ runtime: 'onnx-cuda' }, 2)).toBe(2);
  expect(of({ runtime: 'onnx-cuda' }, 8)).toBe(4);
  expect(of({ runtime: 'onnx-cuda', workers: 1 }, 8)).toBe(1);
  expect(of({ runtime: 'tfjs-gpu' }, 2)).toBe(1);
  expect(() => of({ runtime: 'onnx-cuda', workers: 3 }, 2)).toThrow(
    'engine.workers is 3, but this machine shows 2 GPUs',
  );
});
