/**
 * Makes the checkpoint ready for probing, once for all probing and scoring jobs of a stage: takes it to the end of its
 * decay branch if that is to be probed, and makes the two copies that `lookahead` or `directional` compares.
 */
import { directionalFlops, lookaheadFlops } from '../../core/cost/flops.ts';
import { throwIfStopped } from '../../core/errors.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { CHECKED_ROWS, controlRows, MORE_ROWS, randomRows } from '../../core/plan/hold-out.ts';
import { counted, plural } from '../../core/plural.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { PassageSet } from '../../engine/gpt-neox/passage-set.ts';
import { decayBranchEnd } from '../decay-branch.ts';
import { holdOut } from '../hold-out.ts';
import { type Job, timed } from '../job.ts';
import { modelCost, openLanguageModel, passagesCost, passagesLossCost } from '../model.ts';
import { PartialCheckpoints } from '../partial-checkpoints.ts';
import { loadPassageSet } from '../passages.ts';
import { checkFirstOrder, directionalCopies } from '../probe/directional.ts';
import { lookaheadCopies } from '../probe/lookahead.ts';
import { probeLearningRate } from '../probe/open-probe.ts';
import { hasPreparedProbe, savePreparedProbe } from '../probe/prepared-probe.ts';
import { loadRunCheckpoint } from '../run-checkpoint.ts';

/** The job's result before it is written, and the operations that it took. */
interface Prepared {
  flops: number;
  save(): Promise<void>;
}

export async function run(job: Job): Promise<void> {
  const { store, record } = job.run;
  const partial = new PartialCheckpoints(store, stageLayout(job.stage).partialProbeModel, record.config.pretrain);
  if (await hasPreparedProbe(store, job.stage)) return partial.drop();
  await timed(job, 'prepare-probe', async () => {
    const { flops, save } = await prepare(job, partial);
    return { flops, finish: () => save().then(() => partial.drop()) };
  });
}

async function prepare(job: Job, partial: PartialCheckpoints): Promise<Prepared> {
  const { store } = job.run;
  const { config } = job.run.record;
  const { probe, pretrain } = config;
  const corpus = await openRunCorpus(job.run);
  const model = await openLanguageModel(config, corpus.index);
  const decaySteps = probe.checkpoint === 'decayed' ? pretrain.decaySteps : 0;
  const copySteps = probe.method === 'lookahead' ? 2 * probe.lookahead.steps : 0;
  const report = (done: number) => {
    throwIfStopped(job.signal, `Preparing the probe of stage ${job.stage} starts over.`);
    job.progress({ step: 'Prepare the probe', done, total: decaySteps + copySteps, unit: 'steps' });
  };
  const branchEnd = async () => {
    const plan = await readPlan(job.run, job.stage - 1);
    return decayBranchEnd(job, { model, corpus, plan, arm: 'main', partial }, report);
  };
  const checkpoint =
    decaySteps > 0
      ? await branchEnd()
      : await loadRunCheckpoint(job.run, corpus.index, armLayout(job.stage - 1, 'main').checkpoint);
  const learningRate = probeLearningRate(config, checkpoint.optimizer.step - decaySteps);

  const length = corpus.index.sequenceLength;
  const passages = await loadPassageSet(job.run, corpus, config.reference);
  const parts = { ...checkpoint, contextLength: length, endOfText: corpus.index.tokenizer.endOfText };
  const cost = modelCost(config, corpus.index);
  const decay = 3 * cost(decaySteps * pretrain.batchRows, length);
  const { method } = probe;
  if (method === 'exact') {
    const record = { method, learningRate, scale: 1 };
    return { flops: decay, save: () => savePreparedProbe(store, job.stage, record, parts) };
  }
  const plan = await readPlan(job.run, job.stage);
  const { probed } = await holdOut(job.run, corpus, plan);
  if (method === 'directional') {
    const copies = await directionalCopies(checkpoint, new PassageSet(model, passages), config, learningRate);
    const rows = await corpus.tokenRows(randomRows(probed, CHECKED_ROWS, config.seed, job.stage));
    const agreement = await checkFirstOrder(model, checkpoint.parameters, copies, rows, length);
    const record = { method, learningRate, scale: copies.scale, agreement };
    return {
      flops:
        decay +
        directionalFlops({ passages: passagesCost(cost, passages), checked: cost(rows.length / length, length) }),
      save: () => savePreparedProbe(store, job.stage, record, parts, copies),
    };
  }
  const wanted = probe.lookahead.steps * probe.lookahead.batchRows;
  const others = controlRows(probed, plan.probes, wanted, config.seed, job.stage);
  if (others.length < wanted) job.warn(fewRows(job.stage, others.length, wanted));
  const copies = await lookaheadCopies(model, checkpoint, {
    config,
    learningRate,
    passages,
    length,
    randomRows: await corpus.tokenRows(others),
    onStep: (done) => report(decaySteps + done),
  });
  const { scale, steps, tried, guard } = copies;
  const record = { method, learningRate, scale, steps, controlRows: copies.controlRows, guard };
  const made = lookaheadFlops(
    { steps, tried, batchRows: probe.lookahead.batchRows, guardReads: copies.guardReads },
    {
      passage: passagesCost(cost, passages) / passages.length,
      row: cost(1, length),
      guard: passagesLossCost(config, corpus.index, passages) / passages.length,
    },
  );
  return {
    flops: decay + made,
    save: () => savePreparedProbe(store, job.stage, record, parts, copies),
  };
}

function fewRows(stage: number, rows: number, wanted: number): string {
  return (
    `stage ${stage}: only ${counted(rows, 'row')} of the hold-out ${plural(rows, 'is', 'are')} not probed, and lookahead's control copy learns ${plural(rows, 'it', 'them')} over ` +
    `and over, as its steps need ${wanted}. ${MORE_ROWS}`
  );
}
