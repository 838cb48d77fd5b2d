/**
 * Whether passages fit the corpus: a model learns nothing about tokens that the corpus lacks, and learns by heart what
 * is a document of it.
 */
import { PASSAGES } from '../config/ranges.ts';
import type { RunConfig } from '../config/schema.ts';
import type { Corpus } from '../corpus/corpus.ts';
import type { Passage } from '../corpus/passages.ts';
import type { CorpusIndex, PassageStatistics } from '../formats.ts';
import { counted, plural } from '../plural.ts';
import { CounterRandom, distinctBelow, STREAM } from '../random/philox.ts';

/**
 * A token counts as missing if it is in fewer than one of 10,000 places of the corpus, and in the passages at least
 * five times and a hundred times as often: more than a name or a term of the field that happens to be rare.
 */
const MISSING = { corpusShare: 1e-4, count: 5, times: 100 };
/** The share of missing ones among the tokens that count from which on a warning is given. */
const SHARE = 0.02;
const EXAMPLES = 4;
/** Most characters of an example: of passages in a foreign language everything is missing. */
const EXAMPLE_LENGTH = 20;

/** How many of the corpus's tokens passages are compared with: a missing token is at most 26 of them. */
const SAMPLED_TOKENS = 1 << 18;

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** Compares passages with a seeded sample of the corpus's rows. */
export async function comparisonWith(
  corpus: Corpus,
  seed: number,
): Promise<(passages: readonly Passage[]) => PassageStatistics> {
  const { sequenceLength, tokenizer } = corpus.index;
  const wanted = Math.ceil(SAMPLED_TOKENS / sequenceLength);
  const rows = distinctBelow(corpus.index.rows, wanted, new CounterRandom(seed, STREAM.diagnostics));
  const counts = new Uint32Array(tokenizer.vocabularySize);
  for (const token of await corpus.tokenRows(rows)) counts[token] = counts[token]! + 1;
  const words = await corpus.tokenizer();
  return (passages) => passageStatistics(passages, counts, (ids) => words.decode(ids));
}

/**
 * @param counts of each token in a sample of the corpus.
 * @param decode text of tokens.
 */
export function passageStatistics(
  passages: readonly Passage[],
  counts: Uint32Array,
  decode: (ids: number[]) => string,
): PassageStatistics {
  const sampled = counts.reduce((sum, count) => sum + count, 0);
  const own = new Uint32Array(counts.length);
  let targets = 0;
  for (const { tokens, firstTarget } of passages)
    for (const token of tokens.slice(firstTarget)) {
      own[token] = own[token]! + 1;
      targets++;
    }
  const isMissing = (token: number) => {
    const share = counts[token]! / sampled;
    const least = MISSING.times * Math.max(share, 1 / sampled);
    return share < MISSING.corpusShare && own[token]! >= MISSING.count && own[token]! / targets >= least;
  };
  const missing = Array.from(own, (_, token) => isMissing(token));
  let count = 0;
  const runs = new Map<string, number>();
  for (const { tokens, firstTarget } of passages)
    for (let i = firstTarget; i < tokens.length; i++) {
      if (!missing[tokens[i]!]) continue;
      const begin = i;
      while (i + 1 < tokens.length && missing[tokens[i + 1]!]) i++;
      count += i + 1 - begin;
      // Several tokens may be the bytes of one character.
      const text = shortened(decode(tokens.slice(begin, i + 1)).trim());
      runs.set(text, (runs.get(text) ?? 0) + 1);
    }
  const examples = [...runs]
    .filter(([text]) => text !== '' && !text.includes('\ufffd'))
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, EXAMPLES)
    .map(([text]) => text);
  const tokens = passages.reduce((sum, one) => sum + one.tokens.length, 0);
  return { passages: passages.length, tokens, targets, missing: count / targets, examples };
}

/** Cuts a long text between characters, never inside one, and marks the cut. */
function shortened(text: string): string {
  const characters = Array.from(text);
  if (characters.length <= EXAMPLE_LENGTH) return text;
  return `${characters
    .slice(0, EXAMPLE_LENGTH - 1)
    .join('')
    .trimEnd()}\u2026`;
}

/** With fewer passages than these, chance decides: of the examples, the smoke test has as many. */
const FEW = { reference: 16, heldOut: 32 } as const;
const WHY_MORE = {
  reference: 'what suits so few need not suit others of their kind',
  heldOut: 'their loss is as much of these few texts as of their kind',
} as const;

/** The share of all tokens that passages may lose to the length of a row without a warning. */
const LOST = 0.25;

/**
 * Whether much of a file of passages goes unused. Files are called by their fields: a run says the same wherever they lie.
 *
 * @param group the group of the configuration that names the file.
 * @param found passages in the file.
 */
export function unusedWarnings(
  group: 'reference' | 'heldOut',
  { passages: wanted, target }: Omit<RunConfig['reference'], 'input'>,
  passages: readonly Passage[],
  found: number,
): string[] {
  const warnings: string[] = [];
  const used = passages.length;
  if (used < wanted) warnings.push(`${group}.passages is ${wanted}, and ${group}.input has ${used}: these are used.`);
  if (used < FEW[group])
    warnings.push(
      `${group}.input: ${counted(used, 'passage is', 'passages are')} few, and ${WHY_MORE[group]}: give at least ${FEW[group]}, better ${PASSAGES} or more.`,
    );
  // Any other number was chosen.
  if (wanted === PASSAGES && found > used)
    warnings.push(
      `${group}.passages is ${wanted}, its default, and ${group}.input has ${found}: only the first ${used} are used. ` +
        `Set it to ${found} for all of them; the operations that read them grow alike.`,
    );
  if (target === 'last-word') return warnings; // what counts is at the end
  const dropped = passages.reduce((sum, one) => sum + (one.dropped ?? 0), 0);
  const all = passages.reduce((sum, { tokens }) => sum + tokens.length, dropped);
  if (dropped > LOST * all)
    warnings.push(
      `${percent(dropped / all)} of the tokens of ${group}.input are left out, as passages are longer than a row and only their ends are read: ` +
        'cut them into several passages, or choose longer rows (corpus.sequenceLength).',
    );
  return warnings;
}

/** @param name what the passages are called in the message: a field of the configuration, or a file. */
export function passageWarnings(name: string, { missing, examples }: PassageStatistics): string[] {
  if (missing < SHARE) return [];
  const such = examples.length > 0 ? `, such as ${examples.map((text) => JSON.stringify(text)).join(', ')}` : '';
  return [
    `${percent(missing)} of the tokens of ${name} that count are next to absent from the corpus${such}. Their losses ` +
      'are mostly chance, and hide what a selection gains: write them as the corpus does, or give other passages.',
  ];
}

/**
 * Whether passages were kept out of a corpus that was prepared beforehand.
 *
 * @param name what they are called in the message: a field of the configuration, or a flag.
 * @param file the file that they are from.
 * @param hashes `textHash` of each.
 */
export function exclusionWarnings(
  name: string,
  file: string,
  hashes: ReadonlySet<string>,
  { excluded }: Pick<CorpusIndex, 'excluded'>,
): string[] {
  const known = new Set(excluded);
  const others = [...hashes].filter((hash) => !known.has(hash)).length;
  if (others === 0) return [];
  const which = hashes.size === 1 ? 'The passage' : `${others} of the ${hashes.size} passages`;
  const found = excluded
    ? `${which} of ${name} ${plural(others, 'was', 'were')} not kept out of the corpus.`
    : `Whether the passages of ${name} were kept out of the corpus is not known, as an older version prepared it.`;
  return [
    `${found} Those that are documents of it may be selected and trained on, and their loss then says nothing of other texts: ` +
      `prepare the corpus anew, with --exclude ${file} among the flags of mates prepare.`,
  ];
}
