/**
 * Makes the checkpoint ready for probing, once for all probing and scoring jobs of a stage: takes it to the end of its
 * decay branch where that is what is probed, and makes the two copies that `lookahead` or `directional` compares.
 */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { InterruptedError } from '../../core/errors.ts';
import { armLayout } from '../../core/layout.ts';
import { CHECKED_ROWS, probeOrder } from '../../core/plan/hold-out.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { loadCheckpoint } from '../../engine/checkpoint.ts';
import { PassageSet } from '../../engine/passage-set.ts';
import { trainDecayBranch } from '../decay-branch.ts';
import { holdOut } from '../hold-out.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { modelCost, openLanguageModel, passagesCost } from '../model.ts';
import { loadPassageSet } from '../passages.ts';
import { checkFirstOrder, directionalCopies } from '../probe/directional.ts';
import { lookaheadCopies } from '../probe/lookahead.ts';
import { probeLearningRate } from '../probe/open-probe.ts';
import { hasPreparedProbe, savePreparedProbe } from '../probe/prepared-probe.ts';

export async function run(job: Job): Promise<void> {
  if (await hasPreparedProbe(job.run.store, job.stage)) return;
  await timed(job, 'prepare-probe', () => prepare(job));
}

async function prepare(job: Job): Promise<Computed> {
  const { store } = job.run;
  const { config } = job.run.record;
  const { probe, pretrain } = config;
  const corpus = await openRunCorpus(job.run);
  const model = await openLanguageModel(config, corpus.index);
  const checkpoint = await loadCheckpoint(store, armLayout(job.stage - 1, 'main').checkpoint);
  const learningRate = probeLearningRate(config, checkpoint.optimizer.step);
  const decaySteps = probe.checkpoint === 'decayed' ? pretrain.decaySteps : 0;
  const copySteps = probe.method === 'lookahead' ? 2 * probe.lookahead.steps : 0;
  const report = (done: number) => {
    if (job.signal.aborted) throw new InterruptedError(`Preparing the probe of stage ${job.stage} starts over.`);
    job.progress({ step: 'Prepare the probe', done, total: decaySteps + copySteps, unit: 'steps' });
  };
  if (decaySteps > 0) {
    const plan = await readPlan(job.run, job.stage - 1);
    await trainDecayBranch(job, { model, corpus, plan, arm: 'main' }, checkpoint, report);
  }

  const length = corpus.index.sequenceLength;
  const passages = await loadPassageSet(job.run, corpus, config.reference);
  const parts = { ...checkpoint, contextLength: length, endOfText: corpus.index.tokenizer.endOfText };
  const cost = modelCost(config, corpus.index);
  const decay = 3 * cost(decaySteps * pretrain.batchRows, length);
  const { method } = probe;
  if (method === 'exact') {
    const record = { method, learningRate, scale: 1 };
    return { flops: decay, finish: () => savePreparedProbe(store, job.stage, record, parts) };
  }
  if (method === 'directional') {
    const copies = await directionalCopies(checkpoint, new PassageSet(model, passages), config, learningRate);
    const rows = await unprobedRows(job, corpus, CHECKED_ROWS);
    const agreement = await checkFirstOrder(model, checkpoint.parameters, copies, rows, length);
    const record = { method, learningRate, scale: copies.scale, agreement };
    return {
      flops: decay + 3 * passagesCost(cost, passages) + 5 * cost(rows.length / length, length),
      finish: () => savePreparedProbe(store, job.stage, record, parts, copies),
    };
  }
  const randomRows = await unprobedRows(job, corpus, probe.lookahead.steps * probe.lookahead.batchRows);
  const onStep = (done: number) => report(decaySteps + done);
  const options = { config, learningRate, passages, randomRows, length, onStep };
  const copies = await lookaheadCopies(model, checkpoint, options);
  const { scale, steps, tried } = copies;
  const record = { method, learningRate, scale, steps };
  const perStep = 3 * probe.lookahead.batchRows;
  const passage = passagesCost(cost, passages) / passages.length;
  return {
    flops: decay + tried * perStep * passage + steps * perStep * cost(1, length),
    finish: () => savePreparedProbe(store, job.stage, record, parts, copies),
  };
}

/** Random text: tokens of at most `wanted` hold-out rows that are not probed, or of any where every row is. */
async function unprobedRows(job: Job, corpus: Corpus, wanted: number): Promise<Int32Array> {
  const { config } = job.run.record;
  const plan = await readPlan(job.run, job.stage);
  const { probed } = await holdOut(job.run, corpus, plan);
  const used = new Set(probeOrder(probed, plan.probes, config.seed, plan.stage));
  const others = probed.filter((row) => !used.has(row));
  const rows = others.length ? others : probed;
  // A shard's rows lie together by domain: only a shuffled sample is random text.
  const shuffled = permutation(rows.length, new CounterRandom(config.seed, STREAM.lookaheadControl, job.stage));
  return corpus.tokenRows(Array.from(shuffled.subarray(0, wanted), (i) => rows[i]!));
}
