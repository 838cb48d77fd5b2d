import { passageHashes } from '../../core/corpus/passages.ts';
import { prepareCorpus } from '../../core/corpus/prepare.ts';
import { CORPUS_FOLDER } from '../../core/layout.ts';
import { corpusStore, openRunCorpus } from '../../core/run/open-run.ts';
import { type Job, timed } from '../job.ts';
import { loadPassageSet, loadTasks, readPassageFile } from '../passages.ts';

/** Prepares the run's corpus, or checks the one that was prepared beforehand, and that passage and task files are usable. */
export async function run(job: Job): Promise<void> {
  await timed(job, 'prepare', async () => {
    if (job.run.record.corpus === CORPUS_FOLDER) await prepare(job);
    const corpus = await openRunCorpus(job.run);
    const { reference, heldOut } = job.run.record.config;
    await loadPassageSet(job.run, corpus, reference);
    await loadPassageSet(job.run, corpus, heldOut);
    await loadTasks(job.run, corpus);
    return 0; // no matrix product
  });
}

async function prepare(job: Job): Promise<void> {
  const { config } = job.run.record;
  const exclude = new Set<string>();
  for (const { input } of [config.reference, config.heldOut])
    for (const hash of await passageHashes(readPassageFile(job.run, input), input)) exclude.add(hash);
  await prepareCorpus({
    opener: job.run.open,
    inputs: config.corpus.input,
    baseDirectory: '.',
    tokenizer: config.corpus.tokenizer,
    sequenceLength: config.corpus.sequenceLength,
    shards: config.corpus.shards,
    seed: config.seed,
    fields: { text: config.corpus.textField, domain: config.corpus.domainField, id: config.corpus.idField },
    removeNearDuplicates: config.corpus.nearDuplicates === 'remove',
    exclude,
    target: corpusStore(job.run),
    progress: job.progress,
    signal: job.signal,
  });
}
