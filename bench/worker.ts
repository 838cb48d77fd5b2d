/** The side of the protocol of `bench/contender.ts` that does the work. `bench/peers/worker.py` is the same in Python. */
import { createInterface } from 'node:readline';
import type { Request, Turn } from './contender.ts';
import { peakMegabytes } from './measure.ts';

/** One call of the task; its result is reported with the last call's turn. */
type Call = () => Promise<unknown>;

/** The first calls compile, and fault in memory: so many are not counted, or those of so many seconds. */
const WARM_UP = { calls: 3, seconds: 5 };

/** Answers requests on stdin until it ends. `tasks` has for each name the units of one call, and the call. */
export async function serve(tasks: Readonly<Record<string, { units: number; call: Call }>>): Promise<void> {
  const warm = new Set<string>();
  for await (const line of createInterface(process.stdin)) {
    const { task, seconds } = JSON.parse(line) as Request;
    const { units, call } = tasks[task]!;
    let started = performance.now();
    const elapsed = () => (performance.now() - started) / 1000;
    for (let i = 0; i < WARM_UP.calls && elapsed() < WARM_UP.seconds && !warm.has(task); i++) await call();
    warm.add(task);
    const cpu = process.cpuUsage();
    started = performance.now();
    let [calls, value] = [0, undefined as unknown];
    do {
      value = await call();
      calls++;
    } while (elapsed() < seconds);
    const turn: Turn = { units: units * calls, seconds: elapsed(), cpuSeconds: 0, peakMegabytes: 0, value };
    const { user, system } = process.cpuUsage(cpu);
    turn.cpuSeconds = (user + system) / 1e6;
    turn.peakMegabytes = peakMegabytes();
    process.stdout.write(`${JSON.stringify(turn)}\n`);
  }
}
