/** Folders that a command must not write into because they are already something else. */
import { CORPUS_FILE, RUN_FILE } from '../core/layout.ts';
import type { Store } from '../core/storage/index.ts';

/** What a folder is, and the file that shows it; undefined if it is neither a run nor a corpus. */
export async function runOrCorpus(store: Store): Promise<{ is: 'a run' | 'a corpus'; file: string } | undefined> {
  if ((await store.size(RUN_FILE)) !== undefined) return { is: 'a run', file: RUN_FILE };
  if ((await store.size(CORPUS_FILE)) !== undefined) return { is: 'a corpus', file: CORPUS_FILE };
  return undefined;
}
