/** Measures, in this process, work for which there is no peer. */
import { existsSync, readFileSync } from 'node:fs';
import type { Rates, Spread } from './report.ts';

const WARM_UP = 3;

/**
 * Repeats `step`, which does `units` of work, for about `seconds` and at least five times, after a warm-up (the first
 * calls compile, and touch memory for the first time).
 */
export async function measure(step: () => Promise<unknown>, units: number, seconds: number): Promise<Rates> {
  for (let i = 0; i < WARM_UP; i++) await step();
  const [wall, processor]: [number[], number[]] = [[], []];
  for (const end = performance.now() + 1000 * seconds; performance.now() < end || wall.length < 5; ) {
    const started = performance.now();
    const before = process.cpuUsage();
    await step();
    const { user, system } = process.cpuUsage(before);
    wall.push((1000 * units) / (performance.now() - started));
    processor.push((1e6 * units) / (user + system));
  }
  return { perSecond: spread(wall), perCpuSecond: spread(processor) };
}

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
