/** How fast something is, by the wall clock and by processor time: the latter holds on a machine that others use too. */
export interface Rate {
  /** Units a second; the median of the repetitions. */
  perSecond: number;
  /** Units a second of processor time, over all threads. */
  perCpuSecond: number;
}

const WARM_UP = 3;

/**
 * Repeats `step`, which does `units` of work, for about `seconds`, and at least five times, after a warm-up (the first
 * calls compile and fault in memory).
 */
export async function measure(step: () => Promise<unknown>, units: number, seconds = 2): Promise<Rate> {
  for (let i = 0; i < WARM_UP; i++) await step();
  const times: number[] = [];
  const before = process.cpuUsage();
  for (const end = performance.now() + 1000 * seconds; performance.now() < end || times.length < 5; ) {
    const started = performance.now();
    await step();
    times.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(before);
  times.sort((a, b) => a - b);
  return {
    perSecond: (1000 * units) / times[times.length >> 1]!,
    perCpuSecond: (1e6 * units * times.length) / (user + system),
  };
}
