import { isAbsolute } from 'node:path';
import { InputError } from '../errors.ts';
import type { CorpusIndex, FileRecord, Manifest, SelectionSummary } from '../formats.ts';
import {
  CORPUS_FILE,
  CORPUS_FOLDER,
  EXECUTIONS_FOLDER,
  INPUTS_FILE,
  MANIFEST_FILE,
  PARTIAL_FOLDER,
  REPORT_FILE,
  SAGEMAKER_FOLDER,
  SUMMARY_FILE,
} from '../layout.ts';
import { mapParallel } from '../parallel.ts';
import { getJson, getJsonIfPresent, hashObject, type Store } from '../storage/index.ts';
import { inputsOf } from './inputs.ts';
import { openRunCorpus, type Run } from './open-run.ts';

/** Files whose bytes depend on time or place, and not on the result alone. */
const NOT_REPEATABLE = [INPUTS_FILE, MANIFEST_FILE, SUMMARY_FILE, REPORT_FILE];
const NOT_REPEATABLE_FOLDER = new RegExp(
  `(^|/)((${EXECUTIONS_FOLDER}|timings|logs|${SAGEMAKER_FOLDER}-(main|control))/|${PARTIAL_FOLDER})`,
);
/** A file that a job deletes when it ends; a kill at that moment leaves it behind. */
const PARTIAL_FILE = /\.partial\.json$/;

/** Files such as `.lock`, and those that operating systems put into any folder that is looked at. */
const HIDDEN = /(^|\/)\./;

/** Files looked at in parallel, so that the requests, three for each scoring job, hide each other's latency. */
const REQUESTS = 16;
/** Files of a disk that are read in parallel. */
const FILES_AT_ONCE = 4;

/**
 * Makes the content of `manifest.json`: the configuration, seeds, versions, and the hash of every input and output.
 *
 * @throws InputError naming an output that is no longer as it was written, or that differs from the manifest of a run that
 *   had finished before.
 */
export async function makeManifest(run: Run): Promise<Manifest> {
  const corpus = await openRunCorpus(run);
  const texts = corpus.index.inputs.map(({ uri, bytes, sha256 }) => ({ uri, bytes, sha256 }));
  const inputs = [...texts, ...(await inputsOf(run))];
  const before = await getJsonIfPresent<Manifest>(run.store, MANIFEST_FILE);
  const made = await outputs(run.store, before ? () => {} : (file) => refuseDamaged(run.store, file));
  if (before) refuseOthers(run.store, before.outputs, made);
  return { format: 'mates-manifest/1', run: run.record, inputs, outputs: made };
}

/** A file that is not in the manifest is not refused: a later version may write it for an existing run. */
function refuseOthers(store: Store, before: readonly FileRecord[], now: readonly FileRecord[]): void {
  const hashes = new Map(now.map(({ key, sha256 }) => [key, sha256]));
  const changed = before.find(({ key, sha256 }) => isRepeatable(key) && hashes.get(key) !== sha256);
  if (!changed) return;
  const how = hashes.has(changed.key)
    ? `is not the file that ${MANIFEST_FILE} has`
    : `is missing; ${MANIFEST_FILE} names it`;
  throw new InputError(
    `${store.uri}/${changed.key} ${how}: it was changed after the run had finished. Restore it, or begin another run (--run-id); ` +
      `where the change is meant, delete ${MANIFEST_FILE} and give the same command again.`,
  );
}

/** The run's files that have the same bytes whenever it is repeated. */
export async function repeatableFiles(store: Store): Promise<string[]> {
  return (await store.list('')).filter(isRepeatable);
}

/** Whether a file has the same bytes whenever its run is repeated. */
export function isRepeatable(key: string): boolean {
  return (
    !NOT_REPEATABLE.includes(key) && !NOT_REPEATABLE_FOLDER.test(key) && !PARTIAL_FILE.test(key) && !HIDDEN.test(key)
  );
}

/** @param onOther is told of a file with another hash than the one that was recorded when it was written. */
async function outputs(store: Store, onOther: (file: FileRecord) => void): Promise<FileRecord[]> {
  const keys = await repeatableFiles(store);
  const known = await recordedHashes(store, keys);
  const present = new Set(keys);
  const missing = [...known.keys()].find((key) => !present.has(key));
  if (missing) throw new InputError(`${store.uri}/${missing} is missing, which the run wrote. ${remedyFor(missing)}`);
  // On a disk the large files are read again, as nobody else watches over their bytes.
  const isLocal = isAbsolute(store.uri);
  return mapParallel(keys, isLocal ? FILES_AT_ONCE : REQUESTS, async (key) => {
    const record = known.get(key);
    if (isLocal) {
      const found = await hashObject(store, key);
      if (record && record.sha256 !== found.sha256) onOther(found);
      return found;
    }
    const bytes = record && (await store.size(key));
    if (record === undefined || bytes === undefined || (record.bytes ?? bytes) !== bytes) return hashObject(store, key);
    return { key, bytes, sha256: record.sha256 };
  });
}

function refuseDamaged(store: Store, { key }: FileRecord): never {
  throw new InputError(
    `${store.uri}/${key} is not the file that the run wrote (its sha256 differs): it was changed or damaged, and what came ` +
      `after may have been made of it. ${remedyFor(key)}`,
  );
}

function remedyFor(key: string): string {
  const others = key.startsWith(`${CORPUS_FOLDER}/`)
    ? `the folders ${CORPUS_FOLDER} and stages`
    : 'the folders of its stage and of the later ones (stages/N)';
  return `Restore it, or delete ${others}, and give the same command again.`;
}

export interface Recorded {
  bytes?: number;
  sha256: string;
}

/**
 * The hashes that were recorded when the large files were written: corpora and checkpoints may be hundreds of
 * gigabytes, more than a function can read in its quarter of an hour.
 */
export async function recordedHashes(store: Store, keys: string[]): Promise<Map<string, Recorded>> {
  const known = new Map<string, Recorded>();
  const add = (folder: string, records: FileRecord[]) => {
    for (const record of records) known.set(folder + record.key, record);
  };
  await mapParallel(keys, REQUESTS, async (key) => {
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    if (key === `${CORPUS_FOLDER}/${CORPUS_FILE}`) {
      const { shards } = await getJson<CorpusIndex>(store, key);
      add(
        folder,
        shards.flatMap(({ tokens, text, domains }) => [tokens, text, domains]),
      );
    } else if (/\/scores\/\d+\/index\.json$/.test(key)) {
      const { scores, keys } = await getJson<Record<'scores' | 'keys', FileRecord>>(store, key);
      add('', [scores, keys]);
    } else if (key.endsWith('/selection.json')) {
      add('', [(await getJson<SelectionSummary>(store, key)).file]);
    } else if (/(checkpoint\/training|\/probe-model\/probe)\.json$/.test(key)) {
      // A prepared probe has no hashes if it is a checkpoint, which has its own, or is older than the field.
      const { sha256 = {} } = await getJson<{ sha256?: Record<string, string> }>(store, key);
      for (const [file, hash] of Object.entries(sha256)) known.set(folder + file, { sha256: hash });
    }
  });
  return known;
}
