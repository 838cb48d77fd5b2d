import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CorpusIndex } from '../core/formats.ts';

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

/** Of a corpus that is not there: shards of so many rows each, of one domain. */
export function corpusOf(shards: number, rows: number): CorpusIndex {
  const file = { key: 'x', bytes: 1, sha256: '' };
  return {
    format: 'mates-corpus/1',
    tokenizer: { key: 'tokenizer.json', sha256: '', vocabularySize: 300, endOfText: 0 },
    sequenceLength: 32,
    dtype: 'uint16',
    rows: shards * rows,
    domains: [{ name: 'logs', rows: shards * rows }],
    inputs: [],
    fingerprint: '',
    ...{
      documents: 1,
      tokens: 1,
      droppedTokens: 0,
      duplicatesRemoved: 0,
      emptyRemoved: 0,
      excludedRemoved: 0,
      excluded: [],
    },
    shards: Array.from({ length: shards }, (_, i) => ({
      ...{ firstRow: i * rows, rows, tokens: file, text: file, domains: file },
    })),
  };
}
