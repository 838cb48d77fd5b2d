import type { Job } from '../../containers/job.ts';
import { openRuntime } from '../../containers/model.ts';
import { openCorpus } from '../../core/corpus/corpus.ts';
import { comparisonWith, exclusionWarnings, passageWarnings } from '../../core/diagnostics/passages.ts';
import type { RunRecord, StagePlan } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { CORPUS_FILE, RUN_FILE, stageLayout } from '../../core/layout.ts';
import { requireGuard } from '../../core/plan/lookahead.ts';
import { probeItems, scoreItems } from '../../core/plan/stage-plan.ts';
import { probesByLookahead } from '../../core/plan/stage-work.ts';
import { type ProgressReporter, WARNING } from '../../core/progress.ts';
import type { Run } from '../../core/run/open-run.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import { checkReferenceRows } from '../../core/selection/reference-rows.ts';
import { readScorer, type ScorerRecord } from '../../core/selection/scorer-record.ts';
import { selectionRequest, selectRows } from '../../core/selection/select.ts';
import { absolute, DirectoryStore, hashObject, putJson, splitUri, storeOpener } from '../../core/storage/index.ts';
import { inFlags, namingFlags } from '../naming-flags.ts';
import { refuseUnusedFlags, uses } from '../own-checkpoint/flags-of-methods.ts';
import { importCheckpoint, readCheckpoint } from '../own-checkpoint/given-checkpoint.ts';
import { requireFiles } from '../own-checkpoint/outputs.ts';
import { costLine, planLine, planSelection, STAGE, selectionCost } from '../own-checkpoint/plan.ts';
import { readReference, referenceLine } from '../own-checkpoint/reference.ts';
import { report, type Selection, sizes, writeResults } from '../own-checkpoint/results.ts';
import { FIELD_FLAGS, type Options, outputsOf, SETTING_FLAGS, settingsOf } from '../own-checkpoint/settings.ts';
import { checkWorkFolder, claimWorkFolder, type WorkRecord } from '../own-checkpoint/work-folder.ts';
import type { ProgressView } from '../progress-view.ts';
import { lockPath } from '../run-lock.ts';
import { withProgress } from '../with-progress.ts';

/**
 * `mates select`: the best part of a prepared corpus for the user's own checkpoint. The steps are those of one stage of
 * a run, up to the selection, over the whole corpus. Their files stay in `--work`, from which the same command resumes.
 *
 * @param given names of the options that were given rather than left at their defaults.
 */
export function select(options: Options, given: readonly string[]): Promise<void> {
  refuseUnusedFlags(options, given, SETTING_FLAGS);
  return namingFlags(FIELD_FLAGS, () => selectBest(options));
}

async function selectBest(options: Options): Promise<void> {
  const settings = settingsOf(options);
  await requireFiles(outputsOf(options));
  const open = storeOpener();
  const corpus = await openCorpus(open(absolute(options.corpus)));
  const plan = planSelection(settings, corpus.index);
  const reference = await readReference(open, options, settings, corpus);
  const checkpoint = await readCheckpoint(open, options, settings, corpus);
  const selection: Selection = { open, options, settings, corpus, plan, reference, checkpoint };
  const { config } = checkpoint;
  const cost = selectionCost(config, corpus.index, plan, reference.passages);
  if (probesByLookahead(config)) requireGuard(reference.passages.length);
  const readsReference = uses(settings.method, 'passages', settings.classifierWeight);
  const lines = [
    planLine(options.corpus, corpus.index, plan),
    readsReference
      ? referenceLine(reference, options.reference, corpus.index.sequenceLength)
      : `${options.reference}: not used, as --method ${settings.method} asks the checkpoint alone.`,
    costLine(cost),
  ];
  const compare = await comparisonWith(corpus, config.seed);
  const fewRows = checkReferenceRows(config, reference.passages, corpus.index.sequenceLength);
  const warnings = [
    ...checkpoint.warnings,
    ...fewRows.map((warning) => inFlags(warning, FIELD_FLAGS)),
    ...(readsReference
      ? [
          ...exclusionWarnings('--reference', options.reference, reference.hashes, corpus.index),
          ...passageWarnings(options.reference, compare(reference.passages)),
        ]
      : []),
  ];
  if (options.dryRun) {
    await checkWorkFolder(selection.open(absolute(options.work)), options.work, await workRecord(selection));
    for (const line of [...lines, ...warnings.map((warning) => `${WARNING}${warning}`)]) console.log(line);
    if (options.json) console.log(JSON.stringify({ ...sizes(selection), operations: cost }));
    return;
  }
  await openRuntime(config); // reports a missing GPU
  const unlock = await lockPath(options.work, 'name another --work');
  try {
    await selectInto(selection, { lines, warnings });
  } finally {
    await unlock();
  }
}

/** @param notes what the selection is made from, and warnings, in sentences. */
async function selectInto(selection: Selection, notes: { lines: string[]; warnings: string[] }): Promise<void> {
  const { settings, corpus, checkpoint, plan } = selection;
  const run = await openWork(selection);
  await putJson(run.store, stageLayout(STAGE).plan, plan);
  const results = await withProgress(async (view, signal) => {
    for (const line of notes.lines) view.heading(line);
    for (const warning of notes.warnings) view.notice(`${WARNING}${warning}`);
    await scoreCorpus(run, plan, view, signal);
    // The scores may be from an earlier call of another method, with noise or without.
    const scored = await readScorer(run.store, plan);
    const scorer: ScorerRecord = { ...scored, method: settings.method };
    if (scored.method !== scorer.method) await putJson(run.store, stageLayout(STAGE).scorer, scorer); // for mates replay
    const request = selectionRequest(run.store, corpus, checkpoint.config, plan, 'main', scorer);
    const summary = await selectRows({ ...request, inMemory: true });
    const progress: ProgressReporter = (progress) => view.update('write', progress);
    return { summary, documents: await writeResults(selection, run, { signal, progress }) };
  });
  await report(selection, run, results);
}

/** Checks everything that can be refused, then claims the folder for this selection and writes the checkpoint there. */
async function openWork(selection: Selection): Promise<Run> {
  const { open, options, corpus, checkpoint } = selection;
  const { model, config } = checkpoint;
  const store = open(absolute(options.work));
  const work = await workRecord(selection);
  await claimWorkFolder(store, options.work, work);
  if (store instanceof DirectoryStore) await store.removePartial(); // left by a killed process; they may be gigabytes
  // Always rewritten, because the same files may have moved.
  const { versions } = work;
  const record: RunRecord = { format: 'mates-run/1', id: 'select', config, corpus: absolute(options.corpus), versions };
  await putJson(store, RUN_FILE, record);
  const run = { store, record, open };
  await importCheckpoint(run, corpus, model);
  return run;
}

/** What the labels and scores depend on. */
async function workRecord({ open, options, settings, corpus, checkpoint }: Selection): Promise<WorkRecord> {
  const { folder, name } = splitUri(absolute(options.reference));
  return {
    format: 'mates-select/1',
    corpus: sha256(await corpus.store.get(CORPUS_FILE)),
    checkpoint: checkpoint.hashes,
    reference: (await hashObject(open(folder), name)).sha256,
    settings,
    versions: softwareVersions(),
  };
}

/** The jobs of a scored stage, one after the other in this process; each skips what already exists. */
async function scoreCorpus(run: Run, plan: StagePlan, view: ProgressView, signal: AbortSignal): Promise<void> {
  const warn = (warning: string) => view.notice(inFlags(`${WARNING}${warning}`, FIELD_FLAGS));
  const job = (progress: ProgressReporter, item?: unknown): Job => ({
    run,
    stage: STAGE,
    arm: 'main',
    item,
    signal,
    progress,
    warn,
  });
  const show: ProgressReporter = (progress) => view.update(progress.step, progress);
  if (plan.preparesProbe) await (await import('../../containers/prepare-probe/index.ts')).run(job(show));
  const probe = await import('../../containers/probe/index.ts');
  for (const item of probeItems(plan)) await probe.run(job(show, item));
  await (await import('../../containers/fit-influence/index.ts')).run(job(show));
  const score = await import('../../containers/score/index.ts');
  for (const item of scoreItems(plan)) {
    // One progress line for all items: there are hundreds.
    const step = 'Score the corpus';
    const all: ProgressReporter = ({ done, unit }) =>
      view.update(step, { step, done: item.begin + done, total: plan.poolRows, unit });
    await score.run(job(all, item));
  }
}
