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
  expect(domainWarnings(corpus('books'), 'domain')).toEqual([]); // the default, which nobody has set
});

it('warns once of files in different folders whose shared name is the domain of their documents', () => {
  const names = (...domains: string[]) => ({
    domains: domains.map((name) => ({ name, rows: 3 })),
    inputs: ['en/part-0.jsonl', 'en/part-1.jsonl', 'fr/part-0.jsonl', 'fr/part-1.jsonl.gz', 'notes.txt'].map((uri) => ({
      uri,
      bytes: 1,
      sha256: '',
      documents: 2,
    })),
  });
  const remedy =
    'by the name of both files: where they are not one, give each document its domain in the field "domain" ' +
    '(corpus.domainField), or the files different names.';
  expect(domainWarnings(names('mixed', 'notes', 'part-0'), 'domain')).toEqual([
    `en/part-0.jsonl and fr/part-0.jsonl count as one domain, "part-0", ${remedy}`,
  ]);
  expect(domainWarnings(names('part-0', 'part-1'), 'domain')).toEqual([
    `en/part-0.jsonl and fr/part-0.jsonl count as one domain, "part-0" (and 1 other name is shared so), ${remedy}`,
  ]);
  expect(domainWarnings(names('books', 'mixed', 'notes'), 'domain')).toEqual([]); // those documents name theirs
});
