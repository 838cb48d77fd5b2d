/**
 * Brings up the emulator unless AWS_ENDPOINT_URL names one, deploys the app, and runs the same configuration with
 * `mates run` for the tests to compare with.
 */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestProject } from 'vitest/node';
import type { Manifest } from '../../core/formats.ts';
import { S3Store } from '../../core/storage/index.ts';
import { MINI_CORPUS, mates, readManifest } from '../end-to-end/support.ts';
import { type Deployment, deploy, together } from './deployment.ts';
import { clientEnvironment, type Emulator, startEmulator } from './localstack/emulator.ts';
import type { ProcessRecord } from './localstack/job-runner/service.ts';
import { tinyRun } from './tiny-run.ts';

declare module 'vitest' {
  interface ProvidedContext {
    environment: Record<string, string>;
    deployment: Deployment;
    /** Of the job runner; undefined with an endpoint of one's own, whose processes are out of sight. */
    jobRunnerUrl: string | undefined;
    /** What jobs, functions and the machine have called since the deployment; undefined like the one above. */
    calls: { file: string; from: number } | undefined;
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
    const jobs = emulator ? await jobPids(emulator.jobRunnerUrl) : [];
    await emulator?.stop();
    await rm(folder, { recursive: true, force: true });
    if (emulator) await checkGone([...emulator.groups, ...jobs]);
    said(emulator ? `the emulator has ended, and so have its functions and all ${jobs.length} jobs` : 'done');
  };
  try {
    emulator = given ? undefined : await startEmulator({ logs: LOGS });
    const environment = emulator?.environment ?? { ...clientEnvironment(given!), ...credentials() };
    said(given ? `using ${given}` : `LocalStack listens at ${environment.AWS_ENDPOINT_URL}`);
    const [deployment, reference] = await together([deploy(environment, LOGS), runHere(folder)]);
    said(`deployed ${deployment.machineArn}`);
    Object.assign(process.env, environment);
    await upload(deployment.lake);
    provide('environment', environment);
    provide('deployment', deployment);
    provide('jobRunnerUrl', emulator?.jobRunnerUrl ?? process.env.MATES_JOB_RUNNER_URL);
    const file = emulator?.callsFile ?? process.env.MATES_CALLS_FILE;
    provide('calls', file ? { file, from: (await stat(file)).size } : undefined);
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

async function jobPids(jobRunnerUrl: string): Promise<number[]> {
  const answer = (await (await fetch(`${jobRunnerUrl}/_jobs`)).json()) as { processes: ProcessRecord[] };
  return answer.processes.flatMap(({ pid }) => pid ?? []);
}

/** Each is the leader of its process group: with the group, whatever it has started must have gone. */
async function checkGone(groups: number[]): Promise<void> {
  let left = groups;
  // Killed processes are there until their parent, or the system's first process, has taken note.
  for (let tries = 0; tries < 50 && left.length > 0; tries++) {
    left = left.filter(groupExists);
    if (left.length > 0) await sleep(100);
  }
  if (left.length > 0) throw new Error(`processes are left in the groups ${left.join(', ')}`);
}

function groupExists(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch {
    return false;
  }
}

function stopwatch(): (what: string) => void {
  const begin = performance.now();
  return (what) => console.log(`${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${what}`);
}
