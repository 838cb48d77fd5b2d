import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type Job, timed } from '../../containers/job.ts';
import { stageLayout } from '../../core/layout.ts';
import { readTimings, secondsAtWork } from '../../core/run/timings.ts';
import { DirectoryStore, getJson } from '../../core/storage/index.ts';
import { temporaryFolder } from '../support.ts';

it('records the time of interrupted attempts with that of the attempt that ends the job', async () => {
  const store = new DirectoryStore(await temporaryFolder());
  const job = { run: { store }, stage: 2 } as unknown as Job;
  const work = async (error?: Error) => {
    await sleep(150);
    if (error) throw error;
    return { flops: 5 };
  };
  for (const attempt of ['first', 'second'])
    await expect(timed(job, 'probe-3', () => work(new Error(attempt)))).rejects.toThrow(attempt);
  expect(await readTimings(store, 2)).toEqual([]); // the job has not ended
  await timed(job, 'probe-3', () => work());
  const [timing, ...others] = await readTimings(store, 2);
  expect(others).toEqual([]);
  expect(timing!.earlier).toHaveLength(2);
  expect(secondsAtWork(timing!)).toBeGreaterThanOrEqual(0.3);
  await timed(job, 'probe-3', () => work()); // as a job does whose last file was missing
  expect((await readTimings(store, 2))[0]!.earlier).toHaveLength(3);
});

it('records the time of a job before the file that marks it as done, so that no finished job lacks its record', async () => {
  const store = new DirectoryStore(await temporaryFolder());
  const job = { run: { store }, stage: 2 } as unknown as Job;
  const killed = timed(job, 'score-0', async () => ({ flops: 5, finish: () => Promise.reject(new Error('killed')) }));
  await expect(killed).rejects.toThrow('killed');
  const timing = stageLayout(2).timing('score-0');
  expect(await getJson(store, timing)).toMatchObject({ job: 'score-0', flops: 5 });

  let recorded: unknown;
  const finish = async () => {
    recorded = await getJson(store, timing);
  };
  await timed(job, 'score-0', async () => ({ flops: 7, finish }));
  expect(recorded).toMatchObject({ flops: 7 });
});
