import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConfigError, InterruptedError, RunError } from '../../core/errors.ts';
import { synthesizeMachine } from '../../lib/synthesize.ts';
import { jobProgram, type RunMachineOptions, runMachine } from '../../local/run-machine.ts';
import { temporaryFolder } from '../support.ts';

const synthesized = synthesizeMachine();
const functionsDirectory = fileURLToPath(new URL('functions', import.meta.url));

let lakeDirectory: string;
beforeEach(async () => {
  lakeDirectory = await temporaryFolder();
});
afterEach(() => vi.unstubAllEnvs());

/** A stand-in for every job: notes what it was told, and fails or waits where a file of the lake says so. */
const JOB = `
  const fs = require('fs');
  const { MATES_LAKE_DIRECTORY: lake, MATES_STAGE = '-', MATES_ARM = '-', MATES_ITEM = '-', MATES_RUN_URI } = process.env;
  const task = process.argv[1];
  fs.appendFileSync(lake + '/jobs', [task, MATES_STAGE, MATES_ARM, MATES_ITEM].join(' ') + '\\n');
  console.log('working on ' + MATES_RUN_URI);
  console.log(JSON.stringify({ progress: { step: task, done: 1, total: 1, unit: 'steps' } }));
  if (task === 'prepare') console.error('Warning: The passages are odd.');
  if (fs.existsSync(lake + '/fail-' + task)) { console.error('RunError: The loss is NaN at step 7.'); process.exit(1); }
  if (fs.existsSync(lake + '/wait-' + task)) { fs.writeFileSync(lake + '/pid', String(process.pid)); setInterval(() => {}, 1000); }
`;

function run(input: RunMachineOptions['input'] = {}, options: Partial<RunMachineOptions> = {}) {
  return runMachine({
    ...synthesized,
    input,
    executionName: 'quick',
    lakeDirectory,
    functionsDirectory,
    jobs: 2,
    program: ([entry, task]) => ({
      file: process.execPath,
      arguments: ['-e', JOB, entry === 'mates-job' ? task! : 'unknown'],
    }),
    ...options,
  });
}

/** The stand-in in place of every job but pretraining, whose command is the user's. */
function ownTrainer(trainerCommand: string[], log?: RunMachineOptions['log']) {
  const program: RunMachineOptions['program'] = ([entry, task], environment) =>
    entry === 'mates-job'
      ? { file: process.execPath, arguments: ['-e', JOB, task!] }
      : jobProgram(trainerCommand, environment, lakeDirectory);
  return run({}, { ...synthesizeMachine({ trainerCommand }), program, log });
}

const jobs = () => readFileSync(join(lakeDirectory, 'jobs'), 'utf8').trim().split('\n');
const mark = (name: string) => writeFileSync(join(lakeDirectory, name), '');

describe('the synthesized machine on this machine', () => {
  it('runs the loop: every function and job, in order, with its variables', async () => {
    const progress: string[] = [];
    const warnings: string[] = [];
    const output = await run(
      {},
      {
        onWarning: (warning) => warnings.push(warning),
        onProgress: (job, _, { state, environment }) => progress.push(`${job} ${state} ${environment.MATES_STAGE}`),
      },
    );
    expect(output).toEqual({ report: 's3://lake/runs/quick/report.html' });

    const train = (stage: number) => [
      `evaluate ${stage} control -`,
      `evaluate ${stage} main -`,
      `pretrain ${stage} control -`,
      `pretrain ${stage} main -`,
    ];
    const all = jobs();
    expect(all[0]).toBe('prepare - - -');
    expect(all.slice(1, 5).toSorted()).toEqual(train(0));
    expect(all[5]).toBe('prepare-probe 1 - -');
    expect(all.slice(6, 8).toSorted()).toEqual(['probe 1 - {"index":0}', 'probe 1 - {"index":1}']);
    expect(all[8]).toBe('fit-influence 1 - -');
    expect(all.slice(9, 11).toSorted()).toEqual(['score 1 - {"index":0}', 'score 1 - {"index":1}']);
    expect(all.slice(11).toSorted()).toEqual(train(1));

    expect(progress.toSorted()).toContain('probe-quick-1.1 Probe a slice 1');

    const logs = join(lakeDirectory, 'runs/quick/logs');
    expect(readdirSync(logs)).toContain('pretrain-quick-0-control.1.log');
    expect(warnings).toEqual(['Warning: The passages are odd.']);
    const log = readFileSync(join(logs, 'prepare-quick.log'), 'utf8').trim().split('\n');
    expect(log.toSorted()).toEqual([warnings[0], 'working on s3://lake/runs/quick']);
  });

  it.each(['batch', 'sagemaker'])(
    'gives jobs on %s what the machine, its GPUs and S3 need, and nothing else',
    async (trainer) => {
      const given = {
        AWS_REGION: 'eu-west-1',
        CUDA_VISIBLE_DEVICES: '1',
        https_proxy: 'http://proxy',
        OMP_NUM_THREADS: '2',
      };
      const others = { MATES_STAGE: '9', AWS_BATCH_JOB_ATTEMPT: '5', AWS_BATCH_JOB_ARRAY_INDEX: '3', SECRET: 'x' };
      for (const [name, value] of Object.entries({ ...given, ...others })) vi.stubEnv(name, value);
      const script = `${JOB}; fs.writeFileSync(lake + '/env-' + task + MATES_ARM, JSON.stringify(process.env))`;
      const program = ([, task]: string[]) => ({ file: process.execPath, arguments: ['-e', script, task!] });
      await run({ trainer }, { program });
      for (const task of ['prepare-', 'pretrainmain']) {
        const { SECRET, MATES_STAGE, AWS_BATCH_JOB_ATTEMPT, AWS_BATCH_JOB_ARRAY_INDEX, ...environment } = JSON.parse(
          readFileSync(join(lakeDirectory, `env-${task}`), 'utf8'),
        );
        expect(environment).toMatchObject(given);
        expect([SECRET, AWS_BATCH_JOB_ARRAY_INDEX, MATES_STAGE, AWS_BATCH_JOB_ATTEMPT]).toEqual([
          undefined,
          undefined,
          task === 'prepare-' ? undefined : '1',
          '1',
        ]);
      }
      vi.stubEnv('AWS_REGION', undefined);
      await run({ trainer }, { program });
      const { AWS_REGION } = JSON.parse(readFileSync(join(lakeDirectory, 'env-pretrainmain'), 'utf8'));
      expect(AWS_REGION).toBeUndefined();
    },
  );

  it('pretrains by the SageMaker state when asked', async () => {
    const states: string[] = [];
    await run({ trainer: 'sagemaker' }, { onProgress: (_, __, { state }) => states.push(state) });
    expect(states).toContain('Pretrain on SageMaker');
    expect(states).not.toContain('Pretrain');
    expect(jobs().filter((job) => job.startsWith('pretrain'))).toHaveLength(4);
  });

  it("tells a trainer of the user's own the place of the run on the disk, and every variable of this process", async () => {
    vi.stubEnv('VIRTUAL_ENV', '/venv');
    vi.stubEnv('MATES_STAGE', '9');
    const script = `
      const { MATES_RUN_URI, MATES_STAGE, MATES_ARM, VIRTUAL_ENV } = process.env;
      console.error(JSON.stringify({ MATES_RUN_URI, MATES_STAGE, MATES_ARM, VIRTUAL_ENV }));
    `;
    const said: string[] = [];
    await ownTrainer([process.execPath, '-e', script], (_, line) => said.push(line));
    const told = said.filter((line) => line.includes('MATES_ARM')).map((line) => JSON.parse(line));
    expect(told).toHaveLength(4);
    expect(told).toContainEqual({
      MATES_RUN_URI: pathToFileURL(join(lakeDirectory, 'runs/quick')).href,
      MATES_STAGE: '1',
      MATES_ARM: 'control',
      VIRTUAL_ENV: '/venv',
    });
  });

  it('a dry run starts no job', async () => {
    await run({ dryRun: true });
    expect(existsSync(join(lakeDirectory, 'jobs'))).toBe(false);
  });
});

describe('failures', () => {
  it.each([
    ['config', ConfigError, 'model.heads: must divide model.width (128).'],
    ['bug', RunError, 'x is not a function'],
  ])('of a function: %s', async (fail, type, message) => {
    const error = await run({ fail }).catch((reason) => reason);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toBe(message);
  });

  it.each([
    ['prepare', 1],
    ['pretrain', 2],
    ['score', 9],
  ])('of the job %s: its own message', async (task, least) => {
    mark(`fail-${task}`);
    const error = await run().catch((reason) => reason);
    expect(error).toBeInstanceOf(RunError);
    expect(error.message).toBe('The loss is NaN at step 7.');
    expect(jobs().length).toBeGreaterThanOrEqual(least);
    expect(jobs().at(-1)).toMatch(new RegExp(`^${task}|^pretrain`));
  });

  it('of an invalid execution name', async () => {
    await expect(run({}, { executionName: 'a b' })).rejects.toBeInstanceOf(ConfigError);
  });

  it.each([
    [
      'cannot be started',
      ['no-such-trainer'],
      'the trainer no-such-trainer cannot be started: spawn no-such-trainer ENOENT',
    ],
    ['fails', [process.execPath, '-e', 'console.error("no GPU"); process.exit(3)'], 'exit code 3: no GPU'],
  ])("of a trainer of the user's own that %s", async (_, trainerCommand, message) => {
    await expect(ownTrainer(trainerCommand)).rejects.toThrow(message);
  });
});

it("a trainer of the user's own, with its processes, ends with the process that runs the machine", async () => {
  const pid = join(lakeDirectory, 'leaf');
  const shell = `sleep 600 & echo $! > "${pid}.new"; mv "${pid}.new" "${pid}"; wait`;
  const { file, arguments: rest } = jobProgram(
    ['sh', '-c', shell],
    { MATES_RUN_URI: 's3://lake/runs/x' },
    lakeDirectory,
  );
  const child = spawn(file, rest, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], detached: true });
  while (!existsSync(pid)) await delay(10);
  const leaf = Number(readFileSync(pid, 'utf8'));
  child.disconnect(); // as when this process dies
  await vi.waitFor(() => expect(() => process.kill(leaf, 0)).toThrow('ESRCH'), 10_000);
});

describe('abort', () => {
  it('stops the jobs and leaves no process', async () => {
    mark('wait-pretrain');
    const stop = new AbortController();
    const outcome = run({}, { signal: stop.signal });
    const file = join(lakeDirectory, 'pid');
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') await delay(10);
    stop.abort();
    await expect(outcome).rejects.toBeInstanceOf(InterruptedError);
    expect(() => process.kill(Number(readFileSync(file, 'utf8')), 0)).toThrow('ESRCH');
  });

  it('starts nothing when it comes before the beginning', async () => {
    await expect(run({}, { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(InterruptedError);
  });
});
