/** Starts and stops LocalStack in host mode together with the job runner; no Docker, no token, loopback only. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { emulatorPython } from './python.ts';

export interface Emulator {
  /** AWS_* variables by which any SDK finds the emulator, and nothing else. */
  environment: Record<string, string>;
  jobRunnerUrl: string;
  /** What jobs and functions have called, a line of JSON each; see plugins/mates_localstack/record_calls.py. */
  callsFile: string;
  /** Process groups of LocalStack, with its functions, and of the job runner; each job has one of its own. */
  groups: number[];
  stop(): Promise<void>;
}

export interface EmulatorOptions {
  /** @default a free one */
  port?: number;
  /** Folder of the log files. */
  logs: string;
}

/** @throws Error with the end of its log, when LocalStack does not get ready. */
export async function startEmulator({ port: wanted, logs }: EmulatorOptions): Promise<Emulator> {
  const python = emulatorPython();
  const port = await freePort(wanted);
  const environment = clientEnvironment(`http://127.0.0.1:${port}`);
  mkdirSync(logs, { recursive: true });
  const state = mkdtempSync(join(tmpdir(), 'mates-localstack-'));
  const children: ChildProcess[] = [];
  const stop = async () => {
    await Promise.all(children.map(end));
    rmSync(state, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    const runner = startJobRunner(environment);
    children.push(runner);
    const jobRunnerUrl = await runnerUrl(runner);
    const log = join(logs, 'localstack.log');
    const output = openSync(log, 'w');
    const callsFile = resolve(logs, 'calls.jsonl');
    const localstack = spawn(python, ['-m', 'localstack.runtime.main'], {
      env: { ...localstackEnvironment(port, state, jobRunnerUrl), MATES_CALLS_FILE: callsFile },
      stdio: ['ignore', output, output],
      detached: true, // a group, which is ended as a whole
    });
    children.push(localstack);
    await ready(environment.AWS_ENDPOINT_URL!, localstack, log);
    return { environment, jobRunnerUrl, callsFile, groups: children.map(({ pid }) => pid!), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What an SDK needs to speak to the endpoint and to no account by mistake. */
export function clientEnvironment(endpoint: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    // A developer's own profiles have no part in this.
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  };
}

function startJobRunner(environment: Record<string, string>): ChildProcess {
  const slots = String(Math.max(2, availableParallelism()));
  return spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'job-runner/main.ts'), '0', slots], {
    cwd: resolve(import.meta.dirname, '../../..'),
    env: { ...inherited('PATH', 'HOME', 'TMPDIR', 'LANG'), ...environment },
    // The channel tells it when this process is gone.
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    detached: true,
  });
}

async function runnerUrl(runner: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: runner.stdout! })) {
    const port = /^ready (\d+)$/.exec(line)?.[1];
    if (port) return `http://127.0.0.1:${port}`;
  }
  throw new Error('The job runner ended before it was ready.');
}

function localstackEnvironment(port: number, state: string, jobRunnerUrl: string): Record<string, string> {
  const temporary = join(state, 'tmp');
  mkdirSync(temporary);
  return {
    ...inherited('LANG'),
    // Lambdas run on the Node that runs the tests.
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
    // All that it writes goes with the folder; the plugin cache too, which would hide changed entry points.
    HOME: state,
    TMPDIR: temporary,
    FILESYSTEM_ROOT: join(state, 'filesystem'),
    PYTHONPATH: join(import.meta.dirname, 'plugins'),
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',
    MATES_PARENT_PID: String(process.pid),
    JOB_RUNNER_URL: jobRunnerUrl,
    LAMBDA_RUNTIME_EXECUTOR: 'node-process',
    GATEWAY_LISTEN: `127.0.0.1:${port}`,
    GATEWAY_SERVER: 'hypercorn', // the default one binds every interface
    DNS_ADDRESS: '0', // no DNS server of its own
    DISABLE_EVENTS: '1',
    SKIP_SSL_CERT_DOWNLOAD: '1',
    ENABLE_CONFIG_UPDATES: '0',
  };
}

async function ready(endpoint: string, localstack: ChildProcess, log: string): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline && localstack.exitCode === null && localstack.signalCode === null) {
    const answer = await fetch(`${endpoint}/_localstack/health`).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(200);
  }
  throw new Error(`LocalStack did not get ready; the end of ${log}:\n${readFileSync(log, 'utf8').slice(-2000)}`);
}

/**
 * SIGTERM, then SIGKILL to its whole group, so that no Lambda or job is left. There is nothing that either would have to
 * save: LocalStack's own orderly end takes fifteen seconds.
 */
async function end(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await Promise.race([exited, sleep(3_000, undefined, { ref: false })]);
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ESRCH: all of it has gone
  }
}

/** The port wanted, if nothing listens there, or any. */
async function freePort(wanted = 0): Promise<number> {
  const server = createServer().listen(wanted, '127.0.0.1');
  await once(server, 'listening').catch((error) => {
    throw new Error(`Port ${wanted} of 127.0.0.1 cannot be used (${error.code}): give another one.`);
  });
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || !address) throw new Error('no free port');
  return address.port;
}

function inherited(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
