import type { Job } from '../../containers/job.ts';
import { openRuntime } from '../../containers/model.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { CORPUS_FILE, type Corpus, openCorpus } from '../../core/corpus/corpus.ts';
import { comparisonWith, exclusionWarnings, passageWarnings } from '../../core/diagnostics/passages.ts';
import { ConfigError } from '../../core/errors.ts';
import type { InfluenceFit, RunRecord, SelectionSummary, StagePlan } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { armLayout, RUN_FILE, stageLayout } from '../../core/layout.ts';
import { probeItems, scoreItems } from '../../core/plan/stage-plan.ts';
import { type ProgressReporter, WARNING } from '../../core/progress.ts';
import type { Run } from '../../core/run/open-run.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { readUtilities } from '../../core/selection/scores.ts';
import { selectionRequest, selectRows } from '../../core/selection/select.ts';
import {
  copyObject,
  getJsonIfPresent,
  hashObject,
  putJson,
  type Store,
  type StoreOpener,
  splitUri,
  storeOpener,
} from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { hasCheckpoint, loadModel, type Model, saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { CONFIG_FILE } from '../../engine/files/hugging-face.ts';
import { stopSignal } from '../interrupt.ts';
import { inFlags, namingFlags } from '../naming-flags.ts';
import { cutDocuments, type DocumentCut, documentLines, documentScores } from '../own-checkpoint/documents.ts';
import { requireFiles } from '../own-checkpoint/outputs.ts';
import { costLine, planLine, planSelection, STAGE, selectionCost } from '../own-checkpoint/plan.ts';
import { type Reference, readReference, referenceLine } from '../own-checkpoint/reference.ts';
import { rowTexts } from '../own-checkpoint/row-texts.ts';
import {
  configOf,
  FIELD_FLAGS,
  type Options,
  outputsOf,
  type Settings,
  settingsOf,
} from '../own-checkpoint/settings.ts';
import { claimWorkFolder, DOCUMENTS_FILE } from '../own-checkpoint/work-folder.ts';
import { absolute } from '../paths.ts';
import { createProgressView, type ProgressView } from '../progress-view.ts';
import { lockPath } from '../run-lock.ts';

/**
 * `mates select`: the best part of a prepared corpus for a checkpoint of one's own. The steps are those of a stage of a
 * run, up to the selection, over the whole corpus; their files stay in `--work`, from which the same command resumes.
 */
export function select(options: Options): Promise<void> {
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
  const { config } = checkpoint;
  const cost = selectionCost(config, corpus.index, plan, reference.passages);
  const lines = [
    planLine(options.corpus, corpus.index, plan),
    referenceLine(reference, options.reference, corpus.index.sequenceLength),
    costLine(cost),
  ];
  const compare = await comparisonWith(corpus, config.seed);
  const warnings = [
    ...checkpoint.warnings,
    ...exclusionWarnings('--reference', options.reference, reference.hashes, corpus.index),
    ...passageWarnings(options.reference, compare(reference.passages)),
  ];
  if (options.dryRun) {
    for (const line of [...lines, ...warnings.map((warning) => `${WARNING}${warning}`)]) console.log(line);
    if (options.json) console.log(JSON.stringify({ ...sizes(corpus, plan, reference), operations: cost }));
    return;
  }
  await openRuntime(config); // says where a GPU is missing
  const unlock = await lockPath(options.work, 'name another --work');
  try {
    await selectInto(open, options, settings, { corpus, checkpoint, plan, reference, lines, warnings });
  } finally {
    await unlock();
  }
}

/** What a selection is made of, as far as it was read and may be refused no more. */
interface Prepared {
  corpus: Corpus;
  checkpoint: GivenCheckpoint;
  plan: StagePlan;
  reference: Reference;
  /** What it is, and what a user should know, in sentences. */
  lines: string[];
  warnings: string[];
}

async function selectInto(
  open: StoreOpener,
  options: Options,
  settings: Settings,
  { corpus, checkpoint, plan, reference, lines, warnings }: Prepared,
): Promise<void> {
  const run = await openWork(open, options, settings, corpus, checkpoint);
  await putJson(run.store, stageLayout(STAGE).plan, plan);
  const view = createProgressView();
  const { signal, dispose } = stopSignal();
  let summary: SelectionSummary;
  let documents: DocumentCut | undefined;
  try {
    for (const line of lines) view.heading(line);
    for (const warning of warnings) view.notice(`${WARNING}${warning}`);
    await scoreCorpus(run, plan, view, signal);
    // The scores may be there from a call with noise, or from one without.
    const scorer = { ...(await readScorer(run.store, plan)), method: settings.method };
    const request = selectionRequest(run.store, corpus, checkpoint.config, plan, 'main', scorer);
    summary = await selectRows({ ...request, inMemory: true });
    const progress: ProgressReporter = (progress) => view.update('write', progress);
    await writeResults(open, options, run, corpus, signal, progress);
    documents = await writeDocuments(open, options, run, corpus, plan, signal, progress);
  } finally {
    view.close();
    dispose();
  }
  await report(run, options, summary, sizes(corpus, plan, reference), documents);
}

/** What `--json` says of the parts of a selection. */
const sizes = ({ index }: Corpus, plan: StagePlan, { passages, found, cut }: Reference) => ({
  ...{ poolRows: plan.poolRows, poolDocuments: index.documents, selectedRows: plan.selectedRows, labels: plan.probes },
  reference: { passages: passages.length, found, cut },
});

interface GivenCheckpoint {
  model: Model;
  /** SHA-256 of its files. */
  hashes: Record<string, string>;
  config: RunConfig;
  /** What a user should know of it, in sentences. */
  warnings: string[];
}

/** The checkpoint, which belongs to the corpus. */
async function readCheckpoint(
  open: StoreOpener,
  options: Options,
  settings: Settings,
  corpus: Corpus,
): Promise<GivenCheckpoint> {
  const source = open(absolute(options.checkpoint));
  const warnings = await requireTokenizer(source, options, corpus);
  const hashes: Record<string, string> = {};
  const model = await loadModel(source, '', (file, hash) => {
    hashes[file] = hash;
  });
  hashes[CONFIG_FILE] = sha256(await source.get(CONFIG_FILE));
  return { model, hashes, warnings, config: configOf(options, settings, corpus.index, model) };
}

/** Checks everything that can be refused, and only then makes the folder that of this selection, with its checkpoint. */
async function openWork(
  open: StoreOpener,
  options: Options,
  settings: Settings,
  corpus: Corpus,
  { model, hashes, config }: GivenCheckpoint,
): Promise<Run> {
  const { folder, name } = splitUri(absolute(options.reference));
  const versions = softwareVersions();
  const store = open(absolute(options.work));
  await claimWorkFolder(store, options.work, {
    format: 'mates-select/1',
    corpus: sha256(await corpus.store.get(CORPUS_FILE)),
    checkpoint: hashes,
    reference: (await hashObject(open(folder), name)).sha256,
    settings,
    versions,
  });
  // Written anew: the same files may have moved.
  const record: RunRecord = { format: 'mates-run/1', id: 'select', config, corpus: absolute(options.corpus), versions };
  await putJson(store, RUN_FILE, record);
  const run = { store, record, open };
  await importCheckpoint(run, corpus, model);
  return run;
}

/** @returns what a user should know where the checkpoint has no tokenizer to compare with. */
async function requireTokenizer(checkpoint: Store, options: Options, { index }: Corpus): Promise<string[]> {
  const has = (await checkpoint.size('tokenizer.json')) !== undefined;
  if (!has)
    return [
      `${options.checkpoint} has no tokenizer.json, so nothing shows that the corpus was prepared with its tokenizer, without which all of this ` +
        'is chance: save it there (in Transformers, tokenizer.save_pretrained).',
    ];
  if (sha256(await checkpoint.get('tokenizer.json')) === index.tokenizer.sha256) return [];
  throw new ConfigError(
    `${options.corpus}: it was prepared with another tokenizer than the checkpoint's; prepare it with --tokenizer ${options.checkpoint}/tokenizer.json.`,
  );
}

/** The checkpoint as that of a first stage, with an optimizer that has seen nothing yet. */
async function importCheckpoint({ store, record }: Run, { index }: Corpus, model: Model): Promise<void> {
  const { checkpoint } = armLayout(STAGE - 1, 'main');
  if (await hasCheckpoint(store, checkpoint)) return;
  const { shape, parameters, contextLength } = model;
  const optimizer = AdamW.beside(parameters.flat, record.config.pretrain);
  const state = { step: 0, tokens: 0 };
  await saveCheckpoint(store, checkpoint, {
    ...{ shape, parameters, optimizer, state, contextLength },
    endOfText: index.tokenizer.endOfText,
  });
}

/** The jobs of a scored stage, one after the other in this process; each skips what is there. */
async function scoreCorpus(run: Run, plan: StagePlan, view: ProgressView, signal: AbortSignal): Promise<void> {
  const warn = (warning: string) => view.notice(inFlags(`${WARNING}${warning}`, FIELD_FLAGS));
  const job = (progress: ProgressReporter, item?: unknown): Job => ({
    ...{ run, stage: STAGE, arm: 'main', item, signal, progress, warn },
  });
  const show: ProgressReporter = (progress) => view.update(progress.step, progress);
  if (plan.preparesProbe) await (await import('../../containers/prepare-probe/index.ts')).run(job(show));
  const probe = await import('../../containers/probe/index.ts');
  for (const item of probeItems(plan)) await probe.run(job(show, item));
  await (await import('../../containers/fit-influence/index.ts')).run(job(show));
  const score = await import('../../containers/score/index.ts');
  for (const item of scoreItems(plan)) {
    // One line for all items, of which there are hundreds.
    const step = 'Score the corpus';
    const all: ProgressReporter = ({ done, unit }) =>
      view.update(step, { step, done: item.begin + done, total: plan.poolRows, unit });
    await score.run(job(all, item));
  }
}

/** Both files are made again by every call, from what the folder has. */
async function writeResults(
  open: StoreOpener,
  { out, text }: Options,
  { store }: Run,
  corpus: Corpus,
  signal: AbortSignal,
  progress: ProgressReporter,
): Promise<void> {
  const { selection } = armLayout(STAGE, 'main');
  const target = splitUri(absolute(out));
  await copyObject(store, selection, open(target.folder), target.name);
  if (text === undefined) return;
  const { folder, name } = splitUri(absolute(text));
  await open(folder).put(name, rowTexts(corpus, { store, key: selection }, signal, progress));
}

/** Nothing where it is not asked for. The scores of documents are made once, their cut by every call. */
async function writeDocuments(
  open: StoreOpener,
  { documents, fraction }: Options,
  { store }: Run,
  corpus: Corpus,
  plan: StagePlan,
  signal: AbortSignal,
  progress: ProgressReporter,
): Promise<DocumentCut | undefined> {
  if (documents === undefined) return undefined;
  if ((await store.size(DOCUMENTS_FILE)) === undefined) {
    const utilities = new Float32Array(plan.poolRows);
    for (const { index, begin } of scoreItems(plan))
      utilities.set(await readUtilities(store, stageLayout(STAGE).score(index)), begin);
    await store.put(DOCUMENTS_FILE, documentScores(corpus, plan.poolShards, utilities, signal, progress));
  }
  const scores = { store, key: DOCUMENTS_FILE };
  const cut = await cutDocuments(scores, fraction * plan.poolRows * corpus.index.sequenceLength);
  const { folder, name } = splitUri(absolute(documents));
  await open(folder).put(name, documentLines(scores, cut));
  return cut;
}

async function report(
  { store }: Run,
  { out, text, documents, json }: Options,
  summary: SelectionSummary,
  parts: ReturnType<typeof sizes>,
  cut: DocumentCut | undefined,
): Promise<void> {
  const { selectedRows, poolRows, poolDomains, selectedDomains } = summary;
  const fit = await getJsonIfPresent<InfluenceFit>(store, stageLayout(STAGE).fit);
  console.log(`${out}: ${selectedRows} of ${poolRows} rows.`);
  if (text !== undefined) console.log(`${text}: their texts and documents.`);
  if (cut)
    console.log(
      `${documents}: ${cut.documents} of ${cut.poolDocuments} documents selected, which have ${cut.tokens} tokens.`,
    );
  if (fit)
    console.log(
      `The influence model's Spearman on held-out labels is ${fit.spearman.toFixed(2)} [${fit.spearmanInterval.map((side) => side.toFixed(2)).join(', ')}]` +
        (fit.weak === undefined ? '.' : ', which is weak: raise --labels, or lower --learning-rate.'),
    );
  for (const [domain, rows] of Object.entries(poolDomains)) {
    const share = (selectedDomains[domain] ?? 0) / rows;
    console.log(`  ${domain}: ${(100 * share).toFixed(1)} % of its ${rows} rows`);
  }
  if (json)
    console.log(
      JSON.stringify({
        ...{ out: absolute(out), text: text && absolute(text), documents: documents && absolute(documents) },
        ...parts,
        ...{ selectedDomains, poolDomains, fit, selectedDocuments: cut?.documents },
      }),
    );
}
