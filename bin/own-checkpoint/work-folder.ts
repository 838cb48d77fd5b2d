/**
 * The work folder of `mates select`: it belongs to the scores of one checkpoint, corpus, reference file and set of
 * flags.
 */
import { onGpu } from '../../core/config/runtimes.ts';
import { ConfigError } from '../../core/errors.ts';
import { armLayout, SELECT_FILE } from '../../core/layout.ts';
import { methodTraits } from '../../core/selection/methods.ts';
import { getJsonIfPresent, putJson, type Store } from '../../core/storage/index.ts';
import { runOrCorpus } from '../other-folders.ts';
import { STAGE } from './plan.ts';
import { SETTING_FLAGS, type Settings } from './settings.ts';

/** Scores of the documents as JSON Lines, computed from those of the rows. */
export const DOCUMENTS_FILE = 'documents.jsonl';

/** `select.json`: what the files of the folder were made of. */
export interface WorkRecord {
  format: 'mates-select/1';
  /** SHA-256 of `corpus.json`, which has the hashes of the corpus's other files. */
  corpus: string;
  /** SHA-256 of `config.json` and of each weights file. The tokenizer is the corpus's. */
  checkpoint: Record<string, string>;
  /** SHA-256 of the reference file. */
  reference: string;
  settings: Settings;
  /** Versions of everything that could change a number. */
  versions: Record<string, string>;
}

/**
 * Claims an empty folder for a selection, or finds the same labels and scores in it and continues from them. If only
 * flags that decide which rows are taken have changed, the rows are selected anew.
 *
 * @throws ConfigError as {@link checkWorkFolder} does.
 */
export async function claimWorkFolder(store: Store, name: string, record: WorkRecord): Promise<void> {
  const existing = await checkWorkFolder(store, name, record);
  if (!existing) {
    await putJson(store, SELECT_FILE, record);
    return;
  }
  if (changedKeys(existing.settings, record.settings).length === 0) return;
  await store.delete(armLayout(STAGE, 'main').selectionSummary);
  await putJson(store, SELECT_FILE, record);
}

/**
 * Checks that a folder can be claimed for a selection, and writes nothing.
 *
 * @param name the folder as it was given.
 * @returns what the folder has been claimed for.
 * @throws ConfigError when the folder has another selection (the message names what differs) or something else.
 */
export async function checkWorkFolder(store: Store, name: string, record: WorkRecord): Promise<WorkRecord | undefined> {
  const remedy = 'Name another folder with --work, or delete this one.';
  const existing = await getJsonIfPresent<WorkRecord>(store, SELECT_FILE);
  if (!existing) {
    const other = await runOrCorpus(store);
    if (other)
      throw new ConfigError(
        `--work ${name}: the folder has a ${other.file} and no ${SELECT_FILE}: it is ${other.is}'s. ${remedy}`,
      );
    return undefined;
  }
  const changed = differences(existing, record);
  if (changed.length)
    throw new ConfigError(`--work ${name}: the folder has another selection: ${changed.join('; ')}. ${remedy}`);
  return existing;
}

/** The settings that labels and scores depend on. */
function scoredBy({ fraction, temperature, method, threads, ...settings }: Settings) {
  // On a CPU, results have the same bits with any number of threads.
  return { ...settings, method: methodTraits(method).score, threads: onGpu(settings.runtime) ? threads : undefined };
}

/** What differs, in words. */
function differences(before: WorkRecord, now: WorkRecord): string[] {
  const found: string[] = [];
  const files = changedKeys(before.checkpoint, now.checkpoint);
  if (files.length) found.push(`--checkpoint was another (${files.join(', ')} had other content)`);
  if (before.corpus !== now.corpus) found.push('--corpus was another (corpus.json had other content)');
  if (before.reference !== now.reference) found.push('--reference was a file with other content');
  for (const name of changedKeys(scoredBy(before.settings), scoredBy(now.settings)))
    found.push(`${SETTING_FLAGS[name]} was ${shown(before.settings[name])} and is now ${shown(now.settings[name])}`);
  // The version of Node does not affect results.
  for (const name of changedKeys(before.versions, now.versions).filter((name) => name !== 'node'))
    found.push(`${name} was ${before.versions[name]} and is now ${now.versions[name]}`);
  return found;
}

function changedKeys<T extends object>(before: T, now: T): (keyof T & string)[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])] as (keyof T & string)[];
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]));
}

const shown = (value: unknown) => (Array.isArray(value) ? value.join(',') || 'none' : String(value));
