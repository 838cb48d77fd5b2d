/**
 * Evaluates one arm's checkpoint on a decay branch: the learning rate is halved `decayHalvings` times over `decaySteps`,
 * then losses and zero-shot tasks are measured. The branch is thrown away; the trunk continues from the undecayed
 * checkpoint.
 */

import { throwIfStopped } from '../../core/errors.ts';
import { meanScore, scoreTask } from '../../core/evaluation/index.ts';
import type { Evaluation } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { mean } from '../../core/metrics/index.ts';
import type { Progress } from '../../core/progress.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { putJson } from '../../core/storage/index.ts';
import { logLikelihoodsOf } from '../../engine/decoder/log-likelihood.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import { rowLosses } from '../../engine/decoder/row-passes.ts';
import { decayBranchEnd } from '../decay-branch.ts';
import { holdOut } from '../hold-out.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { modelCost, openLanguageModel, passagesLossCost } from '../model.ts';
import { PartialCheckpoints } from '../partial-checkpoints.ts';
import { loadPassageSet, loadTasks } from '../passages.ts';
import { checkSelection } from './check-selection.ts';

export async function run(job: Job): Promise<void> {
  const { store, record } = job.run;
  const { evaluation, partialBranch } = armLayout(job.stage, job.arm);
  const partial = new PartialCheckpoints(store, partialBranch, record.config.pretrain);
  // An earlier attempt that was killed after writing its result left the branch's checkpoints behind.
  if ((await store.size(evaluation)) !== undefined) return partial.drop();
  await timed(job, `evaluate-${job.arm}`, () => evaluate(job, partial));
}

async function evaluate(job: Job, partial: PartialCheckpoints): Promise<Computed> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = armLayout(job.stage, job.arm);
  const plan = await readPlan(job.run, job.stage);
  const corpus = await openRunCorpus(job.run);
  const length = corpus.index.sequenceLength;
  const { decaySteps } = config.pretrain;
  const label = job.arm === 'main' ? 'Evaluate' : `Evaluate (${job.arm})`;

  const model = await openLanguageModel(config, corpus.index);
  const domains = [...(await holdOut(job.run, corpus, plan)).evaluation].sort(([a], [b]) => a - b);
  const tell = (progress: Progress) => {
    throwIfStopped(job.signal, `${label} of stage ${job.stage} stopped; its measurements start over.`);
    job.progress(progress);
  };
  const measured = (done: number) => tell({ step: label, done, total: 2 + domains.length, unit: 'losses' });

  const branch = { model, corpus, plan, arm: job.arm, partial };
  const { parameters } = await decayBranchEnd(job, branch, (done) =>
    tell({ step: `${label}: decay branch`, done, total: decaySteps, unit: 'steps' }),
  );

  const cost = modelCost(config, corpus.index);
  let flops = 3 * cost(decaySteps * config.pretrain.batchRows, length);
  const passageLoss = async (from: typeof config.reference) => {
    const passages = await loadPassageSet(job.run, corpus, from);
    flops += passagesLossCost(config, corpus.index, passages);
    return new PassageSet(model, passages).loss(parameters);
  };
  const referenceLoss = await passageLoss(config.reference);
  measured(1);
  const heldOutLoss = await passageLoss(config.heldOut);
  measured(2);

  const losses: [string, Evaluation['domainLoss'][string]][] = [];
  for (const [index, [domain, rows]] of domains.entries()) {
    const ofRows = await rowLosses(model, parameters, await corpus.tokenRows(rows), length);
    losses.push([corpus.index.domains[domain]!.name, { loss: mean(ofRows), rows: rows.length }]);
    flops += cost(rows.length, length);
    measured(3 + index);
  }
  const tasks = await loadTasks(job.run, corpus);
  const requests = tasks.map((task) => task.requests);
  const asked = requests.flat();
  flops += passagesLossCost(config, corpus.index, asked);
  const likelihoods = await logLikelihoodsOf(model, parameters, requests, {
    onProgress: (done) => tell({ step: `${label}: tasks`, done, total: asked.length, unit: 'requests' }),
  });
  const scores = tasks.map((task, i) => scoreTask(task, likelihoods[i]!));
  const evaluation: Evaluation = {
    format: 'mates-evaluation/1',
    step: plan.firstStep + plan.steps,
    decaySteps,
    referenceLoss,
    heldOutLoss,
    mixedDomainLoss: mean(losses.map(([, { loss }]) => loss)),
    domainLoss: Object.fromEntries(losses), // safe even for domains named like an object's own members
    ...(scores.length > 0 && { tasks: scores, taskMean: meanScore(scores) }),
    ...(plan.scored && job.arm === 'main' && { selection: await checkSelection(job, corpus, plan) }),
  };
  return {
    flops,
    finish: async () => {
      await putJson(store, layout.evaluation, evaluation);
      await partial.drop();
    },
  };
}
