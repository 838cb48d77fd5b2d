/**
 * Evaluates one arm's checkpoint on a decay branch: the learning rate is halved `decayHalvings` times over `decaySteps`,
 * then losses and zero-shot tasks are measured. The branch is thrown away; the trunk goes on from the undecayed checkpoint.
 */

import { InterruptedError } from '../../core/errors.ts';
import { meanScore, scoreTask } from '../../core/evaluation/index.ts';
import type { Evaluation } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { decayLearningRate, trunkLearningRate } from '../../core/schedule.ts';
import { putJson } from '../../core/storage/index.ts';
import { loadCheckpoint } from '../../engine/checkpoint.ts';
import { logLikelihoodsOf } from '../../engine/log-likelihood.ts';
import { PassageSet, rowLosses } from '../../engine/passage-set.ts';
import { Trainer } from '../../engine/trainer.ts';
import { holdOut } from '../hold-out.ts';
import { type Job, timed } from '../job.ts';
import { openLanguageModel } from '../model.ts';
import { loadPassageSet, loadTasks } from '../passages.ts';

export async function run(job: Job): Promise<void> {
  if ((await job.run.store.size(armLayout(job.stage, job.arm).evaluation)) !== undefined) return;
  await timed(job, `evaluate-${job.arm}`, () => evaluate(job));
}

async function evaluate(job: Job): Promise<void> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = armLayout(job.stage, job.arm);
  const plan = await readPlan(job.run, job.stage);
  const corpus = await openRunCorpus(job.run);
  const length = corpus.index.sequenceLength;
  const { batchRows, decaySteps } = config.pretrain;
  const label = job.arm === 'main' ? 'Evaluate' : `Evaluate (${job.arm})`;

  const model = await openLanguageModel(config, corpus.index);
  const { parameters, optimizer } = await loadCheckpoint(store, layout.checkpoint);
  const trunkStep = optimizer.step;
  // The branch runs over the rows that the stage trained on last: it takes nothing from a later stage's pool.
  const { row: selected } = await readParquet({ store, key: layout.selection }, { row: 'INT64' });
  const consumed = trainingOrder(selected, plan.consumedRows, config.seed, job.stage);
  const branch = consumed.slice(-Math.min(decaySteps, plan.steps) * batchRows);
  // A trunk that is still warming up decays from where it is.
  const warm = trunkLearningRate(config.pretrain, trunkStep) / config.pretrain.learningRate;
  const trainer = new Trainer(model, config.pretrain, parameters, optimizer);
  const domains = [...(await holdOut(job.run, corpus, plan)).evaluation].sort(([a], [b]) => a - b);
  const total = decaySteps + domains.length + 2;
  const report = (done: number, unit: string) => job.progress({ step: label, done, total, unit });

  const stopIfAsked = () => {
    if (job.signal.aborted) throw new InterruptedError(`${label} of stage ${job.stage} stopped; it starts over.`);
  };

  for (let t = 0; t < decaySteps; t++) {
    stopIfAsked();
    const rows = Array.from({ length: batchRows }, (_, i) => branch[(t * batchRows + i) % branch.length]!);
    await trainer.step(await corpus.tokenRows(rows), length, warm * decayLearningRate(config.pretrain, t + 1));
    report(t + 1, 'steps');
  }

  const passageLoss = async (from: typeof config.reference) =>
    new PassageSet(model, await loadPassageSet(job.run, corpus, from)).loss(parameters);
  const referenceLoss = await passageLoss(config.reference);
  report(decaySteps + 1, 'losses');
  const heldOutLoss = await passageLoss(config.heldOut);
  report(decaySteps + 2, 'losses');

  const domainLoss: Evaluation['domainLoss'] = {};
  for (const [index, [domain, rows]] of domains.entries()) {
    const losses = await rowLosses(model, parameters, await corpus.tokenRows(rows), length);
    domainLoss[corpus.index.domains[domain]!.name] = { loss: mean(losses), rows: rows.length };
    report(decaySteps + 3 + index, 'losses');
  }
  const tasks = await loadTasks(job.run, corpus);
  const requests = tasks.map((task) => task.requests);
  const likelihoods = await logLikelihoodsOf(model, parameters, requests, {
    onProgress: (done) => {
      stopIfAsked();
      job.progress({ step: `${label}: tasks`, done, total: requests.flat().length, unit: 'requests' });
    },
  });
  const scores = tasks.map((task, i) => scoreTask(task, likelihoods[i]!));
  const evaluation: Evaluation = {
    format: 'mates-evaluation/1',
    step: trunkStep,
    decaySteps,
    referenceLoss,
    heldOutLoss,
    mixedDomainLoss: mean(Object.values(domainLoss).map(({ loss }) => loss)),
    domainLoss,
    ...(scores.length > 0 && { tasks: scores, taskMean: meanScore(scores) }),
  };
  await putJson(store, layout.evaluation, evaluation);
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}
