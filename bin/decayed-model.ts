import { decayBranchEnd } from '../containers/decay-branch.ts';
import type { Job } from '../containers/job.ts';
import { openLanguageModel } from '../containers/model.ts';
import { PartialCheckpoints } from '../containers/partial-checkpoints.ts';
import type { Arm } from '../core/formats.ts';
import { PARTIAL_FOLDER } from '../core/layout.ts';
import { WARNING } from '../core/progress.ts';
import { openRunCorpus, type Run, readPlan } from '../core/run/open-run.ts';
import { OverlayStore, type Store } from '../core/storage/index.ts';
import { saveModel } from '../engine/files/checkpoint.ts';
import { withProgress } from './with-progress.ts';

/**
 * Trains a stage's decay branch once more, as its evaluation did (on a CPU, to the same bytes), and writes the
 * resulting model to `folder` of the scratch store. The run is only read. An interrupted call leaves files there, from
 * which the next one continues.
 */
export async function writeDecayedModel(
  run: Run,
  { stage, arm }: { stage: number; arm: Arm },
  scratch: Store,
  folder: string,
): Promise<void> {
  const { config } = run.record;
  const store = new OverlayStore(run.store, scratch);
  await withProgress(async (view, signal) => {
    const job: Job = {
      run: { ...run, store },
      stage,
      arm,
      item: undefined,
      signal,
      progress: (progress) => view.update('decay', progress),
      warn: (warning) => view.notice(`${WARNING}${warning}`),
    };
    const corpus = await openRunCorpus(run);
    const plan = await readPlan(run, stage);
    const model = await openLanguageModel(config, corpus.index);
    const partial = new PartialCheckpoints(store, `${folder}/${PARTIAL_FOLDER}`, config.pretrain);
    const total = config.pretrain.decaySteps;
    const branch = { model, corpus, plan, arm, partial };
    const { shape, parameters } = await decayBranchEnd(job, branch, (done) =>
      job.progress({ step: 'Decay branch', done, total, unit: 'steps' }),
    );
    const { sequenceLength: contextLength, tokenizer } = corpus.index;
    await saveModel(scratch, folder, { shape, parameters, contextLength, endOfText: tokenizer.endOfText });
    await partial.drop();
  });
}
