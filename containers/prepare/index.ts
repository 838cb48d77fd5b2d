import { type TextsConfig, textsOf } from '../../core/config/corpus-schema.ts';
import { measurePassages, passageHashes, readPassageFile } from '../../core/corpus/passages.ts';
import { prepareCorpus } from '../../core/corpus/prepare.ts';
import { corpusWarnings } from '../../core/diagnostics/corpus.ts';
import { InputError } from '../../core/errors.ts';
import { CORPUS_FILE, PASSAGES_FILE, stageLayout } from '../../core/layout.ts';
import { requireGuard } from '../../core/plan/lookahead.ts';
import { probesByLookahead } from '../../core/plan/stage-work.ts';
import { recordInputs, requireSameCorpus, requireSameFiles } from '../../core/run/inputs.ts';
import { corpusStore, openRunCorpus } from '../../core/run/open-run.ts';
import { checkReferenceRows } from '../../core/selection/reference-rows.ts';
import { putJson } from '../../core/storage/index.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { loadPassageSet, loadTasks } from '../passages.ts';
import { type CheckedPassages, checkPassages } from './check-passages.ts';

/**
 * Prepares the run's corpus, or checks one that was prepared beforehand; also checks that passage and task files are
 * usable.
 */
export async function run(job: Job): Promise<void> {
  // A resumed run checks everything again, but keeps the time that was recorded when the corpus was prepared.
  const recorded = (await job.run.store.size(stageLayout(0).timing('prepare'))) !== undefined;
  if (recorded && (await corpusStore(job.run).size(CORPUS_FILE)) !== undefined) await prepareRun(job);
  else await timed(job, 'prepare', () => prepareRun(job));
}

async function prepareRun(job: Job): Promise<Computed> {
  const { store } = job.run;
  // If the run has not begun, its corpus and inputs may come from another configuration.
  const begun = (await store.size(stageLayout(0).plan)) !== undefined;
  // Before the corpus is compared with them, as this names the file that was changed.
  const recorded = begun && (await requireSameFiles(job.run));
  const hashes = await distinctPassages(job);
  // Before the corpus, which may take hours.
  if (probesByLookahead(job.run.record.config)) requireGuard(hashes[0].size);
  const texts = textsOf(job.run.record.config.corpus);
  if (texts) await prepare(job, texts);
  const corpus = await openRunCorpus(job.run);
  const { config } = job.run.record;
  const { seed, reference, heldOut } = config;
  const loaded = async (from: typeof heldOut, known: ReadonlySet<string>): Promise<CheckedPassages> => {
    const passages = await loadPassageSet(job.run, corpus, from);
    const { passages: found } = await measurePassages(readPassageFile(job.run.open, from.input), from.input);
    return { from, passages, found, hashes: texts ? undefined : known };
  };
  const given = { reference: await loaded(reference, hashes[0]), heldOut: await loaded(heldOut, hashes[1]) };
  const fewRows = checkReferenceRows(config, given.reference.passages, corpus.index.sequenceLength);
  await loadTasks(job.run, corpus);
  if (recorded) await requireSameCorpus(job.run);
  else await recordInputs(job.run);
  if (!begun || (await store.size(PASSAGES_FILE)) === undefined) {
    const checked = await checkPassages(corpus, seed, given);
    checked.warnings.push(...fewRows);
    for (const warning of checked.warnings) job.warn(warning);
    await putJson(store, PASSAGES_FILE, checked);
  }
  return { flops: 0 }; // no matrix product; and no mark of being done, since everything is checked again each time
}

/**
 * The hashes of the reference and of the held-out passages.
 *
 * @throws InputError when they share some: a held-out loss on passages that were selected for would say nothing.
 */
async function distinctPassages({ run }: Job): Promise<[reference: Set<string>, heldOut: Set<string>]> {
  const { reference, heldOut } = run.record.config;
  const hashesOf = ({ input, passages }: typeof heldOut) =>
    passageHashes(readPassageFile(run.open, input), input, passages);
  const [selectedFor, others] = await Promise.all([hashesOf(reference), hashesOf(heldOut)]);
  const shared = [...selectedFor].filter((hash) => others.has(hash)).length;
  if (shared > 0)
    throw new InputError(
      `${shared} of the passages of heldOut.input ${heldOut.input} are reference passages too (${reference.input}), so their loss ` +
        'would not be held out; give other passages, or fewer of each by reference.passages and heldOut.passages.',
    );
  return [selectedFor, others];
}

async function prepare(job: Job, texts: TextsConfig): Promise<void> {
  const { config } = job.run.record;
  const exclude = new Set<string>();
  for (const { input } of [config.reference, config.heldOut])
    for (const hash of await passageHashes(readPassageFile(job.run.open, input), input)) exclude.add(hash);
  const index = await prepareCorpus({
    opener: job.run.open,
    inputs: texts.input,
    tokenizer: texts.tokenizer,
    sequenceLength: texts.sequenceLength,
    shards: texts.shards,
    seed: config.seed,
    fields: { text: texts.textField, domain: texts.domainField, id: texts.idField },
    removeNearDuplicates: texts.nearDuplicates === 'remove',
    exclude,
    target: corpusStore(job.run),
    otherwise: 'Start another run (--run-id), or restore what this one began with.',
    progress: job.progress,
    signal: job.signal,
  });
  for (const warning of corpusWarnings(index, texts)) job.warn(warning);
}
