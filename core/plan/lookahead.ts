/** How lookahead keeps some of the reference passages aside, as far as plans and estimates of cost need it. */

import { ConfigError } from '../errors.ts';

/** A share of the reference passages guards against learning the others by heart. */
const GUARD_SHARE = 0.25;
/** The guard is measured before the first step, after every so many, and after the last. */
export const GUARD_EVERY = 4;

/** Passages that are kept aside, of so many. */
export function guardPassages(passages: number): number {
  return Math.max(1, Math.round(GUARD_SHARE * passages));
}

/** @throws ConfigError when there are so few that none would be left to learn. */
export function requireGuard(passages: number): void {
  if (guardPassages(passages) < passages) return;
  throw new ConfigError(
    `reference.passages: ${passages} are too few for probe.method "lookahead", which keeps a quarter of them aside.`,
  );
}

/** How often they are read in so many steps. */
export function guardReadings(steps: number): number {
  return 1 + Math.ceil(steps / GUARD_EVERY);
}
