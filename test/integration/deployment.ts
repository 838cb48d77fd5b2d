/** Deploys the app as it is with the CDK's own command line; only the image is given instead of built. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** Stands for the image; jobs run from this checkout. A registry's name, because the emulator's ECR has no images. */
const IMAGE = 'mates:local';

const ROOT = resolve(import.meta.dirname, '../..');

export interface Deployment {
  /** What executions are started with: the alias `live`. */
  machineArn: string;
  lake: string;
}

/** @throws Error with the end of the command's log, which is whole in `logs`. */
export async function deploy(environment: Record<string, string>, logs: string): Promise<Deployment> {
  await mkdir(logs, { recursive: true });
  const assembly = join(logs, 'cdk.out');
  const outputs = join(logs, 'outputs.json');
  const cdk = (cwd: string, ...args: string[]) => runCdk(args, cwd, environment, join(logs, `${args[0]}.log`));
  const [account, region] = ['000000000000', environment.AWS_REGION ?? 'us-east-1'];
  // The synthesis keeps a core busy and bootstrapping waits for answers: they go side by side.
  await together([
    cdk(ROOT, 'synth', '--quiet', '--context', `image=${IMAGE}`, '--output', assembly),
    // From a folder without a cdk.json, or it would synthesize the app once more.
    cdk(logs, 'bootstrap', `aws://${process.env.AWS_ACCOUNT_ID ?? account}/${region}`),
  ]);
  const all = ['--all', '--require-approval', 'never'];
  await cdk(ROOT, 'deploy', ...all, '--app', assembly, '--outputs-file', outputs);
  const { MatesPipeline } = JSON.parse(readFileSync(outputs, 'utf8'));
  return { machineArn: MatesPipeline.MachineArn, lake: MatesPipeline.LakeName };
}

/** All results; when one fails, only after the others have ended too: no process goes on behind the failure. */
export async function together<T extends readonly Promise<unknown>[]>(work: readonly [...T]) {
  await Promise.allSettled(work);
  return Promise.all(work);
}

async function runCdk(args: string[], cwd: string, environment: Record<string, string>, log: string): Promise<void> {
  const output = openSync(log, 'w');
  const child = spawn(join(ROOT, 'node_modules/.bin/cdk'), args, {
    cwd,
    env: { ...process.env, ...environment, CI: '1', CDK_DISABLE_CLI_TELEMETRY: 'true', AWS_PROFILE: '' },
    stdio: ['ignore', output, output],
  });
  const code = await new Promise<number | null>((done, failed) => child.once('error', failed).once('close', done));
  closeSync(output);
  if (code !== 0)
    throw new Error(
      `cdk ${args.join(' ')} ended with exit code ${code}; the end of ${log}:\n${readFileSync(log, 'utf8').slice(-3000)}`,
    );
}
