/** Whether the documents have the domains that a user expects. */
import { MIXED_DOMAIN } from '../corpus/packing/pack.ts';
import { baseName } from '../corpus/reading/input-file.ts';
import type { CorpusIndex } from '../formats.ts';
import { plural } from '../plural.ts';

/**
 * The default field. If nobody has set another, it may be missing: a document that names no domain has its file for
 * one.
 */
const UNSET = 'domain';

type Corpus = Pick<CorpusIndex, 'domains' | 'inputs'>;

/** What a user should know of the domains, in sentences. */
export function domainWarnings(corpus: Corpus, field: string): string[] {
  return [...missingField(corpus, field), ...namesakes(corpus, field)];
}

/** Otherwise nobody would notice a misspelt field. */
function missingField({ domains, inputs }: Corpus, field: string): string[] {
  const files = new Set(inputs.map(({ uri }) => baseName(uri)));
  const named = domains.some(({ name }) => name !== MIXED_DOMAIN && !files.has(name));
  if (field === UNSET || named) return [];
  return [`no document names a domain in the field "${field}", so each file counts as one: check corpus.domainField.`];
}

/** Files of the same name, such as `en/part-0.jsonl` and `fr/part-0.jsonl`, when documents have it for their domain. */
function namesakes({ domains, inputs }: Corpus, field: string): string[] {
  const byName = new Map<string, string[]>();
  for (const { uri } of inputs) {
    const name = baseName(uri);
    const others = byName.get(name);
    if (others) others.push(uri);
    else byName.set(name, [uri]);
  }
  const shared = domains.filter(({ name }) => (byName.get(name)?.length ?? 0) > 1).map(({ name }) => name);
  const [name] = shared;
  if (name === undefined) return [];
  const [first, second] = byName.get(name)!;
  const others = shared.length - 1;
  const more = others > 0 ? ` (and ${others} other ${plural(others, 'name is', 'names are')} shared so)` : '';
  return [
    `${first} and ${second} count as one domain, "${name}"${more}, by the name of both files: ` +
      `where they are not one, give each document its domain in the field "${field}" (corpus.domainField), or the files different names.`,
  ];
}
