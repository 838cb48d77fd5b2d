import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import type { CorpusIndex } from '../core/formats.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** A new directory by its real path, which macOS's temporary folder is not; removed when the file's tests have run. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(await realpath(tmpdir()), 'mates-test-'));
  folders.push(folder);
  return folder;
}

/** Runs the text of a module in a new process, as if the module were in the root of the repository. */
export function startModule(source: string, nodeOptions: string[] = []): ChildProcessWithoutNullStreams {
  const options = [...nodeOptions, '--import', 'tsx', '--input-type=module', '--eval', source];
  return spawn(process.execPath, options, { cwd: ROOT });
}

/** The index of a made-up corpus: shards of so many rows each, of one domain. */
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
    documents: 1,
    tokens: 1,
    droppedTokens: 0,
    duplicatesRemoved: 0,
    emptyRemoved: 0,
    excludedRemoved: 0,
    excluded: [],
    shards: Array.from({ length: shards }, (_, i) => ({
      firstRow: i * rows,
      rows,
      tokens: file,
      text: file,
      domains: file,
    })),
  };
}
