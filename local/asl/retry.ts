/** Matching errors and spacing retries; https://states-language.net/spec.html#errors. */
import type { Catcher, Retrier, StatesError } from './types.ts';

/**
 * States.ALL does not match these: States.Runtime always ends the execution; States.DataLimitExceeded must be named.
 */
const TERMINAL = 'States.Runtime';
const MUST_BE_NAMED = 'States.DataLimitExceeded';

function matches({ error }: StatesError, names: string[]): boolean {
  if (error === TERMINAL) return false;
  return names.includes(error) || (names.includes('States.ALL') && error !== MUST_BE_NAMED);
}

export function catcherFor(error: StatesError, catchers: Catcher[] = []): Catcher | undefined {
  return catchers.find((catcher) => matches(error, catcher.ErrorEquals));
}

/** Counts the attempts by each retrier during one visit to a state. */
export class Retries {
  private readonly retriers: Retrier[];
  private readonly used: number[];
  private readonly random: () => number;

  constructor(retriers: Retrier[] = [], random: () => number) {
    this.retriers = retriers;
    this.used = retriers.map(() => 0);
    this.random = random;
  }

  /** Seconds to wait before the next attempt, or undefined when the error is not to be retried (again). */
  delayAfter(error: StatesError): number | undefined {
    const index = this.retriers.findIndex((retrier) => matches(error, retrier.ErrorEquals));
    const retrier = this.retriers[index];
    if (!retrier || this.used[index]! >= (retrier.MaxAttempts ?? 3)) return undefined;
    const { IntervalSeconds = 1, BackoffRate = 2, MaxDelaySeconds = Number.POSITIVE_INFINITY } = retrier;
    const delay = Math.min(IntervalSeconds * BackoffRate ** this.used[index]!++, MaxDelaySeconds);
    return retrier.JitterStrategy === 'FULL' ? this.random() * delay : delay;
  }
}
