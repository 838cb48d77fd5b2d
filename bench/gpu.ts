/**
 * `npx tsx bench/gpu.ts [--quick] [--only TEXT] [--seconds S] [--json FILE]`: training, forward passes and exact probes on a
 * GPU by the onnx-cuda engine, in each precision, and how far its losses and gradients are from those of the CPU engine. The
 * results file is written after every model, so that measurements are kept if the program is stopped.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { PLAIN_TABLE } from '../bin/format.ts';
import type { Precision } from '../core/config/runtimes.ts';
import { MatesError } from '../core/errors.ts';
import { createRuntime } from '../engine/runtime/runtime.ts';
import { type Job, measureJob, nvidiaSmi, type Result, type Task } from './gpu-case.ts';
import { DECODERS, PYTHIA } from './shapes.ts';

const PRECISIONS: readonly Precision[] = ['float32', 'tf32', 'mixed'];
const PARITY: Task[] = [{ kind: 'parity' }];
const TRAIN: Task[] = [{ kind: 'train', microBatches: 1 }, { kind: 'forward' }];
const ALL: Task[] = [{ kind: 'train', microBatches: 8 }, ...TRAIN, { kind: 'probe' }];

/**
 * Each job runs in its own process, because NVIDIA's libraries read only once whether products may be rounded to TF32.
 */
export function jobs(quick: boolean, seconds: number): Job[] {
  const plan = quick
    ? [[DECODERS.a, PARITY] as const, [PYTHIA['70m'], ALL] as const]
    : [
        ...[DECODERS.a, DECODERS.b, DECODERS.c].map((of) => [of, PARITY] as const),
        ...Object.values(PYTHIA).map((of) => [of, ALL] as const),
        ...Object.values(DECODERS).map((of) => [of, TRAIN] as const),
      ];
  return plan.flatMap(([of, tasks]) =>
    PRECISIONS.map((precision): Job => ({ case: of, precision, tasks: [...tasks], seconds, runtime: 'onnx-cuda' })),
  );
}

/** Marks the lines of a process's output that are results. */
const MARK = 'result: ';

/** Runs the job in a process; if it dies, the first task without a result gets an error. */
function runInProcess(job: Job): Result[] {
  const args = [...process.execArgv, process.argv[1]!, '--one', JSON.stringify(job)];
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const lines = stdout.split('\n').filter((line) => line.startsWith(MARK));
  const results = lines.map((line): Result => JSON.parse(line.slice(MARK.length)));
  const missing = job.tasks[results.length];
  if (missing) {
    const error = `${signal ?? `exit status ${status}`}: ${stderr.trim().split('\n').at(-1)}`;
    results.push({ case: job.case.name, precision: job.precision, task: missing.kind, error });
  }
  return results;
}

export function table(results: readonly Result[]): string {
  const head = [
    'model',
    'precision',
    'task',
    'a second',
    'TFLOP/s',
    'ms',
    'of it on the device',
    'device MB',
    'parity',
  ];
  const view = new Table({ ...PLAIN_TABLE, head });
  for (const { case: name, precision, task, microBatches, speed, parity, deviceMegabytes, error } of results)
    view.push([
      name,
      precision,
      microBatches === undefined ? task : `${task}, ${microBatches} micro-batch${microBatches > 1 ? 'es' : ''}`,
      speed ? `${speed.perSecond.median.toPrecision(4)} ${speed.unit}` : '',
      speed?.teraflops?.toPrecision(3) ?? '',
      speed ? (1000 * speed.seconds).toPrecision(3) : '',
      speed?.runSeconds ? (1000 * speed.runSeconds).toPrecision(3) : '',
      deviceMegabytes ?? '',
      error ?? (parity ? describeParity(parity) : ''),
    ]);
  return view.toString();
}

function describeParity(parity: NonNullable<Result['parity']>): string {
  const { lossError, gradientError, gradientCosine, accumulationError, repeatable } = parity;
  return (
    `loss ${lossError.toExponential(1)}, gradient ${gradientError.toExponential(1)}, 1 - cosine ` +
    `${(1 - gradientCosine).toExponential(1)}, accumulation ${accumulationError.toExponential(1)}, ` +
    `${repeatable ? 'the same bits' : 'other bits'} when repeated`
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      seconds: { type: 'string' },
      json: { type: 'string' },
      one: { type: 'string' },
      check: { type: 'boolean' },
    },
  });
  if (values.one)
    return measureJob(JSON.parse(values.one), (result) => console.log(`${MARK}${JSON.stringify(result)}`));
  if (values.check) return (await createRuntime('onnx-cuda')).dispose();

  // In a process of its own too, so that this one holds no device memory.
  const check = spawnSync(process.execPath, [...process.execArgv, process.argv[1]!, '--check'], { encoding: 'utf8' });
  if (check.status !== 0) {
    console.error(check.stderr.trim().split('\n').at(-1));
    process.exit(check.status ?? 1);
  }
  const [name, driver, megabytes] = nvidiaSmi('name', 'driver_version', 'memory.total');
  const device = { name, driver, megabytes: Number(megabytes) };
  const all = jobs(values.quick, Number(values.seconds ?? (values.quick ? 0.5 : 2)));
  const chosen = all.filter((job) => `${job.case.name} ${job.precision}`.includes(values.only));
  const results: Result[] = [];
  for (const job of chosen) {
    const began = performance.now();
    results.push(...runInProcess(job));
    console.error(`${job.case.name} ${job.precision}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
    if (values.json) writeFileSync(values.json, `${JSON.stringify({ device, results }, null, 1)}\n`);
  }
  console.log(`${name}, driver ${driver}\n${table(results)}`);
}

if (process.argv[1] && /\bgpu\.(ts|js)$/.test(process.argv[1]))
  main().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error instanceof MatesError ? error.message : error);
      process.exit(error instanceof MatesError ? error.exitCode : 1);
    },
  );
