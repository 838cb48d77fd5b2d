/** The whole two-stage loop through the deployed machine: real Lambda code, Batch jobs as processes, data in S3. */
import { expect, inject, it } from 'vitest';
import { synthesizeMachine } from '../../lib/synthesize.ts';
import { worstCase } from '../lib/worst-case.ts';
import {
  alive,
  ended,
  freshId,
  history,
  lakeConfig,
  ownRunner,
  processes,
  results,
  resultsOf,
  start,
} from './support.ts';

it('selects and trains what `mates run` does for the same configuration and seed, byte for byte', async () => {
  const run = freshId('loop');
  const started = await start({ config: lakeConfig() }, run);
  const execution = await ended(started);
  expect(execution).toMatchObject({ status: 'SUCCEEDED' });
  const output = JSON.parse(execution.output!);
  expect(output).toMatchObject({ run: { id: run }, summary: expect.stringMatching(/^s3:/) });
  const links = ['report', 'run', 'execution', 'dashboard', 'jobLogs', 'machineLogs'];
  expect(output.links).toEqual(Object.fromEntries(links.map((name) => [name, expect.stringMatching(/^https:/)])));

  const found = await resultsOf(run);
  expect(Object.keys(found)).toEqual(
    expect.arrayContaining([
      'stages/0/selection.parquet',
      'stages/0/checkpoint/model.safetensors',
      'stages/1/probes/00000.parquet',
      'stages/1/selection.parquet',
      'stages/1/control/selection.parquet',
      'stages/1/checkpoint/model.safetensors',
      'stages/1/control/checkpoint/model.safetensors',
      'stages/1/evaluation.json',
    ]),
  );
  expect(found).toEqual(results(inject('reference')));

  // What test/lib/limits.test.ts computes for 100 stages is, for these two, what Step Functions has written.
  const computed = await worstCase(synthesizeMachine(), { stages: 2, shards: 8, trainer: 'batch' });
  expect((await history(started)).length).toBe(computed.events);

  if (!ownRunner) return;
  const all = await processes(run);
  expect(new Set(all.map(({ task }) => task))).toEqual(
    new Set(['prepare', 'pretrain', 'evaluate', 'prepare-probe', 'probe', 'fit-influence', 'score']),
  );
  expect(all.every(({ exitCode }) => exitCode === 0)).toBe(true);
  expect(await alive(run)).toEqual([]);
});
