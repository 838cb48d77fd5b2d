import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Starts a module's text in a process of its own, as if it lay in the root of the repository. */
export function startModule(source: string, nodeOptions: string[] = []): ChildProcessWithoutNullStreams {
  const options = [...nodeOptions, '--import', 'tsx', '--input-type=module', '--eval', source];
  return spawn(process.execPath, options, { cwd: ROOT });
}

/** Of a model and of an encoder that train in no time. */
export const TINY_SHAPE = { layers: 1, width: 16, heads: 2 };

/** The paper's kind of influence model, fitted to the stage's own probes alone, at that size. */
export const TINY_BERT = {
  ...{ architecture: 'bert', features: [], earlierStages: 0 },
  ...{ ...TINY_SHAPE, chunkTokens: 32, batchDocuments: 8 },
};
