import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';

const readme = readFile('README.md', 'utf8');

it("the README's table of costs is what the command above it prints", async () => {
  const block = /<!-- mates plan examples\/\{(.*?)\}\.json --markdown -->\n(.*?)\n<!-- end -->/s.exec(await readme)!;
  const files = block[1]!.split(',').map((name) => `examples/${name}.json`);
  const { stdout } = await promisify(execFile)('node', ['bin/mates.js', 'plan', ...files, '--markdown']);
  expect(block[2]).toBe(stdout.trim());
});

it('every path and example that the README names exists', async () => {
  const text = await readme;
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => path!);
  expect(links.length).toBeGreaterThan(20);
  for (const path of links) await expect(access(path), path).resolves.toBeUndefined();
  for (const [, path] of text.matchAll(/mates \w+ (examples\/[\w-]+\.json)/g))
    await expect(access(path!), path).resolves.toBeUndefined();
});

it("its configuration for one's own data is valid, and selects as the quickstart does", async () => {
  const block = /```json\n([\s\S]*?)```/.exec(await readme)![1]!;
  const { probe, influenceModel, selection } = parseConfig(JSON.parse(block), 'README.md');
  const quickstart = JSON.parse(await readFile('examples/quickstart.json', 'utf8'));
  expect(probe.method).toBe(quickstart.probe.method);
  expect(influenceModel).toMatchObject(quickstart.influenceModel);
  expect(selection).toMatchObject(quickstart.selection);
});
