import { expect, it } from 'vitest';
import { domainWarnings } from '../../core/diagnostics/domains.ts';

const corpus = (...names: string[]) => ({
  domains: names.map((name) => ({ name, rows: 3 })),
  inputs: [{ uri: 'texts/books.jsonl.gz', bytes: 1, sha256: '', documents: 2 }],
});

it('warns of a field for domains that no document has, and of no other', () => {
  expect(domainWarnings(corpus('books', 'mixed'), 'sorce')).toEqual([
    'no document names a domain in the field "sorce", so each file counts as one: check corpus.domainField.',
  ]);
  expect(domainWarnings(corpus('books', 'novels'), 'source')).toEqual([]);
  expect(domainWarnings(corpus('books'), 'domain')).toEqual([]); // nobody has set it
});
