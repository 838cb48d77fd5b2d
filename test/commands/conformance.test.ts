/** The checks of a trainer, applied to our own job and to trainers that break one rule each. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { checkTrainer, type RuleResult, shortcomings } from '../../bin/conformance/check-trainer.ts';
import { runTrainer, splitCommand } from '../../bin/conformance/command.ts';
import { ONE_STEP, stepDifference } from '../../bin/conformance/one-step.ts';
import { copyScene, prepareScene, type Scene } from '../../bin/conformance/scene.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { ConfigError, InterruptedError } from '../../core/errors.ts';
import type { RunRecord } from '../../core/formats.ts';
import { armLayout, RUN_FILE } from '../../core/layout.ts';
import { copyObject, getJson, putJson, type Store, storeOpener } from '../../core/storage/index.ts';
import { loadCheckpoint, saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { mates, startMates } from '../end-to-end/support.ts';
import { temporaryFolder } from '../support.ts';

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

const OWN_JOB = [process.execPath, '--import', 'tsx', resolve('containers/main.ts'), 'pretrain'];

async function check(name: string, command: string[]): Promise<Map<string, RuleResult>> {
  const results = await checkTrainer({
    command,
    open: storeOpener(),
    lake: join(folder, name),
    timeout: 300,
    environment: { ...process.env, OWN_JOB: JSON.stringify(OWN_JOB) },
    onResult: () => {},
  });
  return new Map(results.map((result) => [result.rule, result]));
}

/** A program around our own job that does something wrong. */
async function wrapper(name: string, source: string): Promise<string[]> {
  const path = join(folder, `${name}.mjs`);
  const head = `
    import { spawn, spawnSync } from 'node:child_process';
    import * as fs from 'node:fs';
    import { fileURLToPath } from 'node:url';
    const run = fileURLToPath(process.env.MATES_RUN_URI);
    const [file, ...rest] = JSON.parse(process.env.OWN_JOB);
  `;
  await writeFile(path, head + source);
  return [process.execPath, path];
}

it('our own job keeps every rule', async () => {
  const results = await check('own', OWN_JOB);
  expect([...results.values()].filter(({ status }) => status !== 'pass')).toEqual([]);
  expect(results.size).toBe(17);
}, 600_000);

it('a job that saves nothing when it is told to stop, writes elsewhere and shares no checkpoint is found out', async () => {
  const command = await wrapper(
    'careless',
    `
      const child = spawn(file, rest, { stdio: 'inherit' });
      process.on('SIGTERM', () => { child.kill('SIGKILL'); process.exit(143); });
      child.on('exit', (code) => {
        fs.writeFileSync(run + '/stages/0/notes.txt', String(Date.now()));
        process.exit(code ?? 1);
      });
    `,
  );
  const results = await check('careless', command);
  const broken = [...results.values()].filter(({ status }) => status === 'fail');
  expect(broken.map(({ rule, detail }) => `${rule}: ${detail}`)).toEqual([
    'it changes nothing but its own files: stages/0/notes.txt is not a file of the contract',
    'run again, it ends with 0 and changes nothing: stages/0/notes.txt has changed',
    expect.stringMatching(/^SIGTERM: it saves and exits with 75 within 30 s: it ended with 143/),
  ]);
}, 600_000);

it('a job whose rates are not those of the schedule, and whose second moments are negative, is found out', async () => {
  const command = await wrapper(
    'decaying',
    `
      const { status } = spawnSync(file, rest, { stdio: 'inherit' });
      if (status !== 0) process.exit(status ?? 1);
      const { createHash } = await import('node:crypto');
      const edit = (path, change) => fs.writeFileSync(run + path, JSON.stringify(change(JSON.parse(fs.readFileSync(run + path)))));
      edit('/stages/0/metrics.json', (metrics) => ({ ...metrics, learningRate: metrics.learningRate.map((r, i) => r * (1 - i / 100)) }));
      const path = run + '/stages/0/checkpoint/optimizer.safetensors';
      const bytes = fs.readFileSync(path);
      const begin = 8 + Number(bytes.readBigUInt64LE(0));
      const header = JSON.parse(bytes.subarray(8, begin));
      bytes.writeFloatLE(-1, begin + header['exp_avg_sq.embed_out.weight'].data_offsets[0]);
      fs.writeFileSync(path, bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      edit('/stages/0/checkpoint/training.json', (t) => ({ ...t, sha256: { ...t.sha256, 'optimizer.safetensors': sha256 } }));
    `,
  );
  const results = await check('decaying', command);
  expect(results.get('the checkpoint is whole and loads')!.detail).toBe(
    'stages/0/checkpoint/optimizer.safetensors: exp_avg_sq has values that are no mean of squares',
  );
  expect(results.get('metrics.json has a finite loss for each step')!.detail).toMatch(
    /^stages\/0\/metrics.json: the learning rate of step 2 is 0\.00059\d* but should be 0\.0006/,
  );
}, 600_000);

describe('a step of a trainer', () => {
  let begun: Scene;
  beforeAll(async () => {
    begun = await prepareScene(storeOpener(), join(folder, 'one-step'), ONE_STEP);
    await trainStage(begun, 0);
  }, 60_000);

  async function trainStage({ store }: Scene, stage: number): Promise<void> {
    const own = { MATES_TASK: 'pretrain', MATES_RUN_URI: store.uri, MATES_STAGE: String(stage), MATES_ARM: 'main' };
    expect(await runTrainer(OWN_JOB, { ...process.env, ...own }, 60)).toMatchObject({ exitCode: 0 });
  }

  /** A change of the run that the trainer sees, and nobody else. */
  type Mistake = (store: Store) => Promise<void>;
  const pretrain =
    (changes: Partial<RunConfig['pretrain']>): Mistake =>
    async (store) => {
      const run = await getJson<RunRecord>(store, RUN_FILE);
      await putJson(store, RUN_FILE, {
        ...run,
        config: { ...run.config, pretrain: { ...run.config.pretrain, ...changes } },
      });
    };
  const otherRows: Mistake = async (store) => {
    const [from, to] = [armLayout(0, 'main'), armLayout(1, 'main')];
    for (const name of ['selection', 'selectionSummary'] as const) await copyObject(store, from[name], store, to[name]);
  };
  const noMoments: Mistake = async (store) => {
    const { checkpoint } = armLayout(0, 'main');
    const { optimizer, ...parts } = await loadCheckpoint(store, checkpoint);
    optimizer.m.fill(0);
    optimizer.v.fill(0);
    await saveCheckpoint(store, checkpoint, { ...parts, optimizer, endOfText: 0 });
  };

  it.each<[string, Mistake, unknown]>([
    ['as it should be', async () => {}, undefined],
    ['on the rows of the stage before', otherRows, /^its loss is 7\.\d+, that of the 4 selected rows is 7\.\d+$/],
    ['from the weights alone', noMoments, /^exp_avg is that of a first step/],
    [
      'with gradients that are not clipped',
      pretrain({ clipNorm: 1 }),
      /^the clipped gradient, .* differs by 10\d\.\d % from/,
    ],
    [
      'with a rate that is a fiftieth too high',
      pretrain({ learningRate: 0.00306 }),
      /: its change differs by 2\.0 % from AdamW's/,
    ],
  ])(
    '%s',
    async (name, mistake, expected) => {
      const open = storeOpener();
      const scene = await copyScene(begun, open(join(folder, `one-step-${name}`)));
      await mistake(scene.store);
      await trainStage(scene, 1);
      for (const key of await begun.store.list('')) await copyObject(begun.store, key, scene.store, key); // as if nothing had been
      const difference = await stepDifference(open, scene);
      if (expected === undefined) expect(difference).toBeUndefined();
      else expect(difference).toMatch(expected as RegExp);
    },
    60_000,
  );
});

it('a job that knows one kind of model alone is told so, and keeps the contract', async () => {
  const command = await wrapper(
    'one-kind',
    `
      const { config } = JSON.parse(fs.readFileSync(run + '/run.json', 'utf8'));
      if (config.model.tiedEmbeddings) {
        console.error('no tied heads here');
        process.exit(1);
      }
      const child = spawn(file, rest, { stdio: 'inherit' });
      process.on('SIGTERM', () => child.kill('SIGTERM'));
      child.on('exit', (code) => process.exit(code ?? 1));
    `,
  );
  const results = [...(await check('one-kind', command)).values()];
  expect(shortcomings(results)).toBeUndefined();
  expect(results.filter(({ status }) => status === 'advice')).toEqual([
    {
      rule: 'it trains models of other kinds, as run.json describes them',
      status: 'advice',
      detail: 'it ended with 1; its last words: no tied heads here',
    },
  ]);
}, 600_000);

it('a job that fails is judged by its failure alone', async () => {
  const results = await check('broken', await wrapper('broken', `console.error('no GPU'); process.exit(1);`));
  expect([...results.values()].map(({ status }) => status)).toEqual(['fail', 'skipped', 'skipped']);
  expect(results.get('a first stage ends with exit code 0')!.detail).toBe('it ended with 1; its last words: no GPU');
});

it('a job that does nothing fails for what it does not write, and the rules that need it are skipped', async () => {
  const results = await check('idle', [process.execPath, '-e', 'process.exit(0)']);
  const rules = (status: RuleResult['status']) =>
    [...results.values()].filter((result) => result.status === status).map(({ rule }) => rule);
  expect(rules('pass')).toEqual(['a first stage ends with exit code 0', 'it changes nothing but its own files']);
  expect(rules('fail')).toEqual([
    'the checkpoint is whole and loads',
    'metrics.json has a finite loss for each step',
    'without its input it fails, with words on stderr and neither 0 nor 75',
  ]);
  expect(rules('skipped')).toEqual([
    'the loss falls',
    'run again, it ends with 0 and changes nothing',
    'the next stage goes on from the checkpoint',
    'the control arm has files of its own',
    'a step is the one that AdamW takes on the selected rows',
    'SIGTERM: it saves and exits with 75 within 30 s',
    'SIGTERM: run again, it goes on to the same losses',
    'SIGKILL: run again, it ends with the same losses',
  ]);
  expect(results.get('the loss falls')!.detail).toBe('it needs metrics.json');
}, 60_000);

it('a rule that could not be tried is not reported as kept', async () => {
  const of = (...statuses: RuleResult['status'][]) => shortcomings(statuses.map((status) => ({ rule: 'r', status })));
  expect(of('pass', 'advice', 'pass')).toBeUndefined();
  expect(of('pass', 'fail', 'fail')).toMatch(/^2 of 3 rules are broken; see docs/);
  expect(of('pass', 'skipped')).toMatch(/^0 of 2 rules are broken, and 1 could not be tried; see docs/);
});

it('a command that fails ends with 1, and with the verdict', async () => {
  const command = `"${process.execPath}" -e "console.error(0); process.exit(3)"`;
  const { code, stdout, stderr } = await mates('conformance', '--json', '--command', command);
  expect(code).toBe(1);
  expect(stdout).toMatch(/\n0 rules are kept\.\n/);
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!).conforms).toBe(false);
  expect(stderr).toMatch(/mates: 1 of 3 rules is broken, and 2 could not be tried; /);
});

it.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends the trainer too, and removes the temporary folder',
  async (signal) => {
    const temporary = await temporaryFolder();
    const [path, pidFile] = [join(temporary, 'sleeper.mjs'), join(temporary, 'pid')];
    await writeFile(
      path,
      `import { writeFileSync } from 'node:fs';
    writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));
    setInterval(() => {}, 1000);`,
    );
    vi.stubEnv('TMPDIR', temporary);
    const { child, finished } = startMates(['conformance', '--command', `"${process.execPath}" "${path}"`]);
    vi.unstubAllEnvs();
    const started = () => readFile(pidFile, 'utf8').then(Number);
    const pid = await vi.waitFor(async () => (await started()) || Promise.reject(new Error('not yet')), 60_000);
    try {
      child.kill(signal);
      const { code, stderr } = await finished;
      expect(code).toBe(75);
      expect(stderr).toMatch(/mates: The check was stopped; the same command starts it over\.\n$/);
      expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
      expect((await readdir(temporary)).filter((name) => name.startsWith('mates-'))).toEqual([]);
    } finally {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended, as it should.
      }
    }
  },
  120_000,
);

describe('a command', () => {
  it('is split at spaces outside quotes', () => {
    expect(splitCommand(`python "my train.py" --name='a b'  -x ""`)).toEqual([
      'python',
      'my train.py',
      '--name=a b',
      '-x',
      '',
    ]);
    expect(() => splitCommand('  ')).toThrow(ConfigError);
  });

  it('that cannot be started is a wrong command', async () => {
    await expect(runTrainer(['no-such-program'], {}, 10)).rejects.toThrow(
      /--command no-such-program: .*cannot be started/,
    );
  });

  it.each([
    ["console.error('first'); throw new Error('no GPU')", 'Error: no GPU'],
    ["throw Object.assign(new TypeError('no GPU', { cause: new Error('driver') }), { code: 3 })", 'TypeError: no GPU'],
    ["Promise.reject(Object.assign(new Error('no GPU'), { stack: 'Error: no GPU' }))", '[Error: no GPU]'],
    ["console.error('{'); console.error('  a'); console.error('done\\n\\n')", 'done'],
  ])('has its last words reported without what Node adds to them: %s', async (source, lastWords) => {
    expect(await runTrainer([process.execPath, '-e', source], process.env, 60)).toMatchObject({ lastWords });
  });

  it('that takes too long is killed', async () => {
    const sleeper = [process.execPath, '-e', 'setInterval(() => {}, 1000)'];
    const run = await runTrainer(sleeper, process.env, 0.5);
    expect(run).toMatchObject({ exitCode: 137, overdue: true, interrupted: false });
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('is interrupted by %s after the given time, or before', async (signal) => {
    const sleeper = [process.execPath, '-e', "setInterval(() => {}, 1000); console.error('here')"];
    const exitCode = { SIGTERM: 143, SIGKILL: 137 }[signal];
    const expected = { exitCode, overdue: false, interrupted: true };
    expect(await runTrainer(sleeper, process.env, 60, { signal, after: 0.2, when: () => false })).toMatchObject(
      expected,
    );
    let asked = 0;
    const when = () => ++asked === 3;
    expect(await runTrainer(sleeper, process.env, 60, { signal, after: 60, when })).toMatchObject(expected);
  });

  it('is interrupted once the condition holds, which is asked one call at a time; a call that fails counts as a no', async () => {
    let [asked, open, most] = [0, 0, 0];
    const when = async () => {
      most = Math.max(most, ++open);
      await delay(100);
      open--;
      if (++asked === 1) throw new Error('the listing failed');
      return asked === 3;
    };
    const sleeper = [process.execPath, '-e', 'setInterval(() => {}, 1000)'];
    const run = await runTrainer(sleeper, process.env, 60, { signal: 'SIGKILL', after: 60, when });
    expect([run.interrupted, asked, most]).toEqual([true, 3, 1]);
  });

  it('is not started, or is told to end, where the check is stopped', async () => {
    const never = [process.execPath, '-e', 'process.exit(3)'];
    await expect(runTrainer(never, process.env, 60, undefined, AbortSignal.abort())).rejects.toThrow(InterruptedError);
    const sleeper = [process.execPath, '-e', 'setInterval(() => {}, 1000)'];
    const stop = AbortSignal.timeout(200);
    await expect(runTrainer(sleeper, process.env, 60, undefined, stop)).rejects.toThrow(InterruptedError);
  });
});
