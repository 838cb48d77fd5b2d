/**
 * Prepares a corpus: documents are read once and dealt to shards through temporary files; then each shard is freed of
 * duplicates, tokenized, packed into rows and written, several at a time. `corpus.json` is written last and marks the corpus
 * whole. A preparation that was stopped reads the documents again, and goes on after the shards that it had written.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, InputError, throwIfStopped } from '../errors.ts';
import type { CorpusIndex } from '../formats.ts';
import { sha256 } from '../hash.ts';
import { CORPUS_FILE, TOKENIZER_FILE } from '../layout.ts';
import { counted, plural } from '../plural.ts';
import { isAtWork, type ProcessMark, thisProcess } from '../processes.ts';
import { type ProgressReporter, progressInBytes } from '../progress.ts';
import { philox4x32 } from '../random/philox4x32.ts';
import {
  absolute,
  firstDamaged,
  getJsonIfPresent,
  hashObject,
  NotFoundError,
  noSuchFile,
  putJson,
  type Store,
  type StoreOpener,
  splitUri,
} from '../storage/index.ts';
import { loadTokenizer, type Tokenizer, trainBpe, usualEndOfText } from '../tokenizer/index.ts';
import { type DocumentFields, textDigest } from './document.ts';
import { countKept } from './duplicates/duplicates.ts';
import { withoutNearDuplicates } from './duplicates/near-duplicates.ts';
import { packShards } from './packing/pack-shards.ts';
import { STOPPED } from './packing/shard-maker.ts';
import { removeRecords } from './packing/shard-records.ts';
import { Spool } from './packing/spool.ts';
import type { InputFile } from './reading/input-file.ts';
import { findInputs } from './reading/inputs.ts';
import { readDocuments } from './reading/read-documents.ts';
import { TextSample } from './text-sample.ts';

/** Changes when the same inputs and settings would give other bytes. */
const PREPARATION = 1;

/** Domains are uint16 on disk. */
const MOST_DOMAINS = 65_535;

/** The names of folders of temporary files begin with this; a file in each says which process made it. */
const SPOOL = 'mates-prepare-';
const OWNER_FILE = 'owner.json';

export interface PrepareOptions {
  opener: StoreOpener;
  /** Files and globs, on disk, `s3://` or `builtin:`. */
  inputs: readonly string[];
  /** A tokenizer.json, whose token `endOfText` ends documents, or the vocabulary size of one to train on the corpus. */
  tokenizer: { file: string; endOfText?: string | undefined } | { train: number };
  /** Tokens in a row. */
  sequenceLength: number;
  shards: number;
  /** Decides which document goes to which shard. */
  seed: number;
  fields: DocumentFields;
  /** Whether to keep only one of several documents that say nearly the same. */
  removeNearDuplicates?: boolean;
  /** `textHash` of texts that must not be in the corpus as documents: reference and held-out passages. */
  exclude?: ReadonlySet<string>;
  /** With more than one worker, it must be a store that another thread can open by its URI alone. */
  target: Store;
  progress: ProgressReporter;
  /** Shards packed at a time, each in a thread of its own. @default - one a core, but fewer where there is little text */
  workers?: number;
  /**
   * Bytes of documents held back before they are written to the temporary files. The corpus does not depend on it;
   * tests set it low, to show that with few documents.
   *
   * @default 64 MiB
   */
  spoolBytes?: number;
  /** What the error advises if the target holds another corpus. @default - prepare elsewhere, or delete that one */
  otherwise?: string;
  /** When it is aborted, the temporary files are removed. */
  signal?: AbortSignal;
}

/**
 * Prepares a corpus into `target`. The result depends on the inputs and settings alone; when the target holds the same
 * corpus already, nothing is done. Temporary files, as large as the text, go into the system's directory for them.
 *
 * @throws InputError for an input that cannot be read or holds no documents.
 * @throws ConfigError when the target holds another corpus or other files, or a setting does not fit the inputs.
 * @throws InterruptedError when the signal is aborted.
 */
export async function prepareCorpus(options: PrepareOptions): Promise<CorpusIndex> {
  const files = await findInputs(options.inputs.map(absolute), options.opener);
  const given =
    'file' in options.tokenizer
      ? await readTokenizer(absolute(options.tokenizer.file), options.opener, options.tokenizer.endOfText)
      : undefined;
  const hashes = await hashFiles(files, options);
  const fingerprint = fingerprintOf(options, files, hashes, given);
  const existing = await getJsonIfPresent<CorpusIndex>(options.target, CORPUS_FILE);
  if (existing?.fingerprint === fingerprint) {
    await requireWhole(options.target, existing);
    return existing;
  }
  if (existing) refuseOther(existing, options, files, hashes, given);
  refuseInputsIn(options.target, files);
  await refuseOtherFiles(options.target);

  await removeAbandoned();
  const directory = await mkdtemp(join(tmpdir(), SPOOL));
  try {
    const owner = join(directory, OWNER_FILE);
    await writeFile(owner, JSON.stringify(thisProcess())).catch((error) => {
      throw Object.assign(error, { path: owner }); // Node leaves it out of a failed write
    });
    const spool = new Spool(directory, options.shards, options.spoolBytes);
    const { sample, domains, ...removed } = await dealDocuments(files, spool, options);
    const distinct = options.removeNearDuplicates ? await findDistinct(spool, directory, options) : undefined;
    const kept = await countKept(spool, files.length, distinct);
    const tokenizerBytes = given?.bytes ?? new TextEncoder().encode(trainBpe(sample.texts(), trainedSize(options)));
    const tokenizer = given?.tokenizer ?? loadTokenizer(tokenizerBytes, TOKENIZER_FILE);
    await options.target.put(TOKENIZER_FILE, tokenizerBytes);
    const packed = await packShards({
      ...options,
      spool,
      directory,
      distinct,
      names: domains,
      used: kept.domains,
      tokenizer,
      tokenizerBytes,
      fingerprint,
    });
    if (packed.rows === 0) refuseShort(options, packed.droppedTokens);
    const index: CorpusIndex = {
      format: 'mates-corpus/1',
      sequenceLength: options.sequenceLength,
      dtype: packed.dtype,
      tokenizer: {
        key: TOKENIZER_FILE,
        sha256: tokenizer.sha256,
        vocabularySize: tokenizer.vocabularySize,
        endOfText: tokenizer.endOfText,
      },
      rows: packed.rows,
      documents: kept.documents.reduce((sum, documents) => sum + documents, 0),
      tokens: packed.rows * options.sequenceLength,
      droppedTokens: packed.droppedTokens,
      duplicatesRemoved: kept.duplicates,
      ...(distinct && { nearDuplicatesRemoved: kept.nearDuplicates }),
      ...removed,
      excluded: [...(options.exclude ?? [])].sort(),
      domains: packed.domains,
      shards: packed.shards,
      inputs: files.map(({ name, bytes }, i) => ({
        uri: name,
        bytes,
        sha256: hashes[i]!,
        documents: kept.documents[i]!,
      })),
      seed: options.seed,
      fingerprint,
    };
    await putJson(options.target, CORPUS_FILE, index);
    await removeRecords(options.target);
    return index;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The SHA-256 of each file. */
async function hashFiles(files: readonly InputFile[], { progress, signal }: PrepareOptions): Promise<string[]> {
  const report = progressInBytes(progress, 'Hash the input files', totalBytes(files));
  const hashes: string[] = [];
  for (const { store, key } of files) {
    const { sha256 } = await hashObject(store, key, (bytes) => {
      throwIfStopped(signal, STOPPED);
      report(bytes);
    });
    hashes.push(sha256);
  }
  return hashes;
}

const totalBytes = (files: readonly InputFile[]) => files.reduce((sum, { bytes }) => sum + bytes, 0);

/** Removes the temporary files of preparations that were killed, which are as large as their texts. */
async function removeAbandoned(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names.filter((name) => name.startsWith(SPOOL))) {
    const directory = join(tmpdir(), name);
    try {
      const owner = JSON.parse(await readFile(join(directory, OWNER_FILE), 'utf8')) as ProcessMark;
      if (isAtWork(owner) === false) await rm(directory, { recursive: true, force: true });
    } catch {} // the folder is just being made, another user's, or of an earlier version
  }
}

/** First pass: every document that has text goes to the spool of its shard, duplicates too. */
async function dealDocuments(files: readonly InputFile[], spool: Spool, options: PrepareOptions) {
  const { fields, seed, shards, exclude, progress } = options;
  const sample = new TextSample();
  const domains = new Map<string, number>();
  let emptyRemoved = 0;
  let excludedRemoved = 0;
  const report = progressInBytes(progress, 'Read the documents', totalBytes(files));

  for (const [number, file] of files.entries()) {
    for await (const { id, text, domain: name } of readDocuments(file, fields, report)) {
      throwIfStopped(options.signal, STOPPED);
      if (text.trim() === '') {
        emptyRemoved++;
        continue;
      }
      const digest = textDigest(text);
      if (exclude?.has(digest.toString('hex'))) {
        excludedRemoved++;
        continue;
      }
      const domain = domains.get(name) ?? domains.size;
      domains.set(name, domain);
      if (domains.size >= MOST_DOMAINS) {
        throw new InputError(
          `${file.uri}: more than ${MOST_DOMAINS - 1} domains; name a coarser field in corpus.domainField.`,
        );
      }
      const [shardWord, rank] = dealtWords(digest, seed);
      sample.add(digest.toString('latin1'), rank, text);
      await spool.append(Math.floor((shardWord / 2 ** 32) * shards), { domain, id, text }, digest, number);
    }
  }
  await spool.flush();

  const removed = { emptyRemoved, excludedRemoved };
  if (domains.size === 0) refuseEmpty(files, removed);
  return { sample, domains: [...domains.keys()], ...removed };
}

/** Uniform 32-bit words that depend on a document's text and the seed alone. */
function dealtWords(digest: Buffer, seed: number): [shard: number, rank: number] {
  const words = new Uint32Array(4);
  philox4x32(
    digest.readUInt32LE(0),
    digest.readUInt32LE(4),
    digest.readUInt32LE(8),
    digest.readUInt32LE(12),
    seed >>> 0,
    Math.floor(seed / 2 ** 32) >>> 0,
    words,
  );
  return [words[0]!, words[1]!];
}

function findDistinct(spool: Spool, directory: string, options: PrepareOptions): Promise<Uint8Array[]> {
  const total = spool.counts.reduce((sum, count) => sum + count, 0);
  return withoutNearDuplicates(spool, directory, options.seed, (done) => {
    throwIfStopped(options.signal, STOPPED);
    options.progress({ step: 'Find near-duplicates', done, total, unit: 'documents' });
  });
}

interface GivenTokenizer {
  bytes: Uint8Array;
  tokenizer: Tokenizer;
  uri: string;
  /** Whether documents end with another token than they would if none had been named. */
  endsUnusually: boolean;
}

async function readTokenizer(uri: string, open: StoreOpener, endOfText?: string): Promise<GivenTokenizer> {
  const { folder, name } = splitUri(uri);
  const bytes = await open(folder)
    .get(name)
    .catch(async (error: unknown) => {
      if (!(error instanceof NotFoundError)) throw error;
      throw await noSuchFile(open, uri, `corpus.tokenizer.file: ${uri}`, 'correct the path, or train one instead');
    });
  const tokenizer = loadTokenizer(bytes, uri, { end: endOfText });
  const endsUnusually = endOfText !== undefined && usualEndOfText(bytes, uri) !== tokenizer.endOfText;
  return { bytes, tokenizer, uri, endsUnusually };
}

function trainedSize({ tokenizer }: PrepareOptions): number {
  return 'train' in tokenizer ? tokenizer.train : 0;
}

function fingerprintOf(
  options: PrepareOptions,
  files: readonly InputFile[],
  hashes: readonly string[],
  given: GivenTokenizer | undefined,
): string {
  const { sequenceLength, shards, seed, fields, exclude = [], removeNearDuplicates } = options;
  return sha256(
    JSON.stringify({
      preparation: PREPARATION,
      inputs: files.map(({ name }, i) => [name, hashes[i]]),
      tokenizer: given?.tokenizer.sha256 ?? trainedSize(options),
      ...(given?.endsUnusually && { endOfText: given.tokenizer.endOfText }),
      sequenceLength,
      shards,
      seed,
      fields: [fields.text, fields.domain, fields.id],
      excluded: [...exclude].sort(),
      ...(removeNearDuplicates && { removeNearDuplicates }),
    }),
  );
}

/** Runs may depend on the corpus that is there: never replace it by another. */
function refuseOther(
  existing: CorpusIndex,
  options: PrepareOptions,
  files: readonly InputFile[],
  hashes: readonly string[],
  given: GivenTokenizer | undefined,
): never {
  const differs: string[] = [];
  if (given && given.tokenizer.sha256 !== existing.tokenizer.sha256) {
    differs.push(
      `its tokenizer has sha256 ${existing.tokenizer.sha256}, corpus.tokenizer.file (${given.uri}) has ${given.tokenizer.sha256}`,
    );
  }
  if (given && given.tokenizer.endOfText !== existing.tokenizer.endOfText) {
    differs.push(
      `its documents end with token ${existing.tokenizer.endOfText}, corpus.tokenizer.endOfText is ${given.tokenizer.endOfText}`,
    );
  }
  if (existing.sequenceLength !== options.sequenceLength) {
    differs.push(`its rows have ${existing.sequenceLength} tokens, corpus.sequenceLength is ${options.sequenceLength}`);
  }
  if (existing.shards.length !== options.shards) {
    differs.push(`it has ${counted(existing.shards.length, 'shard')}, corpus.shards is ${options.shards}`);
  }
  const was = existing.inputs.map(({ uri, sha256 }) => `${uri} ${sha256}`);
  const is = files.map(({ name }, i) => `${name} ${hashes[i]}`);
  if (was.join() !== is.join()) differs.push('it was made of other input files, or their content has changed');
  // a vocabulary may also have come out smaller than it was asked for: blame it last
  if (!given && differs.length === 0 && trainedSize(options) !== existing.tokenizer.vocabularySize) {
    differs.push(
      `its tokenizer (sha256 ${existing.tokenizer.sha256}) has a vocabulary of ${existing.tokenizer.vocabularySize}, ` +
        `corpus.tokenizer.train asks for ${trainedSize(options)}`,
    );
  }
  if (differs.length === 0)
    differs.push('the seed, the fields, corpus.nearDuplicates or the reference and held-out passages were others');
  throw new ConfigError(
    `${options.target.uri} holds another corpus: ${differs.join('; ')}. ` +
      (options.otherwise ?? 'Prepare into another directory, or delete this one if no run needs it.'),
  );
}

/** Sizes alone are compared, which takes seconds: `mates verify` compares hashes. */
async function requireWhole(target: Store, { shards }: CorpusIndex): Promise<void> {
  const files = shards.flatMap(({ tokens, text, domains }) => [tokens, text, domains]);
  const damaged = await firstDamaged(target, files);
  if (damaged)
    throw new InputError(
      `${damaged}: the corpus was damaged after it had been prepared. Delete ${target.uri}, and give the same command again.`,
    );
}

/** A shard would replace an input of the same name. */
function refuseInputsIn({ uri }: Store, files: readonly InputFile[]): void {
  const inside = files.find(({ store, key }) => `${store.uri}/${key}`.startsWith(`${uri}/`));
  if (inside)
    throw new ConfigError(
      `corpus.input: ${inside.uri} is in ${uri}, where the corpus is written and could replace it: prepare into a new directory.`,
    );
}

/**
 * What an interrupted preparation left is replaced; a file of any other name shows that the folder is something else.
 */
async function refuseOtherFiles(target: Store): Promise<void> {
  const others = (await target.list('')).filter((key) => key !== TOKENIZER_FILE && !/^(shards\/|\.)/.test(key));
  if (others.length === 0) return;
  const more = others.length > 3 ? ` and ${others.length - 3} more` : '';
  throw new ConfigError(
    `${target.uri} is not a corpus and has other files (${others.slice(0, 3).join(', ')}${more}), among which a corpus could ` +
      `replace a ${TOKENIZER_FILE}: prepare into a new directory.`,
  );
}

function refuseEmpty(files: readonly InputFile[], removed: { emptyRemoved: number; excludedRemoved: number }): never {
  const { emptyRemoved, excludedRemoved } = removed;
  const why =
    emptyRemoved + excludedRemoved === 0
      ? 'no documents'
      : `no documents with text (${emptyRemoved} empty, ${excludedRemoved} reference or held-out passages)`;
  throw new InputError(`${files.map(({ uri }) => uri).join(', ')}: ${why}; check corpus.input and corpus.textField.`);
}

function refuseShort({ inputs, shards, sequenceLength }: PrepareOptions, droppedTokens: number): never {
  throw new InputError(
    `${inputs.join(', ')}: too little text, ${counted(droppedTokens, 'token')} over ${counted(shards, 'shard')} ${plural(droppedTokens, 'fills', 'fill')} no row of ` +
      `${sequenceLength}; add text, or lower corpus.shards or corpus.sequenceLength.`,
  );
}
