import type { Corpus } from '../../core/corpus/corpus.ts';
import { InputError } from '../../core/errors.ts';
import type { Arm, SelectionSummary, StagePlan } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import { getRecord, hashObject, splitUri } from '../../core/storage/index.ts';
import type { Job } from '../job.ts';
import { referenceRows } from '../passages.ts';

/**
 * Gives the tokens of a step's batch, [batchRows x length]; steps count from 0 in the stage. A pure function of the
 * step.
 */
export type TrainingRows = (step: number) => Promise<Int32Array>;

/** The stage's selection in its seeded order; for `train-on-reference`, a share of each batch is reference passages. */
export async function openTrainingRows(
  job: Job,
  corpus: Corpus,
  plan: StagePlan,
  arm: Arm = job.arm,
): Promise<TrainingRows> {
  const { config } = job.run.record;
  const { batchRows } = config.pretrain;
  const selected = await selectedRows(job, plan.stage, arm);
  const order = trainingOrder(selected, plan.consumedRows, config.seed, plan.stage);
  const rows: TrainingRows = (step) => corpus.tokenRows(order.slice(step * batchRows, (step + 1) * batchRows));
  const { method, referenceShare } = config.selection;
  if (method !== 'train-on-reference' || plan.stage === 0 || arm !== 'main') return rows;

  const length = corpus.index.sequenceLength;
  const references = await referenceRows(job.run, corpus);
  const count = references.length / length;
  const replaced = Math.max(1, Math.round(referenceShare * batchRows));
  const shuffled = permutation(count, new CounterRandom(config.seed, STREAM.referenceRows, plan.stage));
  return async (step) => {
    const tokens = await rows(step);
    for (let i = 0; i < replaced; i++) {
      const row = shuffled[(step * replaced + i) % count]!;
      tokens.set(references.subarray(row * length, (row + 1) * length), i * length);
    }
    return tokens;
  };
}

/** @throws InputError when the file is not the one that was selected. */
async function selectedRows({ run: { store } }: Job, stage: number, arm: Arm): Promise<number[]> {
  const { selection: key, selectionSummary } = armLayout(stage, arm);
  const { file } = await getRecord<SelectionSummary>(
    store,
    selectionSummary,
    'mates-selection/1',
    'no rows were selected',
  );
  if ((await hashObject(store, key)).sha256 !== file.sha256)
    throw new InputError(
      `${store.uri}/${key} is not the file that ${splitUri(selectionSummary).name} describes (its sha256 differs): it was changed or damaged. ` +
        'Delete both, and give the same command again.',
    );
  const { row } = await readParquet({ store, key }, { row: 'INT64' });
  return row;
}

/** Steps of a stage, for reading ahead: while one batch is trained on, the next is being read. */
export function* stepsFrom(first: number, end: number): Generator<number> {
  for (let step = first; step < end; step++) yield step;
}
