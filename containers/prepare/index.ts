import { readPassageTexts } from '../../core/corpus/passages.ts';
import { prepareCorpus } from '../../core/corpus/prepare.ts';
import { CORPUS_FOLDER } from '../../core/layout.ts';
import { corpusStore, openRunCorpus } from '../../core/run/open-run.ts';
import { type Job, timed } from '../job.ts';
import { loadPassageSet } from '../passages.ts';

/** Prepares the run's corpus, or checks the one that was prepared beforehand, and that both passage files are usable. */
export async function run(job: Job): Promise<void> {
  const { config } = job.run.record;
  await timed(job, 'prepare', async () => {
    if (job.run.record.corpus === CORPUS_FOLDER) {
      const exclude = new Set<string>();
      for (const { input } of [config.reference, config.heldOut])
        for (const text of await readPassageTexts(job.run.open, input)) exclude.add(text);
      await prepareCorpus({
        open: job.run.open,
        inputs: config.corpus.input,
        tokenizer: config.corpus.tokenizer,
        sequenceLength: config.corpus.sequenceLength,
        shards: config.corpus.shards,
        seed: config.seed,
        fields: { text: config.corpus.textField, domain: config.corpus.domainField, id: config.corpus.idField },
        exclude,
        target: corpusStore(job.run),
        progress: job.progress,
      });
    }
    const corpus = await openRunCorpus(job.run);
    await loadPassageSet(job.run, corpus, config.reference);
    await loadPassageSet(job.run, corpus, config.heldOut);
  });
}
