/**
 * Brings up the emulator unless AWS_ENDPOINT_URL names one, deploys the app, and runs the same configuration with
 * `mates run` for the tests to compare with.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { Manifest } from '../../core/formats.ts';
import { S3Store } from '../../core/storage/index.ts';
import { MINI_CORPUS, mates, readManifest } from '../end-to-end/support.ts';
import { type Deployment, deploy } from './deployment.ts';
import { clientEnvironment, type Emulator, startEmulator } from './localstack/emulator.ts';
import { tinyRun } from './tiny-run.ts';

declare module 'vitest' {
  interface ProvidedContext {
    environment: Record<string, string>;
    deployment: Deployment;
    /** Of the job runner; undefined with an endpoint of one's own, whose processes are out of sight. */
    jobRunnerUrl: string | undefined;
    /** Of `mates run` on this machine. */
    reference: Manifest;
  }
}

/** Git-ignored; holds the logs and the assembly of the last run. */
const LOGS = resolve('out/integration');
/** Folder of the lake that holds the corpus. */
export const CORPUS = 'corpora/mini';

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const said = stopwatch();
  const folder = await mkdtemp(join(tmpdir(), 'mates-integration-'));
  const given = process.env.AWS_ENDPOINT_URL;
  let emulator: Emulator | undefined;
  const teardown = async () => {
    await emulator?.stop();
    await rm(folder, { recursive: true, force: true });
    if (emulator) checkEnded(emulator.pids);
    said(emulator ? 'the emulator has ended' : 'done');
  };
  try {
    emulator = given ? undefined : await startEmulator({ logs: LOGS });
    const environment = emulator?.environment ?? { ...clientEnvironment(given!), ...credentials() };
    said(given ? `using ${given}` : `LocalStack listens at ${environment.AWS_ENDPOINT_URL}`);
    const deploying = deploy(environment, LOGS);
    const runningHere = runHere(folder);
    await Promise.allSettled([deploying, runningHere]); // when one fails, the other must not go on behind our back
    const [deployment, reference] = [await deploying, await runningHere];
    said(`deployed ${deployment.machineArn}`);
    Object.assign(process.env, environment);
    await upload(deployment.lake);
    provide('environment', environment);
    provide('deployment', deployment);
    provide('jobRunnerUrl', emulator?.jobRunnerUrl ?? process.env.MATES_JOB_RUNNER_URL);
    provide('reference', reference);
  } catch (error) {
    await teardown();
    throw error;
  }
  return teardown;
}

async function runHere(folder: string): Promise<Manifest> {
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify(tinyRun()));
  const { code, stderr } = await mates('run', config, '--out', folder);
  if (code !== 0) throw new Error(`mates run ended with exit code ${code}:\n${stderr}`);
  return readManifest(folder);
}

async function upload(lake: string): Promise<void> {
  const store = new S3Store(lake, CORPUS);
  for (const name of await readdir(MINI_CORPUS)) await store.put(name, await readFile(join(MINI_CORPUS, name)));
}

/** A given endpoint may want other credentials than the emulator's. */
function credentials(): Record<string, string> {
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION', 'AWS_DEFAULT_REGION'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

function checkEnded(pids: number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 0);
    } catch {
      continue; // it has gone
    }
    throw new Error(`process ${pid} of the emulator is still there`);
  }
}

function stopwatch(): (what: string) => void {
  const begin = performance.now();
  return (what) => console.log(`${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${what}`);
}
