import { afterEach, describe, expect, it, vi } from 'vitest';
import { ConfigError, RunError } from '../../core/errors.ts';
import { WorkerPool } from '../../core/threads/worker-pool.ts';
import { DataParallelTrainer, TRAINING_WORKER } from '../../engine/data-parallel/data-parallel-trainer.ts';
import type { WorkerSetup } from '../../engine/data-parallel/messages.ts';
import { rounds, share } from '../../engine/data-parallel/plan.ts';
import { Trainer } from '../../engine/trainer.ts';
import { digests, TRAINING, tinyModel, trainedCheckpoint } from '../containers/support.ts';
import { randomTokens } from './support.ts';

const [ROWS, LENGTH, STEPS] = [6, 12, 3];
const model = await tinyModel();
const tokens = randomTokens(ROWS * LENGTH * STEPS, model.shape.vocabularySize, 21);
const batchOf = (step: number) => tokens.subarray(step * ROWS * LENGTH, (step + 1) * ROWS * LENGTH);
const config = { ...TRAINING, batchRows: ROWS, microBatchRows: 1 };
const runtime = { name: 'onnx', options: { threads: 1 } } as const;

const opened: DataParallelTrainer[] = [];
afterEach(async () => {
  for (const trainer of opened.splice(0)) await trainer.close();
});

async function open(workers: number, checkpoint = trainedCheckpoint(model), microBatchRows = 1) {
  const trainer = await DataParallelTrainer.open({
    shape: model.shape,
    workers,
    runtime,
    config: { ...config, microBatchRows },
    parameters: checkpoint.parameters,
    optimizer: checkpoint.optimizer,
  });
  opened.push(trainer);
  return { trainer, checkpoint };
}

async function alone(microBatchRows = 1) {
  const checkpoint = trainedCheckpoint(model);
  const { parameters, optimizer } = checkpoint;
  const trainer = new Trainer(model, { ...config, microBatchRows }, parameters, optimizer);
  const results = [];
  for (let step = 0; step < STEPS; step++) results.push(await trainer.step(batchOf(step), LENGTH, 1e-3));
  return { results, digests: digests(checkpoint) };
}

describe('data-parallel training', () => {
  // Four workers share six micro-batches in two rounds, the second of which leaves two of them without one.
  it.each([2, 4])('by %i workers has the losses and the bits of one', async (workers) => {
    const { trainer, checkpoint } = await open(workers);
    const results = [];
    for (let step = 0; step < STEPS; step++) results.push(await trainer.step(batchOf(step), LENGTH, 1e-3));
    trainer.collect();
    const expected = await alone();
    expect(results).toEqual(expected.results);
    expect(digests(checkpoint)).toEqual(expected.digests);
  });

  it('by two workers has the losses of one with twice the micro-batch, to rounding', async () => {
    const { trainer } = await open(2);
    const { results } = await alone(2);
    for (let step = 0; step < STEPS; step++) {
      const { loss, gradientNorm } = await trainer.step(batchOf(step), LENGTH, 1e-3);
      expect(Math.abs(loss / results[step]!.loss - 1)).toBeLessThan(1e-5);
      expect(Math.abs(gradientNorm / results[step]!.gradientNorm - 1)).toBeLessThan(1e-4);
    }
  });

  it('goes on from the middle of a training with another number of workers', async () => {
    const first = await open(2);
    await first.trainer.step(batchOf(0), LENGTH, 1e-3);
    first.trainer.collect();
    const { trainer, checkpoint } = await open(3, first.checkpoint);
    for (let step = 1; step < STEPS; step++) await trainer.step(batchOf(step), LENGTH, 1e-3);
    trainer.collect();
    expect(digests(checkpoint)).toEqual((await alone()).digests);
  });

  it('whose loss is not a number changes nothing and says what to do', async () => {
    const broken = trainedCheckpoint(model);
    broken.parameters.view('gpt_neox.final_layer_norm.weight')[1] = Number.NaN;
    const before = digests(broken);
    const { trainer, checkpoint } = await open(2, broken);
    await expect(trainer.step(batchOf(0), LENGTH, 1e-3)).rejects.toThrow(/^step 6: .*pretrain\.learningRate/s);
    trainer.collect();
    expect(digests(checkpoint)).toEqual(before);
  });

  it('gives a step up at once, and changes nothing, when its signal is aborted', async () => {
    const { trainer, checkpoint } = await open(2);
    expect(await trainer.step(batchOf(0), LENGTH, 1e-3, new AbortController().signal)).toMatchObject({});
    trainer.collect();
    const before = digests(checkpoint);
    const stop = new AbortController();
    const step = trainer.step(batchOf(1), LENGTH, 1e-3, stop.signal);
    stop.abort();
    expect(await step).toBeUndefined();
    trainer.collect();
    expect(digests(checkpoint)).toEqual(before);
  });

  it('without the engine in its workers fails as the engine does', async () => {
    const attempt = DataParallelTrainer.open({
      ...trainedCheckpoint(model),
      workers: 2,
      runtime: { name: 'onnx-cuda', options: {} },
      config,
    });
    await expect(attempt).rejects.toThrow(ConfigError);
    await expect(attempt).rejects.toThrow('engine.runtime is onnx-cuda, but');
  });
});

describe('a worker', () => {
  it('has the GPU of its number', async () => {
    const start = vi.spyOn(WorkerPool, 'start').mockRejectedValueOnce(new Error('not now'));
    await expect(open(3)).rejects.toThrow('not now');
    const setups = start.mock.calls[0]![1] as WorkerSetup[];
    expect(setups.map(({ worker, runtime }) => [worker, runtime.options.device])).toEqual([0, 1, 2].map((i) => [i, i]));
  });

  it('that ends in the middle of a step fails the step, and every later one', async () => {
    const { trainer } = await open(2);
    const step = trainer.step(batchOf(0), LENGTH, 1e-3);
    // The message reaches the thread while it computes; it is what an addon that crashes its thread looks like.
    await (
      trainer as unknown as { pool: { members: { thread: { terminate(): Promise<number> } }[] } }
    ).pool.members[1]!.thread.terminate();
    await expect(step).rejects.toThrow(RunError);
    await expect(step).rejects.toThrow(/^training worker 2 of 2 ended with exit code 1 in the middle of the work/);
    await expect(trainer.step(batchOf(0), LENGTH, 1e-3)).rejects.toThrow('training worker 2 of 2 ended');
  });

  it('whose work fails hands its error on', async () => {
    const { trainer } = await open(2);
    const outside = batchOf(0).slice();
    outside[0] = 1e6;
    const attempt = trainer.step(outside, LENGTH, 1e-3);
    await expect(attempt).rejects.toThrow(/^training worker 1 of 2 failed: token 0 is 1000000/);
  });

  it('ends with the pool', async () => {
    const { trainer } = await open(2);
    await trainer.close();
    const { members } = (trainer as unknown as { pool: { members: { thread: { threadId: number } }[] } }).pool;
    expect(members.map(({ thread }) => thread.threadId)).toEqual([-1, -1]); // Node's sign of a thread that has ended
  });
});

describe('a step', () => {
  it('on CPUs is shared by rounds of one micro-batch for each worker', () => {
    expect(rounds(6, 1, false)).toEqual([[1], [1], [1], [1], [1], [1]]);
    expect(rounds(6, 4, false)).toEqual([
      [1, 1, 1, 1],
      [1, 1],
    ]);
  });

  it('on GPUs is shared in one round', () => {
    expect(rounds(6, 4, true)).toEqual([[1, 2, 1, 2]]);
    expect(rounds(2, 4, true)).toEqual([[1, 1]]);
  });

  it('is shared whole', () => {
    for (const workers of [1, 2, 3, 7])
      for (const total of [1, 5, 12]) {
        const parts = Array.from({ length: workers }, (_, worker) => share(total, workers, worker));
        expect(parts.reduce((end, { begin, size }) => (begin === end ? end + size : Number.NaN), 0)).toBe(total);
        for (const inOneRound of [true, false])
          expect(
            rounds(total, workers, inOneRound)
              .flat()
              .reduce((a, b) => a + b),
          ).toBe(total);
      }
  });
});

it('a pool of no workers is empty', async () => {
  expect((await WorkerPool.start(TRAINING_WORKER, [])).size).toBe(0);
});
