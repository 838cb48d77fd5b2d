import { type Bootstrap, bootstrapInterval, spearman } from '../../core/metrics/index.ts';
import { documentGroups } from './documents.ts';

/**
 * The 95 % bootstrap interval of Spearman's correlation over rows whose documents are a sample. Rows that share
 * documents are drawn together, with replacement, because they are alike and say little more than one of them alone.
 *
 * @param documents the documents of each row. If no rows share one, the result is the interval over rows.
 * @returns [low, high]; the whole range of a correlation if all rows are in one group.
 */
export function spearmanInterval(
  predicted: ArrayLike<number>,
  truth: ArrayLike<number>,
  documents: readonly (readonly string[])[],
  bootstrap: Bootstrap,
): [number, number] {
  const rows = documents.map((_, row) => ({ row }));
  const groups = documentGroups(rows, (row) => documents[row]!).map((group) => group.map(({ row }) => row));
  if (groups.length === 1) return [-1, 1];
  const ofDrawn = (drawn: Uint32Array) => {
    const rows = Array.from(drawn, (group) => groups[group]!).flat();
    return spearman(
      rows.map((row) => predicted[row]!),
      rows.map((row) => truth[row]!),
    );
  };
  return bootstrapInterval(groups.length, ofDrawn, bootstrap);
}
