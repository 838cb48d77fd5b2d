import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Starts a module's text in a process of its own, as if it lay in the root of the repository. */
export function startModule(source: string, nodeOptions: string[] = []): ChildProcessWithoutNullStreams {
  const options = [...nodeOptions, '--import', 'tsx', '--input-type=module', '--eval', source];
  return spawn(process.execPath, options, { cwd: ROOT });
}
