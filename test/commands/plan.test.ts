import { expect, it } from 'vitest';
import { plan } from '../../bin/commands/plan.ts';
import { printed } from './support.ts';

const planOf = async (name: string) => JSON.parse(await printed(() => plan([`examples/${name}.json`], { json: true })));

it('says what the run takes of quotas, and which of its files are missing', async () => {
  const { quotas, warnings } = await planOf('paper-410m');
  expect(quotas[0]).toEqual({
    quota: 'EC2: All G and VT Spot Instance Requests',
    code: 'L-3819A6DF',
    unit: 'vCPUs',
    least: 4,
    useful: 64,
  });
  const missing = ['c4/*.jsonl.gz', 'pythia-tokenizer.json', 'lambada-train.jsonl', 'sciq.jsonl', 'bert-base-uncased'];
  for (const name of missing) expect(warnings).toContainEqual(expect.stringContaining(name));
  expect(warnings.at(-1)).toBe('Planning does not need these files; a run does.');
  expect((await planOf('smoke')).warnings).toEqual([]);
});
