/** How lookahead keeps some of the reference passages aside: the part that plans and cost estimates need. */

import { ConfigError } from '../errors.ts';
import { counted } from '../plural.ts';

/** This share of the reference passages guards against learning the others by heart. */
const GUARD_SHARE = 0.25;
/** The guard is measured before the first step, after every `GUARD_EVERY` steps, and after the last. */
export const GUARD_EVERY = 4;

/** How many of the passages are kept aside. */
export function guardPassages(passages: number): number {
  return Math.max(1, Math.round(GUARD_SHARE * passages));
}

/** @throws ConfigError when there are so few passages that none would be left to learn. */
export function requireGuard(passages: number): void {
  if (guardPassages(passages) < passages) return;
  throw new ConfigError(
    `reference.input has ${counted(passages, 'passage')}, counting equal ones once: too few for probe.method "lookahead", which keeps a quarter of them aside: ` +
      'give at least 2, or choose another probe.method.',
  );
}

/** How many times the passages kept aside are read over `steps` steps. */
export function guardReadings(steps: number): number {
  return 1 + Math.ceil(steps / GUARD_EVERY);
}
