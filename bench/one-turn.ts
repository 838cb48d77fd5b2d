import { peakMegabytes } from './measure.ts';

/** The last line that a program of `bench/workers` or `bench/peers` prints, as JSON. */
export interface Turn {
  /** Processor time of the work alone, over all threads. */
  cpuSeconds: number;
  seconds: number;
  /** Largest resident set of the process, start and reading included. */
  peakMegabytes: number;
}

/** Does the work and prints its line. */
export async function oneTurn(work: () => void | Promise<void>): Promise<void> {
  const before = process.cpuUsage();
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  console.log(
    JSON.stringify({ cpuSeconds: (user + system) / 1e6, seconds, peakMegabytes: peakMegabytes() } satisfies Turn),
  );
}
