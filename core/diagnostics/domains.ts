/** Whether the documents have the domains that a user has named a field for. */
import { MIXED_DOMAIN } from '../corpus/packing/pack.ts';
import { baseName } from '../corpus/reading/input-file.ts';
import type { CorpusIndex } from '../formats.ts';

/** Where a document names no domain, its file is one; a field that nobody has set is expected to be missing. */
const UNSET = 'domain';

/** A misspelt field would else be noticed by nobody. */
export function domainWarnings({ domains, inputs }: Pick<CorpusIndex, 'domains' | 'inputs'>, field: string): string[] {
  const files = new Set(inputs.map(({ uri }) => baseName(uri)));
  const named = domains.some(({ name }) => name !== MIXED_DOMAIN && !files.has(name));
  if (field === UNSET || named) return [];
  return [`no document names a domain in the field "${field}", so each file counts as one: check corpus.domainField.`];
}
