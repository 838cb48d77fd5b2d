import type { RunConfig } from '../core/config/schema.ts';
import type { Corpus } from '../core/corpus/corpus.ts';
import { loadPassages, type Passage } from '../core/corpus/passages.ts';
import { InputError } from '../core/errors.ts';
import type { Run } from '../core/run/open-run.ts';
import { NotFoundError, splitUri } from '../core/storage/index.ts';

/** The reference set or the held-out passages, in tokens of the run's corpus. */
export async function loadPassageSet(run: Run, corpus: Corpus, from: RunConfig['reference']): Promise<Passage[]> {
  const { folder, name } = splitUri(from.input);
  const bytes = await run
    .open(folder)
    .get(name)
    .catch((error) => {
      throw error instanceof NotFoundError
        ? new InputError(`${from.input}: no such file; it holds the passages of reference.input or heldOut.input.`)
        : error;
    });
  const tokenizer = await corpus.tokenizer();
  return loadPassages(bytes, from.input, from.passages, from.target, tokenizer, corpus.index.sequenceLength);
}
