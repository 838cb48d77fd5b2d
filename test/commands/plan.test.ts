import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { plan } from '../../bin/commands/plan.ts';
import { temporaryFolder } from '../support.ts';
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

it('says what it assumes of a prepared corpus that is not there', async () => {
  const config = join(await temporaryFolder(), 'mine.json');
  const passages = { input: 'builtin:corpus/reference.jsonl' };
  await writeFile(config, JSON.stringify({ corpus: { prepared: 'corpus' }, reference: passages, heldOut: passages }));
  const { warnings } = JSON.parse(await printed(() => plan([config], { json: true })));
  expect(warnings).toContainEqual(expect.stringMatching(/corpus is not there yet: .* 128 tokens, .* 50,304 entries/));
});

it('counts the operations of the passages that there are, and says what is wrong with them', async () => {
  const folder = await temporaryFolder();
  const [config, passages] = [join(folder, 'mine.json'), join(folder, 'passages.jsonl')];
  const input = { corpus: { input: ['builtin:corpus/logs.jsonl.gz'] }, probe: { method: 'exact' } };
  const sets = { reference: { input: 'passages.jsonl' }, heldOut: { input: 'passages.jsonl' } };
  await writeFile(config, JSON.stringify({ ...input, ...sets }));
  const probing = async (text: string) => {
    await writeFile(passages, `{"text": "${text}"}\n`.repeat(64));
    return JSON.parse(await printed(() => plan([config], { json: true }))).flops.probe;
  };
  expect(await probing('a short one')).toBeLessThan(0.5 * (await probing('a longer one, '.repeat(30))));
  await writeFile(passages, '{"text": "a b"}\n{"words": 2}\n');
  const { warnings } = JSON.parse(await printed(() => plan([config], { json: true })));
  expect(warnings).toContainEqual(expect.stringMatching(/passages\.jsonl, line 2: expected \{"text": "\.\.\."\}/));
});

it('says which local files are missing beside files on S3, and where it prints a table', async () => {
  const config = join(await temporaryFolder(), 'mine.json');
  const passages = { reference: { input: 'none.jsonl' }, heldOut: { input: 's3://bucket/held-out.jsonl' } };
  await writeFile(config, JSON.stringify({ corpus: { input: ['s3://bucket/*.jsonl'] }, ...passages }));
  const { warnings } = JSON.parse(await printed(() => plan([config], { json: true })));
  expect(warnings).toEqual([
    expect.stringMatching(/\/none\.jsonl: no such file; reference\.input/),
    'Planning does not need these files; a run does.',
  ]);
  const said: string[] = [];
  await printed(() => {
    vi.mocked(console.error).mockImplementation((line) => void said.push(line));
    return plan([config, 'examples/smoke.json'], {});
  });
  expect(said).toEqual(warnings.map((text: string) => `Warning: mine: ${text}`));
});
