/** Features of a row other than its tokens, which an influence model may use. */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { armLayout } from '../../core/layout.ts';
import type { DenseBlock } from '../../core/regression/ridge.ts';
import { readPlan } from '../../core/run/open-run.ts';
import { type Feature, readsModel } from '../../core/selection/methods.ts';
import { fullPasses, ROWS_PER_PASS } from '../../engine/decoder/row-passes.ts';
import { loadModel } from '../../engine/files/checkpoint.ts';
import type { Job } from '../job.ts';
import { modelCost, openLanguageModel } from '../model.ts';
import { openDsir } from '../text-scores/dsir.ts';

/** Computes features of rows. */
export interface RowFeatures {
  /** The features, in the order of the configuration. A pure function of each row. */
  blocks(rows: readonly number[]): Promise<DenseBlock[]>;
  /** Operations for one row. */
  readonly cost: number;
}

/**
 * The configured features, computed with the checkpoint before a stage.
 *
 * @param stage the stage whose influence model uses them.
 */
export async function openFeatures(job: Job, corpus: Corpus, stage: number): Promise<RowFeatures> {
  const { config } = job.run.record;
  const { features } = config.influenceModel;
  const dsir = features.includes('dsir') ? await openDsir(job, corpus, await readPlan(job.run, stage)) : undefined;
  const reads = readsModel(features);
  const passes = reads ? await openForwardPasses(job, corpus, stage) : undefined;
  return {
    cost: reads ? modelCost(config, corpus.index)(1, corpus.index.sequenceLength) : 0,
    async blocks(rows) {
      const found = await passes?.(rows);
      const block: Record<Feature, () => Promise<DenseBlock>> = {
        dsir: async () => {
          const values = Float32Array.from(await dsir!(rows));
          return { name: 'dsir', columns: 1, values };
        },
        loss: async () => ({ name: 'loss', columns: 1, values: found!.losses }),
        hidden: async () => ({ name: 'hidden', columns: found!.width, values: found!.states }),
      };
      return Promise.all(features.map((name) => block[name]()));
    },
  };
}

/** Computes the mean loss, [rows], and the mean final hidden state, [rows x width], of rows. */
async function openForwardPasses(job: Job, corpus: Corpus, stage: number) {
  const model = await openLanguageModel(job.run.record.config, corpus.index);
  const { parameters } = await loadModel(job.run.store, armLayout(stage - 1, 'main').checkpoint);
  const length = corpus.index.sequenceLength;
  const { width } = model.shape;
  return async (rows: readonly number[]) => {
    const losses = new Float32Array(rows.length);
    const states = new Float32Array(rows.length * width);
    for (let first = 0; first < rows.length; first += ROWS_PER_PASS) {
      const part = rows.slice(first, first + ROWS_PER_PASS);
      const tokens = fullPasses(await corpus.tokenRows(part), length);
      const found = await model.rowFeatures(parameters, { tokens, batch: ROWS_PER_PASS, length });
      for (let i = 0; i < part.length; i++) {
        const row = found.subarray(i * (1 + width), (i + 1) * (1 + width));
        losses[first + i] = row[0]!;
        states.set(row.subarray(1), (first + i) * width);
      }
    }
    return { width, losses, states };
  };
}
