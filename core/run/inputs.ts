/**
 * What a run reads besides its corpus's texts, hashed when it begins so that it ends with the same files or reports a
 * change.
 */
import { InputError } from '../errors.ts';
import type { InputHash, InputHashes } from '../formats.ts';
import { CORPUS_FILE, INPUTS_FILE } from '../layout.ts';
import { mapParallel } from '../parallel.ts';
import { getJsonIfPresent, hashObject, putJson, splitUri } from '../storage/index.ts';
import { corpusStore, type Run } from './open-run.ts';

/** Files hashed at once. */
const FILES_AT_ONCE = 4;

/** The files of a Hugging Face model's directory that are read; models are published with others, too. */
export const MODEL_FILES = /^(config|tokenizer|tokenizer_config)\.json$|\.safetensors(\.index\.json)?$/;

/** Writes `inputs.json`. */
export async function recordInputs(run: Run): Promise<void> {
  await putJson(run.store, INPUTS_FILE, await findInputs(run));
}

/**
 * Compares the files of a run that has begun with `inputs.json`, but not its corpus, which may have to be made again.
 *
 * @returns whether there is such a record, which older runs lack.
 * @throws InputError naming the first file that is not the one that the run began with.
 */
export async function requireSameFiles(run: Run): Promise<boolean> {
  const before = await readInputs(run);
  if (!before) return false;
  refuseChanged(firstChanged(before, await hashInputs(run)));
  return true;
}

/** Compares the corpus of a run that has begun likewise. */
export async function requireSameCorpus(run: Run): Promise<void> {
  const before = await readInputs(run);
  if (before) refuseChanged(changedCorpus(run, before, await hashCorpus(run)));
}

function refuseChanged(changed: string | undefined): void {
  if (changed)
    throw new InputError(
      `${changed}, so its stages would not be comparable: restore it, or start another run (--run-id).`,
    );
}

/**
 * Compares the files with `inputs.json` when the run ends: each job reads them for itself, and cannot notice a change.
 *
 * @throws InputError naming the first file that is not the one that the run began with.
 */
export async function requireSameInputs(run: Run): Promise<void> {
  const before = await readInputs(run);
  if (!before) return;
  const now = await findInputs(run);
  const changed = firstChanged(before, now.files) ?? changedCorpus(run, before, now.corpus);
  if (changed)
    throw new InputError(
      `${changed}: it was changed while the run was at work, so stages may have read either version. Start another run (--run-id); ` +
        'or restore it, delete the folders of the stages that began after the change (stages/N), and give the same command again.',
    );
}

async function findInputs(run: Run): Promise<InputHashes> {
  const files = await hashInputs(run);
  return { format: 'mates-inputs/1', corpus: await hashCorpus(run), files };
}

const hashCorpus = async (run: Run): Promise<string> => (await hashObject(corpusStore(run), CORPUS_FILE)).sha256;

const DIFFERS = `that the run began with (its SHA-256 differs from that in ${INPUTS_FILE})`;

/** The first file that has changed, in words; undefined when none has. */
function firstChanged(before: InputHashes, now: readonly InputHash[]): string | undefined {
  const known = new Map(before.files.map(({ uri, sha256 }) => [uri, sha256]));
  const changed = now.find(({ uri, sha256 }) => known.get(uri) !== sha256);
  return changed && `${changed.uri} is not the file ${DIFFERS}`;
}

const changedCorpus = (run: Run, before: InputHashes, now: string): string | undefined =>
  before.corpus === now ? undefined : `${corpusStore(run).uri} is not the corpus ${DIFFERS}`;

/** The inputs as they were when the run began; undefined in runs older than this record. */
function readInputs({ store }: Run): Promise<InputHashes | undefined> {
  return getJsonIfPresent<InputHashes>(store, INPUTS_FILE);
}

/** The files as they were when the run began, or as they are now if that was not recorded. */
export async function inputsOf(run: Run): Promise<InputHash[]> {
  return (await readInputs(run))?.files ?? hashInputs(run);
}

async function hashInputs(run: Run): Promise<InputHash[]> {
  return mapParallel(await inputFiles(run), FILES_AT_ONCE, async (uri) => {
    const { folder, name } = splitUri(uri);
    const { bytes, sha256 } = await hashObject(run.open(folder), name);
    return { uri, bytes, sha256 };
  });
}

async function inputFiles({ record, open }: Run): Promise<string[]> {
  const { corpus, reference, heldOut, evaluation, influenceModel, model } = record.config;
  const filesOf = async (pretrained: string | undefined) =>
    pretrained
      ? (await open(pretrained).list(''))
          .filter((name) => MODEL_FILES.test(name))
          .map((name) => `${pretrained}/${name}`)
      : [];
  return [
    ...[reference.input, heldOut.input],
    ...evaluation.tasks.map(({ file }) => file),
    ...(await filesOf(model.pretrained)),
    ...(await filesOf(influenceModel.pretrained)),
    ...(corpus.prepared ? [`${corpus.prepared}/${CORPUS_FILE}`] : []),
  ];
}
