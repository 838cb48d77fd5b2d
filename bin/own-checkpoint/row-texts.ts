import type { Corpus } from '../../core/corpus/corpus.ts';
import { throwIfStopped } from '../../core/errors.ts';
import { parquetRows, readParquet } from '../../core/parquet.ts';
import type { ProgressReporter } from '../../core/progress.ts';
import { finite } from '../../core/selection/scores.ts';
import type { Store } from '../../core/storage/index.ts';

/** Rows of the selection that are read together: one row group of its file. */
const SELECTION_ROWS = 1 << 16;
/** Tokens of the rows whose texts are in memory at once: some 16 MB. */
const TEXT_TOKENS = 1 << 22;

/**
 * The selected rows as JSON Lines of `{row, domain, utility, documents, text}`, in order of row, in pieces of some
 * thousand rows.
 *
 * @param selection a `selection.parquet`.
 */
export async function* rowTexts(
  corpus: Corpus,
  selection: { store: Store; key: string },
  signal: AbortSignal,
  progress: ProgressReporter,
): AsyncGenerator<Uint8Array> {
  const total = await parquetRows(selection);
  const step = Math.max(1, Math.floor(TEXT_TOKENS / corpus.index.sequenceLength));
  for (let begin = 0; begin < total; begin += SELECTION_ROWS) {
    const end = Math.min(total, begin + SELECTION_ROWS);
    const columns = { row: 'INT64', domain: 'STRING', utility: 'FLOAT' } as const;
    const { row, domain, utility } = await readParquet(selection, columns, { begin, end });
    for (let first = 0; first < row.length; first += step) {
      throwIfStopped(signal, 'writing the texts stopped; the same command writes them.');
      const rows = row.slice(first, first + step);
      const texts = await corpus.texts(rows);
      const documents = await corpus.documents(rows);
      const lines = rows.map((number, i) => {
        const at = first + i;
        const about = { row: number, domain: domain[at], utility: finite(utility[at]!) };
        return `${JSON.stringify({ ...about, documents: documents[i], text: texts[i] })}\n`;
      });
      yield Buffer.from(lines.join(''));
      progress({ step: 'Write the texts', done: begin + first + rows.length, total, unit: 'rows' });
    }
  }
}
