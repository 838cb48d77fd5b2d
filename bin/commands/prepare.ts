import { resolve } from 'node:path';
import { prepareCorpus } from '../../core/corpus/prepare.ts';
import { ConfigError } from '../../core/errors.ts';
import { storeOpener } from '../../core/storage/index.ts';
import { stopSignal } from './interrupt.ts';
import { createProgressView } from './progress-view.ts';

interface Options {
  input: string[];
  tokenizer: string;
  sequenceLength: string;
  out: string;
  shards: string;
  seed: string;
  nearDuplicates: string;
  json?: boolean;
}

/** `mates prepare`: files to a corpus that runs can share (`corpus.prepared`). */
export async function prepare(options: Options): Promise<void> {
  const open = storeOpener();
  const view = createProgressView();
  const { signal, dispose } = stopSignal('Stopping: temporary files are removed.');
  try {
    const index = await prepareCorpus({
      opener: open,
      inputs: options.input,
      baseDirectory: process.cwd(),
      tokenizer: parseTokenizer(options.tokenizer),
      sequenceLength: wholeNumber('--sequence-length', options.sequenceLength, 8),
      shards: wholeNumber('--shards', options.shards, 2),
      seed: wholeNumber('--seed', options.seed, 0),
      fields: { text: 'text', domain: 'domain', id: 'id' },
      removeNearDuplicates: removes(options.nearDuplicates),
      target: open(options.out),
      progress: (progress) => view.update('prepare', progress),
      signal,
    });
    view.close();
    const { rows, documents, duplicatesRemoved, nearDuplicatesRemoved } = index;
    const near = nearDuplicatesRemoved === undefined ? '' : ` and ${nearDuplicatesRemoved} near-duplicates`;
    console.log(
      `${options.out}: ${rows} rows of ${index.sequenceLength} tokens from ${documents} documents ` +
        `in ${index.shards.length} shards; ${duplicatesRemoved} exact duplicates${near} removed.`,
    );
    if (options.json) console.log(JSON.stringify(index));
  } finally {
    view.close();
    dispose();
  }
}

function removes(nearDuplicates: string): boolean {
  if (nearDuplicates === 'keep' || nearDuplicates === 'remove') return nearDuplicates === 'remove';
  throw new ConfigError(`--near-duplicates ${nearDuplicates}: expected keep or remove.`);
}

function parseTokenizer(text: string): { file: string } | { train: number } {
  const train = /^train:(.+)$/.exec(text);
  return train ? { train: wholeNumber('--tokenizer train:', train[1]!, 257) } : { file: resolve(text) };
}

export function wholeNumber(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new ConfigError(`${flag} ${text}: expected a whole number, at least ${least}.`);
  return value;
}
