import type { RunConfig } from '../core/config/schema.ts';
import type { Corpus } from '../core/corpus/corpus.ts';
import { loadPassages, type Passage, readPassageFile } from '../core/corpus/passages.ts';
import { type EncodedTask, encodeTask, readTask } from '../core/evaluation/index.ts';
import type { Run } from '../core/run/open-run.ts';
import { referenceRowCount } from '../core/selection/reference-rows.ts';

/** The reference set or the held-out passages, tokenized as the run's corpus is. */
export async function loadPassageSet(run: Run, corpus: Corpus, from: RunConfig['reference']): Promise<Passage[]> {
  const tokenizer = await corpus.tokenizer();
  const pieces = readPassageFile(run.open, from.input);
  return loadPassages(pieces, from.input, from.passages, from.target, tokenizer, corpus.index.sequenceLength);
}

/**
 * The reference passages one after the other, each followed by the end-of-text token, cut into whole rows, [rows x
 * length]. There is at least one, see `checkReferenceRows`.
 */
export async function referenceRows(run: Run, corpus: Corpus): Promise<Int32Array> {
  const { sequenceLength, tokenizer } = corpus.index;
  const passages = await loadPassageSet(run, corpus, run.record.config.reference);
  const tokens = passages.flatMap((passage) => [...passage.tokens, tokenizer.endOfText]);
  return Int32Array.from(tokens.slice(0, referenceRowCount(passages, sequenceLength) * sequenceLength));
}

/** The zero-shot tasks, tokenized as the run's corpus is. */
export async function loadTasks(run: Run, corpus: Corpus): Promise<EncodedTask[]> {
  const tokenizer = await corpus.tokenizer();
  const tasks: EncodedTask[] = [];
  for (const task of run.record.config.evaluation.tasks)
    tasks.push(encodeTask(await readTask(run.open, task), tokenizer, corpus.index.sequenceLength));
  return tasks;
}
