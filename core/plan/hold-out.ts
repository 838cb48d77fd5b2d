import { ConfigError } from '../errors.ts';
import { CounterRandom, permutation, STREAM } from '../random/philox.ts';

/** Uses of the hold-out's rows. Rows of the one are never rows of the other. */
export interface HoldOutSplit {
  /** For the per-domain losses; the same rows at every stage, so that the losses can be compared. */
  evaluation: Map<number, number[]>;
  /** What may be probed, ascending. Eight bytes a row: a hold-out may have millions of them. */
  probed: Float64Array;
}

/**
 * Splits the hold-out: from each domain up to `rowsPerDomain` rows, and no more than a third of what it has, for
 * evaluation; the rest may be probed.
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
  const perDomain = new Map<number, number>();
  for (const domain of domains) perDomain.set(domain, (perDomain.get(domain) ?? 0) + 1);
  const evaluation = new Map<number, number[]>();
  const isTaken = new Uint8Array(rows.length);
  let left = rows.length;
  for (const i of order) {
    const domain = domains[i]!;
    const taken = evaluation.get(domain) ?? [];
    if (taken.length >= Math.min(rowsPerDomain, Math.ceil(perDomain.get(domain)! / 3))) continue;
    taken.push(rows[i]!);
    evaluation.set(domain, taken);
    isTaken[i] = 1;
    left--;
  }
  for (const taken of evaluation.values()) taken.sort((a, b) => a - b);
  const probed = new Float64Array(left);
  for (let i = 0, at = 0; i < rows.length; i++) if (!isTaken[i]) probed[at++] = rows[i]!;
  return { evaluation, probed };
}

/**
 * The rows to probe before a stage, in probe order: a fresh random sample at each stage.
 *
 * @throws ConfigError when the hold-out has fewer rows than `probe.documents`.
 */
export function probeOrder(probed: ArrayLike<number>, documents: number, seed: number, stage: number): number[] {
  if (documents > probed.length)
    throw new ConfigError(
      `probe.documents: ${documents} probes need as many hold-out rows, and ${probed.length} are free. ` +
        'Lower probe.documents, raise pools.holdOut, or add text to the corpus.',
    );
  const order = permutation(probed.length, new CounterRandom(seed, STREAM.probeSample, stage));
  return Array.from(order.subarray(0, documents), (i) => probed[i]!);
}
