import { type Bootstrap, bootstrapInterval, spearman } from '../../core/metrics/index.ts';

/**
 * The 95 % bootstrap interval of Spearman's correlation over rows whose documents are a sample: documents are drawn with
 * replacement, each with all of its rows, as rows of one document are alike and say little more than one of them.
 *
 * @param documents of each row. Where each has one row, it is the interval over rows.
 * @returns [low, high]; all that a correlation may be where there is a single document.
 */
export function spearmanInterval(
  predicted: ArrayLike<number>,
  truth: ArrayLike<number>,
  documents: readonly string[],
  bootstrap: Bootstrap,
): [number, number] {
  const rowsOf = new Map<string, number[]>();
  for (const [row, document] of documents.entries()) {
    const rows = rowsOf.get(document);
    if (rows) rows.push(row);
    else rowsOf.set(document, [row]);
  }
  const groups = [...rowsOf.values()];
  if (groups.length === 1) return [-1, 1];
  const numbers = Float64Array.from(groups.keys());
  const ofDrawn = (drawn: Float64Array) => {
    const rows = Array.from(drawn, (group) => groups[group]!).flat();
    return spearman(
      rows.map((row) => predicted[row]!),
      rows.map((row) => truth[row]!),
    );
  };
  return bootstrapInterval(numbers, numbers, ofDrawn, bootstrap);
}
