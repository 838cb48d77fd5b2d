/** The whole two-stage loop through the deployed machine: real Lambda code, Batch jobs as processes, data in S3. */
import { readFileSync } from 'node:fs';
import { expect, inject, it } from 'vitest';
import { lakePermissions, NEEDED, reasonFor } from './policies.ts';
import { alive, ended, freshId, lake, lakeConfig, ownRunner, processes, results, resultsOf, start } from './support.ts';

const callsFile = inject('callsFile');

/** A line of record_calls.py. */
interface Call {
  who: string;
  service: string;
  operation: string;
  Bucket?: string;
}

it('selects and trains what `mates run` does for the same configuration and seed, byte for byte', async () => {
  const run = freshId('loop');
  const execution = await ended(await start({ config: lakeConfig() }, run));
  expect(execution).toMatchObject({ status: 'SUCCEEDED' });
  expect(JSON.parse(execution.output!)).toMatchObject({ run: { id: run }, summary: expect.stringMatching(/^s3:/) });

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

  if (!ownRunner) return;
  const all = await processes(run);
  expect(new Set(all.map(({ task }) => task))).toEqual(
    new Set(['prepare', 'pretrain', 'evaluate', 'probe', 'fit-influence', 'score']),
  );
  expect(all.every(({ exitCode }) => exitCode === 0)).toBe(true);
  expect(await alive(run)).toEqual([]);
});

it.runIf(callsFile)(
  'calls nothing that its roles do not grant, and they grant nothing without a use or a reason',
  () => {
    const calls = readFileSync(callsFile!, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Call);
    expect(new Set(calls.map(({ service }) => service))).toEqual(new Set(['s3']));
    const permissions = lakePermissions('out/integration/cdk.out');
    const used = new Map([...permissions.keys()].map((who) => [who, new Set<string>()]));
    for (const { who, operation, Bucket } of calls) {
      if (Bucket !== lake) continue; // the tests name a bucket that does not exist
      const role = who.startsWith('function.') ? who : who.replace(/\..*/, '');
      const needed = NEEDED[operation];
      expect(needed, `${who} calls ${operation}`).toBeDefined();
      expect([...permissions.get(role)!], `${who} calls ${operation}`).toContain(needed);
      used.get(role)!.add(needed!);
    }
    const idle = [...permissions].flatMap(([who, granted]) =>
      [...granted].filter((one) => !used.get(who)!.has(one) && !reasonFor(who, one)).map((one) => `${who}: ${one}`),
    );
    expect(idle).toEqual([]);
  },
);
