/**
 * Probes a slice of the stage's probe order: the influence of hold-out rows on the current checkpoint. Results are
 * flushed as they come, so a lost job loses at most `probe.flushEvery` of them.
 */
import { throwIfStopped } from '../../core/errors.ts';
import type { Slice } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { writeParquet } from '../../core/parquet.ts';
import { probeOrder } from '../../core/plan/hold-out.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { getJsonIfPresent, putJson } from '../../core/storage/index.ts';
import { holdOut } from '../hold-out.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { influencesOf } from './influence-probe.ts';
import { openProbe, probeCost } from './open-probe.ts';

/** What has been measured so far, in probe order. */
interface Measured {
  row: number[];
  loss: number[];
  baseline: number[];
  influence: number[];
}

export async function run(job: Job): Promise<void> {
  const item = job.item as Slice;
  const layout = stageLayout(job.stage);
  // An earlier attempt that was killed after writing its whole result left its flushed part behind.
  if ((await job.run.store.size(layout.probe(item.index))) !== undefined)
    return job.run.store.delete(layout.probePartial(item.index));
  await timed(job, `probe-${item.index}`, () => probe(job, item));
}

async function probe(job: Job, item: Slice): Promise<Computed> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = stageLayout(job.stage);
  const plan = await readPlan(job.run, job.stage);
  const corpus = await openRunCorpus(job.run);
  const { probeable } = await holdOut(job.run, corpus, plan);
  const order = probeOrder(probeable, plan.probes, config.seed, plan.stage); // the same list in every worker
  const rows = order.slice(item.begin, item.end);
  const influenceProbe = await openProbe(job.run, corpus, plan);

  const partial = layout.probePartial(item.index);
  const measured = (await getJsonIfPresent<Measured>(store, partial)) ?? {
    row: [],
    loss: [],
    baseline: [],
    influence: [],
  };
  const total = rows.length;
  let flushed = measured.row.length;
  for (let done = flushed; done < total; ) {
    const part = rows.slice(done, done + influenceProbe.rowsAtOnce);
    const found = await influencesOf(influenceProbe, config.probe.method, corpus, part);
    measured.row.push(...part);
    for (const column of ['loss', 'baseline', 'influence'] as const)
      measured[column].push(...found.map((one) => one[column]));
    done += part.length;
    job.progress({ step: `Probe, slice ${item.index + 1}`, done, total, unit: 'probes' });
    if (done - flushed >= config.probe.flushEvery || job.signal.aborted) {
      await putJson(store, partial, measured);
      flushed = done;
    }
    throwIfStopped(job.signal, `probing of stage ${job.stage} stopped after ${done} of ${total}; it resumes there.`);
  }
  const file = writeParquet([
    { name: 'row', type: 'INT64', data: measured.row },
    { name: 'loss', type: 'DOUBLE', data: measured.loss },
    { name: 'baseline', type: 'DOUBLE', data: measured.baseline },
    { name: 'influence', type: 'DOUBLE', data: measured.influence },
  ]);
  return {
    flops: total * (await probeCost(job.run, corpus)),
    finish: async () => {
      await store.put(layout.probe(item.index), file);
      await store.delete(partial);
    },
  };
}
