import { join } from 'node:path';
import { passageHashes } from '../../core/corpus/passages.ts';
import { type PrepareOptions, prepareCorpus } from '../../core/corpus/prepare.ts';
import { corpusWarnings } from '../../core/diagnostics/corpus.ts';
import { ConfigError } from '../../core/errors.ts';
import { counted, plural } from '../../core/plural.ts';
import { WARNING } from '../../core/progress.ts';
import {
  DirectoryStore,
  isLocalPath,
  localPath,
  readInput,
  type StoreOpener,
  storeOpener,
} from '../../core/storage/index.ts';
import { wholeNumber } from '../flags.ts';
import { inFlags, namingFlags } from '../naming-flags.ts';
import type { ProgressView } from '../progress-view.ts';
import { lockPath } from '../run-lock.ts';
import { withProgress } from '../with-progress.ts';

interface Options {
  input: string[];
  tokenizer: string;
  endOfText?: string;
  sequenceLength: number;
  out: string;
  shards: number;
  seed: number;
  nearDuplicates: 'keep' | 'remove';
  textField: string;
  domainField: string;
  idField: string;
  exclude?: string[];
  json?: boolean;
}

/** The flags that replace fields and other words in the messages of the preparation. */
const FIELD_FLAGS = {
  'corpus.input': '--input',
  'corpus.textField': '--text-field',
  'corpus.domainField': '--domain-field',
  'corpus.idField': '--id-field',
  'corpus.tokenizer.file': '--tokenizer',
  'corpus.tokenizer.train': '--tokenizer train:N',
  'corpus.tokenizer.endOfText': '--end-of-text',
  'corpus.sequenceLength': '--sequence-length',
  'corpus.shards': '--shards',
  'corpus.nearDuplicates': '--near-duplicates',
  'the reference and held-out passages': 'the passages of --exclude',
  'reference or held-out passages': 'passages of --exclude',
};

/** `mates prepare`: makes a corpus that runs can share (`corpus.prepared`). */
export function prepare(options: Options): Promise<void> {
  return namingFlags(FIELD_FLAGS, () => prepareFiles(options));
}

async function prepareFiles(options: Options): Promise<void> {
  const open = storeOpener();
  const tokenizer = parseTokenizer(options);
  const exclude = await hashesOf(open, options.exclude ?? []);
  const unlock = await lockPath(options.out, 'choose another --out');
  // A killed process may leave gigabytes. Only shards/, because the folder may yet turn out to be something else.
  if (isLocalPath(options.out)) await new DirectoryStore(join(localPath(options.out), 'shards')).removePartial();
  try {
    const make = (view: ProgressView, signal: AbortSignal) =>
      prepareCorpus({
        opener: open,
        inputs: options.input,
        tokenizer,
        sequenceLength: options.sequenceLength,
        shards: options.shards,
        seed: options.seed,
        fields: { text: options.textField, domain: options.domainField, id: options.idField },
        removeNearDuplicates: options.nearDuplicates === 'remove',
        exclude,
        target: open(options.out),
        progress: (progress) => view.update('prepare', progress),
        signal,
      });
    const index = await withProgress(make, 'Stopping: temporary files are removed.');
    for (const warning of corpusWarnings(index, { domainField: options.domainField, tokenizer }))
      process.stderr.write(`${WARNING}${inFlags(warning, FIELD_FLAGS)}\n`);
    const { rows, documents, duplicatesRemoved, nearDuplicatesRemoved, emptyRemoved, excludedRemoved } = index;
    const empty = emptyRemoved ? `, ${emptyRemoved} without text left out` : '';
    const shards = index.shards.length;
    const excluded = options.exclude ? `, ${counted(excludedRemoved, 'passage')} of --exclude kept out` : '';
    const near = nearDuplicatesRemoved === undefined ? '' : ` and ${counted(nearDuplicatesRemoved, 'near-duplicate')}`;
    console.log(
      `${options.out}: ${counted(rows, 'row')} of ${index.sequenceLength} tokens from ${counted(documents, 'document')} ` +
        `in ${counted(shards, 'shard')}; ${duplicatesRemoved} exact ${plural(duplicatesRemoved, 'duplicate')}${near} removed${empty}${excluded}.`,
    );
    if (options.json) console.log(JSON.stringify(index));
  } finally {
    await unlock();
  }
}

/** Hashes of all passages in the files. */
async function hashesOf(open: StoreOpener, files: readonly string[]): Promise<Set<string>> {
  const all = new Set<string>();
  for (const file of files) {
    const pieces = readInput(open, file, `--exclude ${file}`, 'name JSON Lines of {"text"}');
    for (const hash of await passageHashes(pieces, file)) all.add(hash);
  }
  return all;
}

function parseTokenizer({ tokenizer: text, endOfText }: Options): PrepareOptions['tokenizer'] {
  const train = /^train:(.+)$/.exec(text);
  if (!train) return { file: text, endOfText };
  if (endOfText !== undefined)
    throw new ConfigError('--end-of-text: a tokenizer that is trained has a token of its own for that; leave it out.');
  return { train: wholeNumber('--tokenizer train:N', 257)(train[1]!) };
}
