import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { expect, it } from 'vitest';
import { PAGES, readResults, withTables } from '../../bench/study/analyse.ts';

it.each(PAGES.map((page) => [basename(page), page]))(
  'the tables of %s are those of the committed results',
  async (_, page) => {
    const document = await readFile(page, 'utf8');
    expect(document).toMatch(/<!-- table /);
    expect(withTables(document, await readResults())).toBe(document);
  },
);
