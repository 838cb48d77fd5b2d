/** Checks a run, or a prepared corpus, against what was recorded about it, and throws the first fault. */
import { textsOf } from '../config/corpus-schema.ts';
import type { Corpus } from '../corpus/corpus.ts';
import { findInputs } from '../corpus/reading/inputs.ts';
import { InputError, throwIfStopped } from '../errors.ts';
import type { Manifest } from '../formats.ts';
import { CORPUS_FILE, CORPUS_FOLDER, MANIFEST_FILE, RUN_FILE } from '../layout.ts';
import { mapAhead } from '../parallel.ts';
import type { ProgressReporter } from '../progress.ts';
import { getJson, hashObject, requireFormat, type Store, splitUri } from '../storage/index.ts';
import { checkCorpusIndex, checkStage } from './invariants.ts';
import { isRepeatable, type Recorded, recordedHashes, repeatableFiles } from './manifest.ts';
import { openRunCorpus, type Run } from './open-run.ts';

/** Files that are read at once; they are reported on in order, so that the first fault is always the same one. */
const FILES_AT_ONCE = 4;

/** `format` of the JSON files that have one, by the end of their keys. */
const FORMATS: readonly [end: string, format: string][] = [
  ['/run.json', 'mates-run/1'],
  ['/passages.json', 'mates-passages/1'],
  [`/${CORPUS_FOLDER}/${CORPUS_FILE}`, 'mates-corpus/1'],
  ['/plan.json', 'mates-stage-plan/1'],
  ['/probe-model/probe.json', 'mates-probe/1'],
  ['/influence-model/fit.json', 'mates-influence-fit/1'],
  ['/influence-model/influence-model.json', 'mates-influence-model/1'],
  ['/influence-model/ridge.json', 'mates-ridge/1'],
  ['/dsir.json', 'mates-dsir/1'],
  ['/classifier.json', 'mates-ridge/1'],
  ['/scorer.json', 'mates-scorer/1'],
  ['/index.json', 'mates-scores/1'],
  ['/selection.json', 'mates-selection/1'],
  ['/training.json', 'mates-checkpoint/1'],
  ['/metrics.json', 'mates-training/1'],
  ['/evaluation.json', 'mates-evaluation/1'],
];

export interface VerifyOptions {
  /** Whether the files that the run read are checked too. */
  inputs?: boolean;
  signal?: AbortSignal;
  progress?: ProgressReporter;
}

/** What was found to be in order. */
export interface Verified {
  kind: 'run' | 'corpus';
  /** Whether the run has ended; if not, only the files with recorded hashes are checked. */
  finished: boolean;
  files: number;
  bytes: number;
  /** Stages whose files agree with each other. */
  stages: number;
  /** Files that the manifest does not name; they were put there later. */
  unnamed: string[];
}

/**
 * Compares every file with its recorded hash, then checks that the files agree with each other.
 *
 * @throws InputError that names the first file that is missing or damaged, or disagrees with another.
 */
export async function verifyRun(run: Run, options: VerifyOptions = {}): Promise<Verified> {
  const { store, record } = run;
  const manifest = await readManifest(run);
  if (options.inputs && !manifest)
    throw new InputError(
      `--inputs: ${store.uri} has no ${MANIFEST_FILE}, which names what a run has read once it has finished: finish the run, ` +
        'or leave --inputs out.',
    );
  const present = await repeatableFiles(store);
  // An earlier version's manifest may name other files, too.
  const outputs = manifest?.outputs.filter(({ key }) => isRepeatable(key)) ?? [];
  // One that an earlier version made may lack files, too, for which their writers recorded hashes.
  const expected = await recordedHashes(store, present);
  for (const output of outputs) expected.set(output.key, output);
  const named = new Set(outputs.map(({ key }) => key));
  const source = (key: string) => (named.has(key) ? MANIFEST_FILE : 'what was recorded when it was written');
  const checked = await checkFiles(store, expected, source, options);
  if (record.corpus !== CORPUS_FOLDER) {
    const { files, bytes } = await verifyCorpus(await openRunCorpus(run), options);
    checked.files += files;
    checked.bytes += bytes;
  }
  let stages = 0;
  if (manifest) {
    const corpus = await openRunCorpus(run);
    checkCorpusIndex(corpus);
    for (; stages < record.config.pretrain.stages; stages++) {
      throwIfStopped(options.signal, STOPPED);
      await checkStage(run, corpus, stages);
    }
    if (options.inputs) await checkInputFiles(run, corpus, manifest, options);
  }
  const unnamed = manifest ? present.filter((key) => !expected.has(key)) : [];
  return { kind: 'run', finished: manifest !== undefined, ...checked, stages, unnamed };
}

/** Compares the files of a prepared corpus with its index. */
export async function verifyCorpus(corpus: Corpus, options: VerifyOptions = {}): Promise<Verified> {
  const { store, index } = corpus;
  checkCorpusIndex(corpus);
  const files = index.shards.flatMap(({ tokens, text, domains }) => [tokens, text, domains]);
  const expected = new Map<string, Recorded>(files.map((file) => [file.key, file]));
  expected.set(index.tokenizer.key, { sha256: index.tokenizer.sha256 });
  const checked = await checkFiles(store, expected, () => CORPUS_FILE, options);
  return { kind: 'corpus', finished: true, ...checked, stages: 0, unnamed: [] };
}

async function readManifest({ store, record }: Run): Promise<Manifest | undefined> {
  if ((await store.size(MANIFEST_FILE)) === undefined) return undefined;
  const manifest = await getJson<Manifest>(store, MANIFEST_FILE);
  requireFormat(manifest, 'mates-manifest/1', `${store.uri}/${MANIFEST_FILE}`, OTHER_VERSION);
  if (JSON.stringify(manifest.run) !== JSON.stringify(record))
    throw new InputError(
      `${store.uri}/${RUN_FILE} is not the one in ${MANIFEST_FILE}: one of them was changed after the run had ended.`,
    );
  return manifest;
}

async function checkFiles(
  store: Store,
  expected: ReadonlyMap<string, Recorded>,
  sourceOf: (key: string) => string,
  options: VerifyOptions,
): Promise<{ files: number; bytes: number }> {
  let [files, bytes] = [0, 0];
  const check = async ([key, record]: [string, Recorded]) => {
    throwIfStopped(options.signal, STOPPED);
    const [size, source] = [await store.size(key), sourceOf(key)];
    if (size === undefined) throw new InputError(`${store.uri}/${key} is missing; ${source} names it. ${REMEDY}`);
    if (record.bytes !== undefined && size !== record.bytes)
      throw new InputError(`${store.uri}/${key} has ${size} bytes, ${source} has ${record.bytes}. ${REMEDY}`);
    const found = await hashObject(store, key);
    if (found.sha256 !== record.sha256)
      throw new InputError(
        `${store.uri}/${key} is damaged: its SHA-256 is ${found.sha256}, ${source} has ${record.sha256}. ${REMEDY}`,
      );
    await checkFormat(store, key);
    return size;
  };
  for await (const size of mapAhead(expected, FILES_AT_ONCE, check)) {
    files++;
    bytes += size;
    options.progress?.({ step: 'Compare hashes', done: files, total: expected.size, unit: 'files' });
  }
  return { files, bytes };
}

async function checkFormat(store: Store, key: string): Promise<void> {
  const expected = FORMATS.find(([end]) => `/${key}`.endsWith(end))?.[1];
  if (expected === undefined) return;
  requireFormat(await getJson(store, key), expected, `${store.uri}/${key}`, OTHER_VERSION);
}

/** The files that the run read: the corpus's texts, and what `inputs.json` has. */
async function checkInputFiles(run: Run, corpus: Corpus, manifest: Manifest, options: VerifyOptions): Promise<void> {
  const changed = (uri: string) =>
    new InputError(
      `${uri} is not the file that the run has read (its SHA-256 differs from that in ${MANIFEST_FILE}): ` +
        'the run cannot be repeated with it; restore the file.',
    );
  const input = textsOf(run.record.config.corpus)?.input;
  const texts = input ? await findInputs(input, run.open) : [];
  const recorded = new Map(manifest.inputs.map((file) => [file.uri, file]));
  const total = manifest.inputs.length - (input ? 0 : corpus.index.inputs.length);
  let done = 0;
  const count = () => options.progress?.({ step: 'Compare inputs', done: ++done, total, unit: 'files' });
  for (const file of texts) {
    const { sha256 } = await hashObject(file.store, file.key, () => throwIfStopped(options.signal, STOPPED));
    if (sha256 !== recorded.get(file.name)?.sha256) throw changed(file.uri);
    recorded.delete(file.name);
    count();
  }
  const missing = input && corpus.index.inputs.find(({ uri }) => recorded.has(uri));
  if (missing)
    throw new InputError(
      `${missing.uri}, which corpus.input (${input.join(', ')}) had when the run read it, is missing, and the run cannot be repeated without it: restore the file.`,
    );
  for (const { uri, sha256 } of manifest.inputs.slice(corpus.index.inputs.length)) {
    throwIfStopped(options.signal, STOPPED);
    const { folder, name } = splitUri(uri);
    const store = run.open(folder);
    if ((await store.size(name)) === undefined)
      throw new InputError(
        `${uri} is missing, which the run has read and cannot be repeated without: restore the file.`,
      );
    if ((await hashObject(store, name)).sha256 !== sha256) throw changed(uri);
    count();
  }
}

const STOPPED = 'Stopped; nothing was changed.';

const OTHER_VERSION = 'another version wrote it; verify the run with that one';

const REMEDY = 'Restore it from a copy, or delete it with all that was made from it and run again.';
