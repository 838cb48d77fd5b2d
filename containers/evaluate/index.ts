/**
 * Evaluates one arm's checkpoint on a decay branch: the learning rate is halved `decayHalvings` times over `decaySteps`,
 * then losses and zero-shot tasks are measured. The branch is thrown away; the trunk goes on from the undecayed checkpoint.
 */

import { InterruptedError } from '../../core/errors.ts';
import { meanScore, scoreTask } from '../../core/evaluation/index.ts';
import type { Evaluation } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { mean } from '../../core/metrics/index.ts';
import type { Progress } from '../../core/progress.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { putJson } from '../../core/storage/index.ts';
import { loadCheckpoint } from '../../engine/checkpoint.ts';
import { logLikelihoodsOf } from '../../engine/log-likelihood.ts';
import { PassageSet } from '../../engine/passage-set.ts';
import { rowLosses } from '../../engine/row-passes.ts';
import { trainDecayBranch } from '../decay-branch.ts';
import { holdOut } from '../hold-out.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { modelCost, openLanguageModel, passagesCost } from '../model.ts';
import { loadPassageSet, loadTasks } from '../passages.ts';
import { checkSelection } from './check-selection.ts';

export async function run(job: Job): Promise<void> {
  if ((await job.run.store.size(armLayout(job.stage, job.arm).evaluation)) !== undefined) return;
  await timed(job, `evaluate-${job.arm}`, () => evaluate(job));
}

async function evaluate(job: Job): Promise<Computed> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = armLayout(job.stage, job.arm);
  const plan = await readPlan(job.run, job.stage);
  const corpus = await openRunCorpus(job.run);
  const length = corpus.index.sequenceLength;
  const { decaySteps } = config.pretrain;
  const label = job.arm === 'main' ? 'Evaluate' : `Evaluate (${job.arm})`;

  const model = await openLanguageModel(config, corpus.index);
  const checkpoint = await loadCheckpoint(store, layout.checkpoint);
  const { parameters } = checkpoint;
  const trunkStep = checkpoint.optimizer.step;
  const domains = [...(await holdOut(job.run, corpus, plan)).evaluation].sort(([a], [b]) => a - b);
  const total = decaySteps + domains.length + 2;
  const tell = (progress: Progress) => {
    if (job.signal.aborted) throw new InterruptedError(`${label} of stage ${job.stage} stopped; it starts over.`);
    job.progress(progress);
  };
  const report = (done: number, unit: string) => tell({ step: label, done, total, unit });

  await trainDecayBranch(job, { model, corpus, plan, arm: job.arm }, checkpoint, (t) => report(t, 'steps'));

  const cost = modelCost(config, corpus.index);
  let flops = 3 * cost(decaySteps * config.pretrain.batchRows, length);
  const passageLoss = async (from: typeof config.reference) => {
    const passages = await loadPassageSet(job.run, corpus, from);
    flops += passagesCost(cost, passages);
    return new PassageSet(model, passages).loss(parameters);
  };
  const referenceLoss = await passageLoss(config.reference);
  report(decaySteps + 1, 'losses');
  const heldOutLoss = await passageLoss(config.heldOut);
  report(decaySteps + 2, 'losses');

  const domainLoss: Evaluation['domainLoss'] = {};
  for (const [index, [domain, rows]] of domains.entries()) {
    const losses = await rowLosses(model, parameters, await corpus.tokenRows(rows), length);
    domainLoss[corpus.index.domains[domain]!.name] = { loss: mean(losses), rows: rows.length };
    flops += cost(rows.length, length);
    report(decaySteps + 3 + index, 'losses');
  }
  const tasks = await loadTasks(job.run, corpus);
  const requests = tasks.map((task) => task.requests);
  const likelihoods = await logLikelihoodsOf(model, parameters, requests, {
    onProgress: (done) => tell({ step: `${label}: tasks`, done, total: requests.flat().length, unit: 'requests' }),
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
    ...(plan.scored && job.arm === 'main' && { selection: await checkSelection(job, corpus, plan) }),
  };
  return { flops, finish: () => putJson(store, layout.evaluation, evaluation) };
}
