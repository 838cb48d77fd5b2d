/** Resumable checkpoints within a piece of training: an interrupted job resumes from the newest that is whole. */
import type { RunConfig } from '../core/config/schema.ts';
import { TRAINING_FILE } from '../core/layout.ts';
import type { Store } from '../core/storage/index.ts';

type Often = Pick<RunConfig['pretrain'], 'checkpointEverySteps' | 'checkpointEveryMinutes'>;

export class PartialCheckpoints {
  private readonly store: Store;
  /** Ends with a slash; each checkpoint is a folder in it, named after the optimizer's step. */
  private readonly folder: string;
  private readonly often: Often;
  private savedAt = performance.now();

  constructor(store: Store, folder: string, often: Often) {
    this.store = store;
    this.folder = folder;
    this.often = often;
  }

  /** The place of the newest checkpoint; undefined if there is none. */
  async newest(): Promise<string | undefined> {
    const marks = (await this.store.list(this.folder)).filter((key) => key.endsWith(`/${TRAINING_FILE}`));
    return marks.at(-1)?.slice(0, -`/${TRAINING_FILE}`.length);
  }

  /** Whether a checkpoint should be written after `done` steps. */
  isDue(done: number): boolean {
    const minutes = (performance.now() - this.savedAt) / 60_000;
    return done % this.often.checkpointEverySteps === 0 || minutes >= this.often.checkpointEveryMinutes;
  }

  /**
   * Writes a checkpoint, and then deletes the earlier ones.
   *
   * @param write writes the checkpoint to a place, `training.json` last.
   */
  async save(step: number, write: (key: string) => Promise<void>): Promise<void> {
    const key = this.folder + String(step).padStart(9, '0');
    await write(key);
    await this.drop(key);
    this.savedAt = performance.now();
  }

  /** Deletes all checkpoints, or all but one. */
  async drop(keep?: string): Promise<void> {
    const stale = (await this.store.list(this.folder)).filter((key) => !keep || !key.startsWith(`${keep}/`));
    // The mark goes first, so that a half-deleted checkpoint is never mistaken for a whole one.
    const isMark = (key: string) => Number(key.endsWith(`/${TRAINING_FILE}`));
    for (const key of stale.sort((a, b) => isMark(b) - isMark(a))) await this.store.delete(key);
  }
}
