import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { readResults, withTables } from '../../bench/study/analyse.ts';

it('the tables of docs/results.md are those of the committed results', async () => {
  const document = await readFile('docs/results.md', 'utf8');
  expect(document.match(/<!-- table /g)!.length).toBeGreaterThan(5);
  expect(withTables(document, await readResults())).toBe(document);
});
