import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { type Job, timed } from '../../containers/job.ts';
import { stageLayout } from '../../core/layout.ts';
import { readTimings, secondsAtWork, secondsByJob } from '../../core/run/timings.ts';
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

it('records the time of an attempt that is killed, and counts it', async () => {
  const store = new DirectoryStore(await temporaryFolder());
  const job = { run: { store }, stage: 1 } as unknown as Job;
  let end = () => {};
  const killed = new Promise<never>((_, reject) => {
    end = () => reject(new Error('killed'));
  });
  const attempt = timed(job, 'score-0', () => killed, 0.2 / 60);
  await vi.waitUntil(async () => (await secondsByJob(store, 1)).size > 0, { timeout: 30_000 });
  const seen = (await secondsByJob(store, 1)).get('score-0')!;
  expect(seen).toBeGreaterThanOrEqual(0.2);
  end();
  await expect(attempt).rejects.toThrow('killed');

  // what was at work counts, whether a job ended or not, and once each
  await timed(job, 'score-0', async () => ({ flops: 5 }));
  await expect(timed(job, 'probe-0', () => Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  const seconds = await secondsByJob(store, 1);
  expect([...seconds.keys()].sort()).toEqual(['probe-0', 'score-0']);
  const [ended] = await readTimings(store, 1);
  expect(ended!.earlier).toHaveLength(1);
  expect(seconds.get('score-0')).toBe(secondsAtWork(ended!));

  // a job that had ended, and is interrupted when it runs again
  await expect(
    timed(job, 'score-0', () => sleep(150).then(() => Promise.reject(new Error('again')))),
  ).rejects.toThrow();
  expect((await secondsByJob(store, 1)).get('score-0')).toBeGreaterThan(seconds.get('score-0')!);
  await timed(job, 'score-0', async () => ({ flops: 5 }));
  expect((await readTimings(store, 1))[0]!.earlier).toHaveLength(3);
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
