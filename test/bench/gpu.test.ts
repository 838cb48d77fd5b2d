import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jobs, table } from '../../bench/gpu.ts';
import { compareGradients, type Job, measureJob, type Result } from '../../bench/gpu-case.ts';
import { DECODERS } from '../../bench/shapes.ts';

const ROOT = join(import.meta.dirname, '../..');
const shape = { ...DECODERS.quickstart.shape, width: 32, vocabularySize: 256 };
const job: Job = {
  case: { name: 'tiny', shape, batch: 4, length: 16 },
  precision: 'float32',
  tasks: [{ kind: 'parity' }, { kind: 'train', microBatches: 2 }, { kind: 'forward' }, { kind: 'probe' }],
  seconds: 0.01,
  runtime: 'onnx', // the engine of the GPU is the same but for the device
};

async function measured(job: Job): Promise<Result[]> {
  const results: Result[] = [];
  await measureJob(job, (result) => results.push(result));
  return results;
}

describe('bench/gpu.ts', () => {
  it('measures every task, and prints them', async () => {
    const results = await measured(job);
    expect(results.map(({ task, error }) => [task, error])).toEqual(job.tasks.map(({ kind }) => [kind, undefined]));
    const [{ parity }, train, forward, probe] = results as [Result, Result, Result, Result];
    expect(parity).toMatchObject({ lossError: 0, gradientError: 0, repeatable: true });
    expect(parity!.accumulationError).toBeGreaterThan(0);
    expect(parity!.accumulationError).toBeLessThan(1e-5);
    // The tasks have 2 x 4 rows of 16 tokens, 4 rows, and one probe.
    for (const [{ speed }, units] of [[train, 128] as const, [forward, 64] as const, [probe, 1] as const])
      expect(speed!.perSecond.median * speed!.seconds).toBeCloseTo(units, 6);
    expect(table(results)).toMatch(/tiny .*float32 .*train, 2 micro-batches/);
  });

  it('finds what mixed precision changes', async () => {
    const [{ parity }] = (await measured({ ...job, precision: 'mixed', tasks: [{ kind: 'parity' }] })) as [Result];
    expect(parity!.lossError).toBeLessThan(1e-3);
    expect(parity!.gradientError).toBeGreaterThan(1e-4);
    expect(parity!.gradientError).toBeLessThan(0.05);
    expect(parity!.gradientCosine).toBeGreaterThan(0.999);
  });

  it('goes on after a task that fails', async () => {
    const tasks: Job['tasks'] = [{ kind: 'train', microBatches: 0.3 }, { kind: 'forward' }];
    const [failed, forward] = (await measured({ ...job, tasks })) as [Result, Result];
    expect(failed.error).toBeDefined();
    expect(forward.speed).toBeDefined();
    expect(table([failed])).toContain(failed.error);
  });

  it('compares gradients by norm and angle', () => {
    const { gradientError, gradientCosine } = compareGradients(Float32Array.of(3, 0), Float32Array.of(0, 4));
    expect(gradientError).toBeCloseTo(5 / 4);
    expect(gradientCosine).toBe(0);
  });

  it('has every precision of every model, each on the GPU', () => {
    for (const quick of [true, false])
      for (const { runtime, precision } of jobs(quick, 1)) {
        expect(runtime).toBe('onnx-cuda');
        expect(['float32', 'tf32', 'mixed']).toContain(precision);
      }
    expect(jobs(false, 1)).toHaveLength(3 * 10);
  });

  it('refuses a machine without a GPU', () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, ['--import', 'tsx', 'bench/gpu.ts', '--quick'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect(status).toBe(2);
    expect(stderr).toMatch(/engine\.runtime is onnx-cuda, but .* set engine\.runtime to onnx\.\n$/);
    expect(stdout).toBe('');
  });
});
