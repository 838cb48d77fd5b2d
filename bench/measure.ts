/** What measurements have in common. */
import { existsSync, readFileSync } from 'node:fs';
import type { Spread } from './report.ts';

/**
 * Largest resident set of this process so far. Linux's `maxRSS` starts at that of the process that started this one;
 * the count in /proc does not.
 */
export function peakMegabytes(): number {
  const status = '/proc/self/status';
  const found = existsSync(status) ? /VmHWM:\s*(\d+)/.exec(readFileSync(status, 'utf8')) : null;
  return (found ? Number(found[1]) : process.resourceUsage().maxRSS) / 1024;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { min: sorted[0]!, median: sorted[sorted.length >> 1]!, max: sorted.at(-1)! };
}
