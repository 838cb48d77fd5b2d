/** How a selection compares with the pool that it is from, and what a user should be told about that. */
import type { RowStatistics, SelectionCheck, SelectionSummary } from '../formats.ts';
import { FNV_START, fnv1a } from '../random/spread.ts';

/** Tokens in a run: longer than most phrases that independent texts share. */
const RUN = 8;

/** @param tokens [rows x length] of different rows. */
export function rowStatistics(tokens: Int32Array, length: number, endOfText: number): RowStatistics {
  const rows = tokens.length / length;
  const runs = Math.max(0, length - RUN + 1);
  // A run's hash of 32 bits and its row in one number, so that runs of the same tokens come together when sorted.
  const marks = new Float64Array(rows * runs);
  let documents = 0;
  for (let row = 0, at = 0; row < rows; row++) {
    for (let i = 0; i < length; i++) if (tokens[row * length + i] === endOfText) documents++;
    for (let i = 0; i < runs; i++) {
      let hash = FNV_START;
      for (let j = 0; j < RUN; j++) hash = fnv1a(hash, tokens[row * length + i + j]!);
      marks[at++] = (hash >>> 0) * ROWS + row;
    }
  }
  marks.sort();
  let repeated = 0;
  for (let first = 0; first < marks.length; ) {
    const hash = Math.floor(marks[first]! / ROWS);
    let end = first + 1;
    while (end < marks.length && Math.floor(marks[end]! / ROWS) === hash) end++;
    if (marks[first] !== marks[end - 1]) repeated += end - first; // not all in one row
    first = end;
  }
  return { rows, repeated: marks.length ? repeated / marks.length : 0, documents: documents / Math.max(1, rows) };
}

/** Above any number of rows, and still exact in a number when multiplied by 2^32. */
const ROWS = 2 ** 21;

/**
 * Shares, and multiples of the pool's, beyond which a warning is given: a selection may have what its pool has anyway.
 */
const REPEATED = { share: 0.1, timesPool: 3 };
const DOMAIN = { share: 0.8, timesPool: 1.5 };
const DOCUMENTS = { perRow: 3, timesPool: 3 };

/**
 * One sentence for each way in which a selection has collapsed.
 *
 * @param tempered whether `selection.temperature` has an effect on it.
 */
export function selectionWarnings(
  { selected, pool }: Pick<SelectionCheck, 'selected' | 'pool'>,
  selection: SelectionSummary,
  tempered: boolean,
): string[] {
  const warnings: string[] = [];
  if (selected.repeated > REPEATED.share && selected.repeated > REPEATED.timesPool * pool.repeated)
    warnings.push(
      `${percent(selected.repeated)} of the selected text occurs in more than one selected row (in the pool: ${percent(pool.repeated)}): ` +
        'the selection collapses onto near-duplicates; corpus.nearDuplicates "remove" keeps one of each.',
    );
  const { domain, share, poolShare } = mostSelected(selection);
  if (share > DOMAIN.share && share > DOMAIN.timesPool * poolShare)
    warnings.push(
      `${percent(share)} of the selected rows are of the domain ${domain}, which is ${percent(poolShare)} of the pool: ` +
        `see the mixed-domain loss; a higher ${tempered ? 'selection.temperature or ' : ''}selection.fraction keeps more of the others.`,
    );
  if (selected.documents > DOCUMENTS.perRow && selected.documents > DOCUMENTS.timesPool * pool.documents)
    warnings.push(
      `A selected row has ${selected.documents.toFixed(1)} documents on average, one of the pool ${pool.documents.toFixed(1)}: ` +
        'the selection prefers very short texts; leave them out of the corpus if they are not what you want.',
    );
  return warnings;
}

/** The domain of the most selected rows, and how large a share of them and of the pool it is. */
export function mostSelected({ selectedDomains, poolDomains, selectedRows, poolRows }: SelectionSummary) {
  const [domain, rows] = Object.entries(selectedDomains).reduce((a, b) => (b[1] > a[1] ? b : a));
  return { domain, share: rows / selectedRows, poolShare: (poolDomains[domain] ?? 0) / poolRows };
}

/** Formatted as in the closing table. */
const percent = (share: number) => `${Number((100 * share).toFixed(1))} %`;
