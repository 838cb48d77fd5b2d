import { ConfigError } from '../errors.ts';
import type { CorpusIndex } from '../formats.ts';
import { counted } from '../plural.ts';
import { CounterRandom, permutation, STREAM } from '../random/philox.ts';

/** The hold-out's rows by use; no row has both uses. */
export interface HoldOutSplit {
  /** For the per-domain losses; the same rows at every stage, so that the losses can be compared. */
  evaluation: Map<number, number[]>;
  /** Rows that may be probed, ascending. In a typed array, eight bytes each, because there may be millions of them. */
  probeable: Float64Array;
}

/**
 * Splits the hold-out: evaluation gets up to `rowsPerDomain` rows of each domain, but no more than a third of the
 * domain's rows; the rest may be probed.
 *
 * @param rows global row numbers, ascending; `domains` holds each row's domain.
 */
export function splitHoldOut(
  rows: ArrayLike<number>,
  domains: Uint16Array,
  rowsPerDomain: number,
  seed: number,
): HoldOutSplit {
  const order = permutation(rows.length, new CounterRandom(seed, STREAM.probeSample, 0));
  const perDomain: number[] = [];
  for (const domain of domains) perDomain[domain] = (perDomain[domain] ?? 0) + 1;
  /** Rows still to be taken from each domain. */
  const wanted = perDomain.map((count) => Math.min(rowsPerDomain, Math.ceil(count / 3)));
  let missing = wanted.reduce((sum, count) => sum + count, 0);
  const probeable = new Float64Array(rows.length - missing);
  const evaluation = new Map<number, number[]>();
  const isTaken = new Uint8Array(rows.length);
  for (let at = 0; missing > 0; at++) {
    const i = order[at]!;
    const domain = domains[i]!;
    if (wanted[domain] === 0) continue;
    const taken = evaluation.get(domain) ?? [];
    taken.push(rows[i]!);
    evaluation.set(domain, taken);
    isTaken[i] = 1;
    wanted[domain]!--;
    missing--;
  }
  for (const taken of evaluation.values()) taken.sort((a, b) => a - b);
  for (let i = 0, at = 0; i < rows.length; i++) if (!isTaken[i]) probeable[at++] = rows[i]!;
  return { evaluation, probeable };
}

/** What to do where the hold-out has too few rows. */
export const MORE_ROWS = 'Lower probe.documents, raise pools.holdOut, or add text to the corpus.';

/**
 * How many hold-out rows can be labelled, whichever domains they belong to. A plan does not read the rows' domains, so
 * it assumes that evaluation keeps the most that {@link splitHoldOut} could.
 *
 * @param domains the corpus's; any of them may have rows in the hold-out.
 * @param control whether the probe needs a row that is not labelled, see {@link controlRows}.
 */
export function mostLabels(
  holdOutRows: number,
  domains: CorpusIndex['domains'],
  { rowsPerDomain, control }: { rowsPerDomain: number; control: boolean },
): number {
  const sizes = domains.map(({ rows }) => rows).filter((rows) => rows > 0);
  const bySize = sizes.reduce((sum, rows) => sum + Math.min(rowsPerDomain, Math.ceil(rows / 3)), 0);
  // Rounding a third up adds at most two thirds of a row for each domain that has rows.
  const third = Math.floor((holdOutRows + 2 * Math.min(sizes.length, holdOutRows)) / 3);
  return Math.max(0, holdOutRows - Math.min(bySize, third) - (control ? 1 : 0));
}

/**
 * The rows to probe before a stage, in probe order: a fresh random sample at each stage.
 *
 * @throws ConfigError when the hold-out has fewer rows than `probe.documents`.
 */
export function probeOrder(probeable: ArrayLike<number>, documents: number, seed: number, stage: number): number[] {
  if (documents > probeable.length)
    throw new ConfigError(
      `probe.documents: ${documents} probes need as many hold-out rows, and ${counted(probeable.length, 'is', 'are')} free. ${MORE_ROWS}`,
    );
  return drawRows(probeable, documents, new CounterRandom(seed, STREAM.probeSample, stage));
}

/**
 * Hold-out rows on which directional labels are compared with a backward pass: enough to tell a correlation of 0.99
 * from 0.8.
 */
export const CHECKED_ROWS = 48;

/**
 * Random text before a stage: at most `wanted` of the rows. They are grouped by domain, so only a shuffle makes them
 * random.
 */
export function randomRows(rows: ArrayLike<number>, wanted: number, seed: number, stage: number): number[] {
  return drawRows(rows, wanted, new CounterRandom(seed, STREAM.lookaheadControl, stage));
}

/** At most `wanted` of the rows, in random order. */
export function drawRows(rows: ArrayLike<number>, wanted: number, random: CounterRandom): number[] {
  return Array.from(permutation(rows.length, random).subarray(0, wanted), (i) => rows[i]!);
}

/**
 * Random text for lookahead's control copy to learn. Probed rows are left out: the label of a row that the copy has
 * learned would only show that it was learned.
 *
 * @throws ConfigError when every free row is probed.
 */
export function controlRows(
  probeable: Float64Array,
  documents: number,
  wanted: number,
  seed: number,
  stage: number,
): number[] {
  const labelled = new Set(probeOrder(probeable, documents, seed, stage));
  const others = probeable.filter((row) => !labelled.has(row));
  if (others.length === 0)
    throw new ConfigError(
      `probe.documents: ${documents} probes take every free row of the hold-out, and probe.method "lookahead" needs others to ` +
        `compare with. ${MORE_ROWS}`,
    );
  return randomRows(others, wanted, seed, stage);
}
