import { afterEach, beforeEach } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import { CORPUS_FOLDER } from '../../core/layout.ts';
import { createRun } from '../../core/run/create-run.ts';
import { putJson, storeOpener } from '../../core/storage/index.ts';
import { handler as planStage } from '../../functions/plan-stage/index.ts';
import { corpusOf, temporaryFolder } from '../support.ts';

/** Gives each test a lake of its own, in a directory; `lake.path` is where. */
export function temporaryLake(): { path: string } {
  const lake = { path: '' };
  beforeEach(async () => {
    lake.path = await temporaryFolder();
    process.env.MATES_LAKE_DIRECTORY = lake.path;
  });
  afterEach(() => {
    delete process.env.MATES_LAKE_DIRECTORY;
  });
  return lake;
}

/** A small run of three stages. */
export const stagesConfig = (change: Record<string, unknown> = {}) =>
  parseConfig(
    {
      corpus: { input: ['builtin:corpus/logs.jsonl.gz'] },
      reference: { input: 'builtin:corpus/reference.jsonl' },
      heldOut: { input: 'builtin:corpus/held-out.jsonl' },
      pretrain: { stages: 3, stepsPerStage: 10, batchRows: 2, microBatchRows: 2 },
      probe: { documents: 10, jobs: 3 },
      ...change,
    },
    'test',
  );

interface PlanOptions {
  config: ReturnType<typeof stagesConfig>;
  maxCostUsd?: number;
  trainer?: 'batch' | 'sagemaker';
  /** Of each of the corpus's 24 shards. */
  rows?: number;
}

/** What plan-stage answers for a stage of a run whose corpus is prepared, and the run's store. */
export async function planOn(
  lake: { path: string },
  stage: number,
  { config, maxCostUsd, trainer = 'batch', rows = 50 }: PlanOptions,
) {
  const uri = 's3://lake/runs/r';
  const store = storeOpener(lake.path)(uri);
  await createRun(store, 'r', config, {});
  await putJson(store, `${CORPUS_FOLDER}/corpus.json`, corpusOf(24, rows));
  const run = { id: 'r', uri, bucket: 'lake', prefix: 'runs/r', trainer, dryRun: false, maxCostUsd };
  return { answer: await planStage({ run, stage }), store };
}
