import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';

it("the README's configuration for own data is one, and selects as the study recommends", () => {
  const block = /```json\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8'))![1]!;
  const { probe, influenceModel } = parseConfig(JSON.parse(block), 'README.md');
  const recommended = JSON.parse(readFileSync('examples/quickstart.json', 'utf8'));
  expect(probe.method).toBe(recommended.probe.method);
  expect(influenceModel).toMatchObject(recommended.influenceModel);
});
