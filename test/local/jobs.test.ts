import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ConfigError, InputError, InterruptedError, RunError } from '../../core/errors.ts';
import type { Progress } from '../../core/progress.ts';
import { type JobRequest, JobRunner, type JobRunnerOptions, retries } from '../../local/jobs.ts';
import { temporaryFolder } from '../support.ts';

const folder = await temporaryFolder();

/** A job whose command is a script for Node. */
function run(script: string, request: Partial<JobRequest> = {}, options: Partial<JobRunnerOptions> = {}) {
  const progress: [string, Progress][] = [];
  const lines: string[] = [];
  const runner = new JobRunner({
    program: ([text]) => ({ file: process.execPath, arguments: ['-e', text!] }),
    environment: { PATH: process.env.PATH! },
    slots: 2,
    grace: 1,
    onProgress: (job, at) => progress.push([job, at]),
    log: (_, line) => lines.push(line),
    ...options,
  });
  const outcome = runner.run({
    label: 'job',
    state: 'It',
    items: [],
    command: [script],
    environment: {},
    retryStrategy: { attempts: 1, evaluateOnExit: [] },
    signal: new AbortController().signal,
    ...request,
  });
  return outcome.then(({ attempts, failure }) => ({ attempts, failure, progress, lines }));
}

const strategy = (attempts: number) => ({
  attempts,
  evaluateOnExit: [
    { action: 'RETRY', onStatusReason: 'Host EC2*' },
    { action: 'RETRY', onReason: 'CannotPullContainerError:*' },
    { action: 'RETRY', onExitCode: '75' },
    { action: 'EXIT', onReason: '*' },
  ] as const satisfies object[],
});
const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(10);
}

describe('one job', () => {
  it('gets its variables and nothing else', async () => {
    process.env.SECRET_OF_THE_PARENT = 'x';
    const { lines } = await run('console.log(JSON.stringify(process.env))', { environment: { MATES_STAGE: '3' } });
    delete process.env.SECRET_OF_THE_PARENT;
    const { NODE_CHANNEL_FD: _, NODE_CHANNEL_SERIALIZATION_MODE: __, ...environment } = JSON.parse(lines[0]!);
    expect(environment).toEqual({ PATH: process.env.PATH, MATES_STAGE: '3', AWS_BATCH_JOB_ATTEMPT: '1' });
  });

  it('reports progress and logs everything else, line by line', async () => {
    const at: Progress = { step: 'Pretrain', done: 1, total: 2, unit: 'steps' };
    const script = `console.log('hello'); console.log(${JSON.stringify(JSON.stringify({ progress: at }))}); console.error('careful'); process.stdout.write('no newline')`;
    const { progress, lines, failure } = await run(script);
    expect(failure).toBeUndefined();
    expect(progress).toEqual([['job', at]]);
    expect(lines.toSorted()).toEqual(['careful', 'hello', 'no newline']);
  });

  it.each<[string, string, typeof RunError | typeof ConfigError, string | RegExp]>([
    [
      'the last line of stderr',
      "console.error('noise'); console.error('RunError: The loss is NaN.'); process.exit(1)",
      RunError,
      'The loss is NaN.',
    ],
    [
      'several lines',
      "console.error('ConfigError: a: bad\\n    b: bad'); process.exit(2)",
      ConfigError,
      'a: bad\n  b: bad',
    ],
    [
      'what looks like another error in a further line',
      "console.error('InputError: no field x, but\\n  InterruptedError: fine'); process.exit(1)",
      InputError,
      'no field x, but\nInterruptedError: fine',
    ],
    [
      'a stack before it',
      "console.error(new TypeError('x is not a function')); console.error('Error: x is not a function'); process.exit(1)",
      RunError,
      'The job job ended with exit code 1: x is not a function',
    ],
    ['an uncaught error', "throw new Error('boom')", RunError, 'The job job ended with exit code 1: boom'],
    [
      'an error of another language',
      "console.error('ValueError: boom'); process.exit(1)",
      RunError,
      'The job job ended with exit code 1: ValueError: boom',
    ],
    [
      'no error line',
      "console.error('something odd'); process.exit(3)",
      RunError,
      'The job job ended with exit code 3: something odd',
    ],
    ['silence', 'process.exit(3)', RunError, /exit code 3; its log/],
    ['SIGKILL', "process.kill(process.pid, 'SIGKILL')", RunError, /out of memory/],
  ])('failure: %s', async (_, script, type, message) => {
    const { failure } = await run(script);
    expect(failure).toBeInstanceOf(type);
    if (typeof message === 'string') expect(failure!.message).toBe(message);
    else expect(failure!.message).toMatch(message);
  });

  it('fails where its program does not exist', async () => {
    const program = () => ({ file: join(import.meta.dirname, 'no-such-program'), arguments: [] });
    await expect(run('', {}, { program })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('attempts', () => {
  const counting = (name: string, then: string) =>
    `const n = Number(process.env.AWS_BATCH_JOB_ATTEMPT); require('fs').appendFileSync('${join(folder, name)}', 'x'); ${then}`;

  it('are repeated after exit code 75', async () => {
    const { attempts, failure } = await run(counting('a', 'process.exit(n < 3 ? 75 : 0)'), {
      retryStrategy: strategy(10),
    });
    expect(attempts.map(({ exitCode }) => exitCode)).toEqual([75, 75, 0]);
    expect(failure).toBeUndefined();
  });

  it('end when the attempts are used up', async () => {
    const script = counting('b', "console.error('InterruptedError: stopped'); process.exit(75)");
    const { attempts, failure } = await run(script, { retryStrategy: strategy(2) });
    expect(attempts).toHaveLength(2);
    expect(failure).toBeInstanceOf(InterruptedError);
  });

  it('are not repeated after another exit code', async () => {
    expect((await run('process.exit(1)', { retryStrategy: strategy(10) })).attempts).toHaveLength(1);
  });

  it('an attempt that takes too long is killed, and not retried', async () => {
    const { attempts, failure } = await run('setInterval(() => {}, 1000)', {
      retryStrategy: strategy(10),
      timeout: 0.3,
    });
    expect(attempts).toMatchObject([{ statusReason: 'Job attempt duration exceeded timeout', exitCode: 137 }]);
    expect(failure!.message).toContain('longer than its 0.3 s');
    // It is not repeated, whatever the conditions say.
    const always = { attempts: 10, evaluateOnExit: [] };
    const again = await run('setInterval(() => {}, 1000)', { retryStrategy: always, timeout: 0.3 });
    expect(again.attempts).toHaveLength(1);
  });

  it('are decided by the first condition that fits, whose patterns match from the start; without one they are repeated', () => {
    const end = { exitCode: 1, statusReason: 'Host EC2 (instance i-1) terminated.', startedAt: 0, stoppedAt: 0 };
    expect(retries(strategy(1).evaluateOnExit, end)).toBe(true);
    expect(retries(strategy(1).evaluateOnExit, { ...end, statusReason: 'A Host EC2' })).toBe(false);
    expect(retries([{ action: 'EXIT', onExitCode: '1' }], { ...end, exitCode: 12 })).toBe(true);
    expect(retries([{ action: 'EXIT', onExitCode: '1*' }], { ...end, exitCode: 12 })).toBe(false);
    expect(retries([{ action: 'EXIT', onExitCode: '1', onStatusReason: 'x' }], end)).toBe(true);
    expect(retries([], end)).toBe(true);
  });
});

describe('slots', () => {
  it('run no more jobs at once than there are slots', async () => {
    const file = join(folder, 'peak');
    const program = () => ({
      file: process.execPath,
      arguments: [
        '-e',
        `const fs = require('fs'); fs.appendFileSync('${file}', '+'); setTimeout(() => fs.appendFileSync('${file}', '-'), 50)`,
      ],
    });
    const runner = new JobRunner({ program, environment: {}, slots: 2 });
    const job = () =>
      runner.run({
        label: 'j',
        state: 'It',
        items: [],
        command: [],
        environment: {},
        retryStrategy: strategy(1),
        signal: new AbortController().signal,
      });
    await Promise.all(Array.from({ length: 5 }, job));
    let now = 0;
    const running = [...readFileSync(file, 'utf8')].map((sign) => (now += sign === '+' ? 1 : -1));
    expect(running).toHaveLength(10);
    expect(Math.max(...running)).toBeLessThanOrEqual(2);
  });
});

describe('stopping', () => {
  const started = (name: string) => join(folder, name);
  /** A job that runs until it is ended; once its process id is there, it handles signals as `first` says. */
  const writesPid = (name: string, first: string, then = '') =>
    `${first}; require('fs').writeFileSync('${started(name)}', String(process.pid)); setInterval(() => {}, 1000); ${then}`;
  const pidOf = async (name: string) => {
    await until(() => existsSync(started(name)) && readFileSync(started(name), 'utf8') !== '');
    return Number(readFileSync(started(name), 'utf8'));
  };

  it.each([
    ['a job that obeys SIGTERM', 'obeys', "process.on('SIGTERM', () => process.exit(75))"],
    ['a job that ignores it', 'ignores', "process.on('SIGTERM', () => {})"],
  ])('%s is gone when the promise settles', async (_, name, then) => {
    const stop = new AbortController();
    const reason = new InterruptedError('stopped');
    const outcome = run(writesPid(name, then), { signal: stop.signal, retryStrategy: strategy(10) }, { grace: 0.2 });
    const pid = await pidOf(name);
    expect(alive(pid)).toBe(true);
    stop.abort(reason);
    await expect(outcome).rejects.toBe(reason);
    expect(alive(pid)).toBe(false);
  });

  it('takes along what the job has started', async () => {
    const child = writesPid('grandchild', '').replaceAll("'", '"');
    const script = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' }); require('fs').readFileSync('/dev/null'); setInterval(() => { if (require('fs').existsSync('${started('grandchild')}')) process.exit(0) }, 20)`;
    const { failure } = await run(script);
    expect(failure).toBeUndefined();
    const pid = await pidOf('grandchild');
    await until(() => !alive(pid));
  });

  it('a job that waits for a slot never starts', async () => {
    const stop = new AbortController();
    const runner = new JobRunner({
      program: ([name]) => ({ file: process.execPath, arguments: ['-e', writesPid(name!, '')] }),
      environment: {},
      slots: 1,
      grace: 0.2,
    });
    const job = (name: string) =>
      runner.run({
        label: name,
        state: 'It',
        items: [],
        command: [name],
        environment: {},
        retryStrategy: strategy(1),
        signal: stop.signal,
      });
    const both = Promise.allSettled([job('first'), job('second')]);
    await pidOf('first');
    stop.abort(new InterruptedError('stopped'));
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(existsSync(started('second'))).toBe(false);
  });

  it('a job that no longer waits leaves its place to the next', async () => {
    const runner = new JobRunner({
      program: ([text]) => ({ file: process.execPath, arguments: ['-e', text!] }),
      environment: {},
      slots: 1,
      grace: 0.2,
    });
    const job = (text: string, signal = new AbortController().signal) =>
      runner.run({
        label: 'job',
        state: 'It',
        items: [],
        command: [text],
        environment: {},
        retryStrategy: strategy(1),
        signal,
      });
    const stop = new AbortController();
    const first = job(writesPid('slow', 'setTimeout(() => process.exit(0), 300)'));
    const left = job('', stop.signal);
    const last = job('');
    stop.abort(new InterruptedError('stopped'));
    await expect(left).rejects.toThrow('stopped');
    expect((await Promise.all([first, last])).map(({ failure }) => failure)).toEqual([undefined, undefined]);
  });

  it('a second Ctrl-C kills the jobs', async () => {
    const [jobs, interrupt] = ['local/jobs.ts', 'bin/interrupt.ts'].map((path) =>
      JSON.stringify(fileURLToPath(new URL(`../../${path}`, import.meta.url))),
    );
    const job = writesPid('twice', "process.on('SIGTERM', () => {}); process.on('disconnect', () => {})");
    const parent = `
      import { JobRunner } from ${jobs};
      import { stopSignal } from ${interrupt};
      const program = () => ({ file: process.execPath, arguments: ['-e', ${JSON.stringify(job)}] });
      const request = { label: 'a', state: 'It', items: [], command: [], environment: {} };
      const retryStrategy = { attempts: 1, evaluateOnExit: [] };
      const { signal } = stopSignal();
      await new JobRunner({ program, environment: {}, slots: 1 }).run({ ...request, retryStrategy, signal });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', parent], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const told = once(createInterface({ input: child.stderr }), 'line');
    const ended = once(child, 'exit');
    const pid = await pidOf('twice');
    child.kill('SIGINT');
    await told;
    await delay(1200); // sooner, it would be the same press: see test/commands/interrupt.test.ts
    expect([child.exitCode, alive(pid)]).toEqual([null, true]);
    child.kill('SIGINT');
    expect((await ended)[0]).toBe(130);
    await until(() => !alive(pid));
  });

  it.each([
    ['an uncaught error', "setTimeout(() => { throw new Error('bug') }, 0)"],
    ['exit', 'process.exit(0)'],
    ['SIGKILL, by the closed channel', "process.kill(process.pid, 'SIGKILL')"],
  ])('no job outlives a parent that ends by %s', async (what, end) => {
    const name = `orphan-${what.slice(0, 4)}`;
    const module = fileURLToPath(new URL('../../local/child-process.ts', import.meta.url));
    const job = writesPid(name, "process.on('disconnect', () => process.exit(75))", "console.log('ready')");
    const parent = `
      import { runChild } from ${JSON.stringify(module)};
      runChild({ file: process.execPath, arguments: ['-e', ${JSON.stringify(job)}], environment: {}, grace: 5,
        signal: new AbortController().signal, onLine: () => { ${end} } });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', parent], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    createInterface({ input: child.stderr }).on('line', () => undefined);
    await once(child, 'exit');
    const pid = await pidOf(name);
    await until(() => !alive(pid));
  });
});
