/** The influence model of a stage, whatever its architecture: fitted, saved and loaded. */
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { StagePlan } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { loadInfluenceModel } from '../../engine/bert-checkpoint.ts';
import type { Job } from '../job.ts';
import { BertPredictor, fitBert } from './bert.ts';
import { openEncoder } from './encoder.ts';
import type { Architecture, FitSets, InfluencePredictor, LabelScale } from './predictor.ts';

/** Fits the configured architecture to labelled rows. */
export async function fitArchitecture(
  job: Job,
  corpus: Corpus,
  sets: FitSets,
  scale: LabelScale,
): Promise<Architecture> {
  const { influenceModel: config, seed } = job.run.record.config;
  const encoder = await openEncoder(job.run, corpus);
  const previous = stageLayout(job.stage - 1).influenceModel;
  const start =
    config.warmStart && job.stage > 1
      ? (await loadInfluenceModel(job.run.store, previous, encoder.regressor.specs)).parameters
      : await encoder.initial(seed + job.stage);
  return fitBert(job, encoder, start, sets, scale);
}

/** The influence model that a stage scores with. */
export function loadPredictor(job: Job, corpus: Corpus, plan: StagePlan): Promise<InfluencePredictor> {
  return loadPredictorOf(job, corpus, plan.scorerStage, job.run.record.config.scoring.batchDocuments);
}

/** The influence model that was fitted before a stage. */
export async function loadPredictorOf(
  job: Job,
  corpus: Corpus,
  stage: number,
  batchDocuments: number,
): Promise<InfluencePredictor> {
  const encoder = await openEncoder(job.run, corpus);
  const { parameters } = await loadInfluenceModel(
    job.run.store,
    stageLayout(stage).influenceModel,
    encoder.regressor.specs,
  );
  return new BertPredictor(encoder, parameters, batchDocuments);
}
