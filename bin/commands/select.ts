import { resolve } from 'node:path';
import type { Job } from '../../containers/job.ts';
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { type Corpus, openCorpus } from '../../core/corpus/corpus.ts';
import { ConfigError } from '../../core/errors.ts';
import type { InfluenceFit, StagePlan } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { planStage, probeItems, scoreItems } from '../../core/plan/stage-plan.ts';
import { createRun } from '../../core/run/create-run.ts';
import { openRun, type Run } from '../../core/run/open-run.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { selectionRequest, selectRows } from '../../core/selection/select.ts';
import { getJson, getJsonIfPresent, putJson, type Store, splitUri, storeOpener } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { hasCheckpoint, loadModel, saveCheckpoint } from '../../engine/checkpoint.ts';
import { stopSignal } from './interrupt.ts';
import { wholeNumber } from './prepare.ts';
import { createProgressView, type ProgressView } from './progress-view.ts';

interface Options {
  corpus: string;
  checkpoint: string;
  reference: string;
  fraction: string;
  out: string;
  work: string;
  passages: string;
  labels: string;
  learningRate: string;
  method: string;
  seed: string;
  json?: boolean;
}

/** The stage that scores; its checkpoint is that of the stage before. */
const STAGE = 1;

/**
 * `mates select`: the best part of a prepared corpus for a checkpoint of one's own. The steps are those of a stage of a
 * run, up to the selection, over the whole corpus; their files stay in `--work`, from which the same command resumes.
 */
export async function select(options: Options): Promise<void> {
  const open = storeOpener();
  const corpus = await openCorpus(open(resolve(options.corpus)));
  const checkpoint = open(resolve(options.checkpoint));
  const config = await configOf(options, corpus, checkpoint);
  const work = open(resolve(options.work));
  await createRun(work, 'select', config, softwareVersions());
  const run = await openRun(open, resolve(options.work));
  const view = createProgressView();
  const { signal, dispose } = stopSignal();
  try {
    await importCheckpoint(run, corpus, checkpoint);
    const plan = await writePlan(run, corpus);
    await scoreCorpus(run, plan, view, signal);
    const request = selectionRequest(run.store, corpus, config, plan, 'main', await readScorer(run.store, plan));
    await selectRows({ ...request, inMemory: true });
  } finally {
    view.close();
    dispose();
  }
  await report(run, options);
}

/** Checks the flags, and that corpus and checkpoint belong together. */
async function configOf(options: Options, { index }: Corpus, checkpoint: Store): Promise<RunConfig> {
  const { shape, contextLength } = await loadModel(checkpoint, '');
  const fraction = Number(options.fraction);
  if (!(fraction > 0 && fraction <= 1))
    throw new ConfigError(`--fraction ${options.fraction}: expected a share of the rows, above 0 and up to 1.`);
  if (index.sequenceLength > contextLength)
    throw new ConfigError(
      `${options.corpus}: rows of ${index.sequenceLength} tokens are longer than the ${contextLength} that the checkpoint reads; prepare it with a smaller --sequence-length.`,
    );
  if (index.tokenizer.vocabularySize > shape.vocabularySize)
    throw new ConfigError(
      `${options.corpus}: its tokenizer has ${index.tokenizer.vocabularySize} ids, the checkpoint ${shape.vocabularySize}; prepare it with the checkpoint's tokenizer.json.`,
    );
  const tokenizer = (await checkpoint.size('tokenizer.json')) && sha256(await checkpoint.get('tokenizer.json'));
  if (tokenizer && tokenizer !== index.tokenizer.sha256)
    throw new ConfigError(
      `${options.corpus}: it was prepared with another tokenizer than the checkpoint's; prepare it with --tokenizer ${options.checkpoint}/tokenizer.json.`,
    );
  if ((shape.mlpWidth ?? 4 * shape.width) !== 4 * shape.width)
    throw new ConfigError(`${options.checkpoint}: intermediate_size is not four times hidden_size; use another model.`);
  const { layers, width, heads, rotaryFraction, rotaryBase, layerNormEpsilon, initializerStd, parallelResidual } =
    shape;
  return parseConfig(
    {
      name: 'select',
      seed: wholeNumber('--seed', options.seed, 0),
      corpus: { prepared: resolve(options.corpus) },
      reference: { input: resolve(options.reference), passages: wholeNumber('--passages', options.passages, 2) },
      heldOut: { input: resolve(options.reference) },
      model: {
        ...{ layers, width, heads, rotaryFraction, rotaryBase, layerNormEpsilon, initializerStd, parallelResidual },
        vocabularyMultiple: shape.vocabularySize,
      },
      pretrain: { stages: 2, learningRate: Number(options.learningRate), warmupSteps: 0 },
      probe: { method: 'lookahead', documents: wholeNumber('--labels', options.labels, 20), jobs: 1 },
      influenceModel: { architecture: 'ngram', features: ['dsir', 'loss', 'hidden'], testFraction: 0.15 },
      scoring: { jobs: 1 },
      selection: { method: options.method, fraction },
      control: 'none',
    },
    'mates select',
  );
}

/** The checkpoint as that of a first stage, with an optimizer that has seen nothing yet. */
async function importCheckpoint({ store, record }: Run, { index }: Corpus, source: Store): Promise<void> {
  const { checkpoint } = armLayout(STAGE - 1, 'main');
  if (await hasCheckpoint(store, checkpoint)) return;
  const { shape, parameters, contextLength } = await loadModel(source, '');
  const optimizer = AdamW.beside(parameters.flat, record.config.pretrain);
  const state = { step: 0, tokens: 0 };
  await saveCheckpoint(store, checkpoint, {
    ...{ shape, parameters, optimizer, state, contextLength },
    endOfText: index.tokenizer.endOfText,
  });
}

/** Every row is a candidate; the rows that are probed are too, as nothing is trained here. */
async function writePlan({ store, record }: Run, { index }: Corpus): Promise<StagePlan> {
  const poolShards = index.shards.map((_, shard) => shard);
  const selectedRows = Math.floor(record.config.selection.fraction * index.rows);
  if (selectedRows === 0) throw new ConfigError('--fraction: it selects no row of this corpus; raise it.');
  const least = { ...record.config.pretrain, stepsPerStage: 1, batchRows: 1, microBatchRows: 1 };
  const plan = {
    ...planStage({ ...record.config, pretrain: least }, index, STAGE),
    ...{ poolShards, poolRows: index.rows, selectedRows, consumedRows: selectedRows },
  };
  await putJson(store, stageLayout(STAGE).plan, plan);
  return plan;
}

/** The jobs of a scored stage, one after the other in this process; each skips what is there. */
async function scoreCorpus(run: Run, plan: StagePlan, view: ProgressView, signal: AbortSignal): Promise<void> {
  const job = (item?: unknown): Job => ({
    ...{ run, stage: STAGE, arm: 'main', item, signal },
    progress: (progress) => view.update(progress.step, progress),
  });
  if (plan.preparesProbe) await (await import('../../containers/prepare-probe/index.ts')).run(job());
  const probe = await import('../../containers/probe/index.ts');
  for (const item of probeItems(plan)) await probe.run(job(item));
  await (await import('../../containers/fit-influence/index.ts')).run(job());
  const score = await import('../../containers/score/index.ts');
  for (const item of scoreItems(plan)) await score.run(job(item));
}

async function report(run: Run, options: Options): Promise<void> {
  const { folder, name } = splitUri(resolve(options.out));
  const files = armLayout(STAGE, 'main');
  await storeOpener()(folder).put(name, await run.store.get(files.selection));
  const { selectedRows, poolRows, poolDomains, selectedDomains } = await getJson<{
    selectedRows: number;
    poolRows: number;
    poolDomains: Record<string, number>;
    selectedDomains: Record<string, number>;
  }>(run.store, files.selectionSummary);
  const fit = await getJsonIfPresent<InfluenceFit>(run.store, stageLayout(STAGE).fit);
  console.log(`${options.out}: ${selectedRows} of ${poolRows} rows.`);
  if (fit)
    console.log(
      `The influence model's Spearman on held-out labels is ${fit.spearman.toFixed(2)} [${fit.spearmanInterval.map((side) => side.toFixed(2)).join(', ')}].`,
    );
  for (const [domain, rows] of Object.entries(poolDomains)) {
    const share = (selectedDomains[domain] ?? 0) / rows;
    console.log(`  ${domain}: ${(100 * share).toFixed(1)} % of its ${rows} rows`);
  }
  if (options.json)
    console.log(
      JSON.stringify({ out: resolve(options.out), selectedRows, poolRows, selectedDomains, poolDomains, fit }),
    );
}
