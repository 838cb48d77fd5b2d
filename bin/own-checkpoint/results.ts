/** The results of a selection: rows, their texts, documents, and what is printed about them. */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { MIXED_DOMAIN } from '../../core/corpus/packing/pack.ts';
import { weaknessOf } from '../../core/diagnostics/weakness.ts';
import type { InfluenceFit, SelectionSummary, StagePlan } from '../../core/formats.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { scoreItems } from '../../core/plan/stage-plan.ts';
import { counted, plural } from '../../core/plural.ts';
import { type ProgressReporter, WARNING } from '../../core/progress.ts';
import type { Run } from '../../core/run/open-run.ts';
import { readUtilities } from '../../core/selection/scores.ts';
import {
  absolute,
  copyObject,
  DirectoryStore,
  getJsonIfPresent,
  type StoreOpener,
  splitUri,
} from '../../core/storage/index.ts';
import { inFlags } from '../naming-flags.ts';
import { cutDocuments, type DocumentCut, documentLines, documentScores } from './documents.ts';
import type { GivenCheckpoint } from './given-checkpoint.ts';
import { STAGE } from './plan.ts';
import type { Reference } from './reference.ts';
import { rowTexts } from './row-texts.ts';
import { FIELD_FLAGS, type Options, type Settings } from './settings.ts';
import { DOCUMENTS_FILE } from './work-folder.ts';

/** What rows are selected by and from, all read and checked: from here on nothing is refused. */
export interface Selection {
  open: StoreOpener;
  options: Options;
  settings: Settings;
  corpus: Corpus;
  checkpoint: GivenCheckpoint;
  plan: StagePlan;
  reference: Reference;
}

export interface Results {
  summary: SelectionSummary;
  /** Absent if documents were not asked for. */
  documents?: DocumentCut;
}

/** How to report the progress of writing, and when to stop it. */
interface Writing {
  signal: AbortSignal;
  progress: ProgressReporter;
}

/** Every call writes all files anew, from what is in the work folder, and removes what a killed one has left of them. */
export async function writeResults(selection: Selection, run: Run, writing: Writing): Promise<DocumentCut | undefined> {
  const { open, options, corpus } = selection;
  for (const path of [options.out, options.text, options.documents]) {
    if (path === undefined) continue;
    const { folder, name } = splitUri(absolute(path));
    const store = open(folder);
    if (store instanceof DirectoryStore) await store.removePartialOf(name);
  }
  const source = { store: run.store, key: armLayout(STAGE, 'main').selection };
  const target = splitUri(absolute(options.out));
  await copyObject(source.store, source.key, open(target.folder), target.name);
  if (options.text !== undefined) {
    const { folder, name } = splitUri(absolute(options.text));
    await open(folder).put(name, rowTexts(corpus, source, writing.signal, writing.progress));
  }
  return options.documents === undefined ? undefined : writeDocuments(selection, options.documents, run, writing);
}

/** The scores of documents are made once; the cut is made anew by every call. */
async function writeDocuments(
  { open, options, corpus, plan }: Selection,
  path: string,
  { store }: Run,
  { signal, progress }: Writing,
): Promise<DocumentCut> {
  if ((await store.size(DOCUMENTS_FILE)) === undefined) {
    const utilities = new Float32Array(plan.poolRows);
    for (const { index, begin } of scoreItems(plan))
      utilities.set(await readUtilities(store, stageLayout(STAGE).score(index)), begin);
    await store.put(DOCUMENTS_FILE, documentScores(corpus, plan.poolShards, utilities, signal, progress));
  }
  const scores = { store, key: DOCUMENTS_FILE };
  const cut = await cutDocuments(scores, options.fraction * plan.poolRows * corpus.index.sequenceLength);
  const { folder, name } = splitUri(absolute(path));
  await open(folder).put(name, documentLines(scores, cut));
  return cut;
}

/** What `--json` says about the parts of a selection. */
export const sizes = ({ corpus: { index }, plan, reference: { passages, found, cut } }: Selection) => ({
  poolRows: plan.poolRows,
  poolDocuments: index.documents,
  selectedRows: plan.selectedRows,
  labels: plan.probes,
  reference: { passages: passages.length, found, cut },
});

/** How much of each domain is selected. */
export const domainLines = ({ poolDomains, selectedDomains }: SelectionSummary): string[] =>
  Object.entries(poolDomains).map(([domain, rows]) => {
    const share = (selectedDomains[domain] ?? 0) / rows;
    const joined =
      domain === MIXED_DOMAIN ? ` (${plural(rows, 'it joins', 'they join')} documents of several domains)` : '';
    return `  ${domain}: ${(100 * share).toFixed(1)} % of its ${counted(rows, 'row')}${joined}`;
  });

export async function report(selection: Selection, run: Run, { summary, documents: cut }: Results): Promise<void> {
  const { out, text, documents, json } = selection.options;
  const { selectedRows, poolRows, poolDomains, selectedDomains } = summary;
  const fit = await getJsonIfPresent<InfluenceFit>(run.store, stageLayout(STAGE).fit);
  console.log(`${out}: ${selectedRows} of ${counted(poolRows, 'row')}.`);
  if (text !== undefined) console.log(`${text}: their texts and documents.`);
  if (cut)
    console.log(
      `${documents}: ${cut.documents} of ${counted(cut.poolDocuments, 'document')} selected, of ${cut.tokens} tokens.`,
    );
  if (cut && cut.sharingIds > 0)
    console.log(
      `${WARNING}${counted(cut.sharingIds, 'document has', 'documents have')} an id that another has too: they are mixed up in ${documents}, where those in one ` +
        'shard share a line. Prepare the corpus with --id-field, naming a field of unique ids, or make the ids unique.',
    );
  if (fit) {
    const interval = fit.spearmanInterval.map((side) => side.toFixed(2)).join(', ');
    console.log(`The influence model's Spearman on held-out labels is ${fit.spearman.toFixed(2)} [${interval}].`);
  }
  if (fit?.weak !== undefined) {
    const { REMEDIES } = await import('../../containers/fit-influence/index.ts');
    const remedy = REMEDIES[fit.weakLabels ? 'labels' : 'model'];
    console.log(inFlags(`${WARNING}${weaknessOf(fit)}. ${remedy}`, FIELD_FLAGS));
  }
  for (const line of domainLines(summary)) console.log(line);
  if (json)
    console.log(
      JSON.stringify({
        out: absolute(out),
        text: text && absolute(text),
        documents: documents && absolute(documents),
        ...sizes(selection),
        selectedDomains,
        poolDomains,
        fit,
        selectedDocuments: cut?.documents,
      }),
    );
}
