/**
 * Makes the checkpoint ready for probing, once for all probing and scoring jobs of a stage: takes it to the end of its
 * decay branch if that is to be probed, and makes the two copies that `lookahead` or `directional` compares.
 */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { directionalFlops, lookaheadFlops } from '../../core/cost/flops.ts';
import { throwIfStopped } from '../../core/errors.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { CHECKED_ROWS, controlRows, MORE_ROWS, randomRows } from '../../core/plan/hold-out.ts';
import { counted, plural } from '../../core/plural.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import type { LanguageModel } from '../../engine/decoder/language-model.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import type { Checkpoint, CheckpointParts } from '../../engine/files/checkpoint.ts';
import { decayBranchEnd } from '../decay-branch.ts';
import { holdOut } from '../hold-out.ts';
import { type Job, timed } from '../job.ts';
import { lookaheadForwards, modelCost, openLanguageModel, passagesCost } from '../model.ts';
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

/** Tells how many of the job's optimizer steps are done, and ends it if it was told to stop. */
type Report = (done: number) => void;

async function prepare(job: Job, partial: PartialCheckpoints): Promise<Prepared> {
  const { config } = job.run.record;
  const { probe, pretrain } = config;
  const corpus = await openRunCorpus(job.run);
  const model = await openLanguageModel(config, corpus.index);
  const decaySteps = probe.checkpoint === 'decayed' ? pretrain.decaySteps : 0;
  const copySteps = probe.method === 'lookahead' ? 2 * probe.lookahead.steps : 0;
  const report: Report = (done) => {
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
  const start: Start = {
    corpus,
    model,
    checkpoint,
    learningRate: probeLearningRate(config, checkpoint.optimizer.step - decaySteps),
    parts: {
      ...checkpoint,
      contextLength: corpus.index.sequenceLength,
      endOfText: corpus.index.tokenizer.endOfText,
    },
  };
  const methods = { exact: prepareExact, directional: prepareDirectional, lookahead: prepareLookahead };
  const { flops, save } = await methods[probe.method](job, start, (done) => report(decaySteps + done));
  const decay = 3 * modelCost(config, corpus.index)(decaySteps * pretrain.batchRows, corpus.index.sequenceLength);
  return { flops: decay + flops, save };
}

/** What a probe starts from: the checkpoint, or the end of its decay branch. */
interface Start {
  corpus: Corpus;
  model: LanguageModel;
  checkpoint: Checkpoint;
  learningRate: number;
  parts: CheckpointParts;
}

/** One step on each row starts from the checkpoint itself. */
async function prepareExact({ run, stage }: Job, { learningRate, parts }: Start): Promise<Prepared> {
  const record = { method: 'exact', learningRate, scale: 1 } as const;
  return { flops: 0, save: () => savePreparedProbe(run.store, stage, record, parts) };
}

async function prepareDirectional(job: Job, start: Start): Promise<Prepared> {
  const { corpus, model, checkpoint, learningRate, parts } = start;
  const { config } = job.run.record;
  const length = corpus.index.sequenceLength;
  const passages = await loadPassageSet(job.run, corpus, config.reference);
  const { probeable } = await holdOut(job.run, corpus, await readPlan(job.run, job.stage));
  const copies = await directionalCopies(checkpoint, new PassageSet(model, passages), config, learningRate);
  const rows = await corpus.tokenRows(randomRows(probeable, CHECKED_ROWS, config.seed, job.stage));
  const agreement = await checkFirstOrder(model, checkpoint.parameters, copies, rows, length);
  const record = { method: 'directional', learningRate, scale: copies.scale, agreement } as const;
  const cost = modelCost(config, corpus.index);
  return {
    flops: directionalFlops({ passages: passagesCost(cost, passages), checked: cost(rows.length / length, length) }),
    save: () => savePreparedProbe(job.run.store, job.stage, record, parts, copies),
  };
}

async function prepareLookahead(job: Job, start: Start, report: Report): Promise<Prepared> {
  const { corpus, model, checkpoint, learningRate, parts } = start;
  const { config } = job.run.record;
  const { batchRows, steps: most } = config.probe.lookahead;
  const passages = await loadPassageSet(job.run, corpus, config.reference);
  const plan = await readPlan(job.run, job.stage);
  const { probeable } = await holdOut(job.run, corpus, plan);
  const wanted = most * batchRows;
  const others = controlRows(probeable, plan.probes, wanted, config.seed, job.stage);
  if (others.length < wanted) job.warn(fewRows(job.stage, others.length, wanted));
  const copies = await lookaheadCopies(model, checkpoint, {
    config,
    learningRate,
    passages,
    length: corpus.index.sequenceLength,
    randomRows: await corpus.tokenRows(others),
    onStep: report,
  });
  const { scale, steps, tried, guard, guardReads } = copies;
  const record = { method: 'lookahead', learningRate, scale, steps, controlRows: copies.controlRows, guard } as const;
  return {
    flops: lookaheadFlops({ steps, tried, batchRows, guardReads }, lookaheadForwards(config, corpus.index, passages)),
    save: () => savePreparedProbe(job.run.store, job.stage, record, parts, copies),
  };
}

function fewRows(stage: number, rows: number, wanted: number): string {
  return (
    `stage ${stage}: only ${counted(rows, 'row')} of the hold-out ${plural(rows, 'is', 'are')} not probed, and lookahead's control copy learns ${plural(rows, 'it', 'them')} over ` +
    `and over, as its steps need ${wanted}. ${MORE_ROWS}`
  );
}
