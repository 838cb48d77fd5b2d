import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Job, timed } from '../../containers/job.ts';
import { stageLayout } from '../../core/layout.ts';
import { DirectoryStore, getJson } from '../../core/storage/index.ts';

it('records what a job took before what marks it as done: no job that is done lacks its record', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'mates-job-'));
  try {
    const store = new DirectoryStore(directory);
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
  } finally {
    await rm(directory, { recursive: true });
  }
});
