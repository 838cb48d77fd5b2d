import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseConfig } from '../../core/config/load.ts';
import { runConfig } from '../../core/config/schema.ts';
import { DEFAULT_MINHASH } from '../../core/dedup/minhash.ts';
import { METHODS, methodTraits } from '../../core/selection/methods.ts';
import { detection } from '../dedup/support.ts';

const page = await readFile('docs/selection.md', 'utf8');

type Schema = { properties?: Record<string, Schema>; enum?: unknown[]; items?: Schema };
const schema = z.toJSONSchema(runConfig, { io: 'input', unrepresentable: 'any' }) as Schema;
const fieldOf = (path: string) =>
  path.split('.').reduce<Schema | undefined>((at, name) => at?.properties?.[name], schema);

/** The rows of the table with this first cell of its head, as cells. */
function tableOf(head: string): string[][] {
  const start = page.indexOf(`\n| ${head} |`);
  expect(start, `a table of ${head}`).toBeGreaterThan(0);
  const lines = page.slice(start + 1, page.indexOf('\n\n', start + 1)).split('\n');
  return lines.slice(2).map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
}

/** The rows of all tables of fields and defaults. */
const defaults = page
  .split('\n| field | default |')
  .slice(1)
  .flatMap((table) => [...table.split('\n\n')[0]!.matchAll(/^\| `([\w.]+)` \| ([^|]+) \|/gm)]);

describe('docs/selection.md', () => {
  it('has every method, with what it is made of', () => {
    const rows = tableOf('method');
    expect(rows.map(([name]) => name).sort()).toEqual(METHODS.map((name) => `\`${name}\``).sort());
    for (const method of METHODS) {
      const [, , measured, taken] = rows.find(([name]) => name === `\`${method}\``)!;
      const { score, once, hard } = methodTraits(method);
      expect([method, measured]).toEqual([method, !score ? 'never' : once ? 'once' : 'before every stage']);
      expect([method, taken]).toEqual([method, !score ? 'at random' : hard ? 'highest' : 'Gumbel-top-k']);
    }
  });

  it.each([
    'probe.method',
    'probe.checkpoint',
    'influenceModel.architecture',
    'influenceModel.whenWeak',
    'selection.gumbel',
  ])('has every value of %s', (path) => {
    const values = fieldOf(path)?.enum;
    expect(values?.length).toBeGreaterThan(1);
    for (const value of values!) expect(page).toContain(`\`${value}\``);
  });

  it('has every feature of influence models', () => {
    const features = fieldOf('influenceModel.features')!.items!.enum!;
    expect(tableOf('feature').map(([name]) => name)).toEqual(features.map((name) => `\`${name}\``));
  });

  it('names only fields that exist', () => {
    const named = [...page.matchAll(/`((?:corpus|reference|probe|influenceModel|selection|scoring)\.[\w.]+)`/g)];
    expect(named.length).toBeGreaterThan(20);
    for (const [, path] of named) expect(fieldOf(path!), path).toBeDefined();
  });

  it('compares methods over stages that can tell them apart, by fields that exist', async () => {
    const [commands] = /```sh\n[\s\S]*?mates compare[\s\S]*?```/.exec(
      page.slice(page.indexOf('## Comparing methods')),
    )!;
    const files = [...commands.matchAll(/mates run (\S+\.json)/g)].map(([, file]) => file!);
    expect(files).toHaveLength(2);
    for (const file of files)
      expect(JSON.parse(await readFile(file, 'utf8')).pretrain.stepsPerStage).toBeGreaterThanOrEqual(100);
    for (const [, path] of commands.matchAll(/--set ([\w.]+)=/g)) expect(fieldOf(path!), path).toBeDefined();
  });

  it('has the defaults of the schema', () => {
    const config = parseConfig(
      { corpus: { input: ['a'] }, reference: { input: 'r' }, heldOut: { input: 'h' } },
      'test configuration',
    );
    expect(defaults.length).toBeGreaterThan(8);
    for (const [, path, shown] of defaults) {
      const value = path!.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], config);
      expect(`${path} ${shown!.replaceAll('`', '')}`).toBe(`${path} ${value}`);
    }
    expect(page).toContain(`\`influenceModel.minimumSpearman\` (${config.influenceModel.minimumSpearman})`);
  });

  it('says how near-duplicates are found', () => {
    const { shingle, bands, height } = DEFAULT_MINHASH;
    expect([shingle, bands, height]).toEqual([5, 20, 7]);
    expect(page).toContain('runs of five words, 20 bands of 7');
    expect(detection(0.8, DEFAULT_MINHASH).toFixed(2)).toBe('0.99');
    expect(detection(0.5, DEFAULT_MINHASH).toFixed(2)).toBe('0.15');
  });

  it('links to files that exist', async () => {
    for (const [, path] of page.matchAll(/\]\(([^)#:]+)\)/g))
      await expect(access(join('docs', path!)), path).resolves.toBeUndefined();
  });
});
