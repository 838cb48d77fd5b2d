import { passageHashes } from '../../core/corpus/passages.ts';
import { prepareCorpus } from '../../core/corpus/prepare.ts';
import { InputError } from '../../core/errors.ts';
import { CORPUS_FOLDER, PASSAGES_FILE, stageLayout } from '../../core/layout.ts';
import { recordInputs } from '../../core/run/inputs.ts';
import { corpusStore, openRunCorpus } from '../../core/run/open-run.ts';
import { putJson } from '../../core/storage/index.ts';
import { type Job, timed } from '../job.ts';
import { loadPassageSet, loadTasks, readPassageFile } from '../passages.ts';
import { checkPassages } from './check-passages.ts';

/** Prepares the run's corpus, or checks the one that was prepared beforehand, and that passage and task files are usable. */
export async function run(job: Job): Promise<void> {
  await timed(job, 'prepare', async () => {
    await refuseShared(job);
    if (job.run.record.corpus === CORPUS_FOLDER) await prepare(job);
    const corpus = await openRunCorpus(job.run);
    const { seed, reference, heldOut } = job.run.record.config;
    const passages = await Promise.all([reference, heldOut].map((which) => loadPassageSet(job.run, corpus, which)));
    await loadTasks(job.run, corpus);
    const { store } = job.run;
    // Of a run that has not begun, both may be of another configuration.
    const begun = (await store.size(stageLayout(0).plan)) !== undefined;
    await recordInputs(job.run, begun);
    if (!begun || (await store.size(PASSAGES_FILE)) === undefined)
      await putJson(store, PASSAGES_FILE, await checkPassages(corpus, seed, passages[0]!, passages[1]!));
    return { flops: 0 }; // no matrix product, and what it did is checked again each time
  });
}

/** A held-out loss of what was selected for would say nothing. */
async function refuseShared({ run }: Job): Promise<void> {
  const { reference, heldOut } = run.record.config;
  const [selectedFor, others] = await Promise.all(
    [reference, heldOut].map(({ input, passages }) => passageHashes(readPassageFile(run, input), input, passages)),
  );
  const shared = [...selectedFor!].filter((hash) => others!.has(hash)).length;
  if (shared > 0)
    throw new InputError(
      `${shared} of the passages of heldOut.input ${heldOut.input} are reference passages too (${reference.input}), so their loss ` +
        'would not be held out; give other passages, or fewer of each by reference.passages and heldOut.passages.',
    );
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
