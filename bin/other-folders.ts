/** Folders that are something else than a command needs. */
import { InputError } from '../core/errors.ts';
import { CORPUS_FILE, RUN_FILE } from '../core/layout.ts';
import type { Store } from '../core/storage/index.ts';

/** What a folder is, and the file that shows it; undefined if it is neither a run nor a corpus. */
export async function runOrCorpus(store: Store): Promise<{ is: 'a run' | 'a corpus'; file: string } | undefined> {
  if ((await store.size(RUN_FILE)) !== undefined) return { is: 'a run', file: RUN_FILE };
  if ((await store.size(CORPUS_FILE)) !== undefined) return { is: 'a corpus', file: CORPUS_FILE };
  return undefined;
}

/** @throws InputError if the folder that was given as a model is a run, whose models `mates export` writes. */
export async function refuseRunAsModel(store: Store, folder: string): Promise<void> {
  if ((await store.size(RUN_FILE)) !== undefined)
    throw new InputError(
      `${folder}: that is a run, not a model: write its model to a folder with mates export ${folder} --out FOLDER, and name that.`,
    );
}
