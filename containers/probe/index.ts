/**
 * Probes a slice of the stage's probe order: the influence of hold-out rows on the current checkpoint. Results are
 * flushed as they come, so a lost job loses at most `probe.flushEvery` of them.
 */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { InterruptedError } from '../../core/errors.ts';
import type { ProbeItem } from '../../core/formats.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { writeParquet } from '../../core/parquet.ts';
import { probeOrder } from '../../core/plan/hold-out.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { getJsonIfPresent, putJson } from '../../core/storage/index.ts';
import { loadCheckpoint } from '../../engine/checkpoint.ts';
import { PassageSet } from '../../engine/passage-set.ts';
import { holdOut } from '../hold-out.ts';
import { type Job, timed } from '../job.ts';
import { openLanguageModel } from '../model.ts';
import { loadPassageSet } from '../passages.ts';
import { DirectionalProbe } from './directional-probe.ts';
import { ExactProbe } from './exact-probe.ts';
import type { InfluenceProbe } from './influence-probe.ts';
import { LookaheadProbe } from './lookahead-probe.ts';

/** What has been measured so far, in probe order. */
interface Measured {
  row: number[];
  loss: number[];
  baseline: number[];
  influence: number[];
}

export async function run(job: Job): Promise<void> {
  const item = job.item as ProbeItem;
  const layout = stageLayout(job.stage);
  if ((await job.run.store.size(layout.probe(item.index))) !== undefined) return;
  await timed(job, `probe-${item.index}`, () => probe(job, item));
}

async function probe(job: Job, item: ProbeItem): Promise<void> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = stageLayout(job.stage);
  const plan = await readPlan(job.run, job.stage);
  const corpus = await openRunCorpus(job.run);
  const { probed } = await holdOut(job.run, corpus, plan);
  const order = probeOrder(probed, plan.probes, config.seed, plan.stage); // the same list in every worker
  const rows = order.slice(item.begin, item.end);
  const oracle = await openProbe(job, corpus, probed, order);

  const partial = layout.probePartial(item.index);
  const measured = (await getJsonIfPresent<Measured>(store, partial)) ?? {
    row: [],
    loss: [],
    baseline: [],
    influence: [],
  };
  for (let i = measured.row.length; i < rows.length; i++) {
    const { loss, baseline, influence } = await oracle.influence(await corpus.tokenRows([rows[i]!]));
    measured.row.push(rows[i]!);
    measured.loss.push(loss);
    measured.baseline.push(baseline);
    measured.influence.push(influence);
    job.progress({ step: `Probe, slice ${item.index + 1}`, done: i + 1, total: rows.length, unit: 'probes' });
    if ((i + 1) % config.probe.flushEvery === 0 || job.signal.aborted) await putJson(store, partial, measured);
    if (job.signal.aborted)
      throw new InterruptedError(
        `probing of stage ${job.stage} stopped after ${i + 1} of ${rows.length}; it resumes there.`,
      );
  }
  await store.put(
    layout.probe(item.index),
    writeParquet([
      { name: 'row', type: 'INT64', data: measured.row },
      { name: 'loss', type: 'DOUBLE', data: measured.loss },
      { name: 'baseline', type: 'DOUBLE', data: measured.baseline },
      { name: 'influence', type: 'DOUBLE', data: measured.influence },
    ]),
  );
  await store.delete(partial);
}

/** The configured method, on the checkpoint of the stage before. */
async function openProbe(job: Job, corpus: Corpus, probed: Float64Array, order: number[]): Promise<InfluenceProbe> {
  const { config } = job.run.record;
  const model = await openLanguageModel(config, corpus.index);
  const checkpoint = await loadCheckpoint(job.run.store, armLayout(job.stage - 1, 'main').checkpoint);
  const passages = await loadPassageSet(job.run, corpus, config.reference);
  switch (config.probe.method) {
    case 'exact':
      return ExactProbe.create(model, checkpoint, new PassageSet(model, passages), config.pretrain);
    case 'directional':
      return DirectionalProbe.create(model, checkpoint, new PassageSet(model, passages), config);
    case 'lookahead': {
      const used = new Set(order);
      const others = probed.filter((row) => !used.has(row));
      const rows = others.length ? others : order; // a hold-out that is probed whole lends its own rows
      // A shard's rows lie together by domain: only a shuffled sample is random text.
      const shuffled = permutation(rows.length, new CounterRandom(config.seed, STREAM.lookaheadControl, job.stage));
      const steps = config.probe.lookahead.steps * config.pretrain.batchRows;
      const wanted = Array.from(shuffled.subarray(0, steps), (i) => rows[i]!);
      const length = corpus.index.sequenceLength;
      return LookaheadProbe.create(model, checkpoint, passages, await corpus.tokenRows(wanted), length, config);
    }
  }
}
