import type { RunConfig } from '../../core/config/schema.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import { RunError } from '../../core/errors.ts';

/** Measures a row's influence on the current checkpoint; each method is one implementation. */
export interface InfluenceProbe {
  /** The number of rows that is fastest to measure in one call; the results do not depend on it. */
  readonly rowsAtOnce: number;
  /**
   * One call at a time: an implementation may reuse its memory.
   *
   * @param tokens rows of the corpus, [rows x length].
   * @returns for each row two losses and their difference; the lower the influence, the more helpful the row. A pure
   *   function of the checkpoint and the row: order, worker, other rows and earlier calls do not matter.
   */
  influences(tokens: Int32Array, length: number): Promise<Influence[]>;
}

export interface Influence {
  /**
   * The loss that the method measures: the reference loss after the row, or the row's own loss after the references.
   */
  loss: number;
  /** The loss without that row, or without those references. */
  baseline: number;
  /** Their difference, in the method's units. The influence model standardises it, so its scale does not matter. */
  influence: number;
}

/** What to change if a method's numbers overflow. */
const REMEDIES: Record<RunConfig['probe']['method'], string> = {
  exact: 'lower probe.learningRateScale',
  lookahead: 'lower probe.learningRateScale',
  directional: 'lower probe.directional.relativeStep',
};

/**
 * Measures rows of the corpus.
 *
 * @throws RunError naming the first row whose influence is not finite: it could be neither stored nor ranked.
 */
export async function influencesOf(
  probe: InfluenceProbe,
  method: RunConfig['probe']['method'],
  corpus: Corpus,
  rows: readonly number[],
): Promise<Influence[]> {
  const found = await probe.influences(await corpus.tokenRows(rows), corpus.index.sequenceLength);
  const bad = found.findIndex(({ influence }) => !Number.isFinite(influence));
  if (bad < 0) return found;
  const { loss, baseline } = found[bad]!;
  throw new RunError(
    `row ${rows[bad]}: the ${method} probe measured the losses ${loss} and ${baseline}, so its influence is not a finite number. In ` +
      `another run, ${REMEDIES[method]}, or choose another probe.method.`,
  );
}
