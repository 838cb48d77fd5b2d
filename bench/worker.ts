/** The side of the protocol of `bench/contender.ts` that does the work. `bench/peers/worker.py` is the same in Python. */
import { createInterface } from 'node:readline';
import type { Request, Turn } from './contender.ts';
import { peakMegabytes } from './measure.ts';

/** One call of the task, and what it has computed. */
type Call = () => Promise<unknown>;

/** The first calls compile, and fault in memory: so many are not counted, or those of so many seconds. */
const WARM_UP = { calls: 3, seconds: 5 };

/**
 * The call whose result is reported, of all that a process makes of a task: contenders make different numbers of them, and
 * the second training step's loss tells whether the first moved the weights alike.
 */
const REPORTED = 2;

/** Answers requests on stdin until it ends. `tasks` has for each name the units of one call, and the call. */
export async function serve(tasks: Readonly<Record<string, { units: number; call: Call }>>): Promise<void> {
  const called = new Map<string, number>();
  const results = new Map<string, unknown>();
  for await (const line of createInterface(process.stdin)) {
    const { task, seconds } = JSON.parse(line) as Request;
    const { units, call } = tasks[task]!;
    const counted = async () => {
      const value = await call();
      const calls = (called.get(task) ?? 0) + 1;
      called.set(task, calls);
      if (calls === REPORTED) results.set(task, value);
    };
    const cold = !called.has(task);
    let started = performance.now();
    const elapsed = () => (performance.now() - started) / 1000;
    for (let i = 0; i < WARM_UP.calls && elapsed() < WARM_UP.seconds && cold; i++) await counted();
    const cpu = process.cpuUsage();
    started = performance.now();
    let calls = 0;
    do {
      await counted();
      calls++;
    } while (elapsed() < seconds);
    const turn: Turn = {
      units: units * calls,
      seconds: elapsed(),
      cpuSeconds: 0,
      peakMegabytes: 0,
      value: results.get(task),
    };
    const { user, system } = process.cpuUsage(cpu);
    turn.cpuSeconds = (user + system) / 1e6;
    turn.peakMegabytes = peakMegabytes();
    process.stdout.write(`${JSON.stringify(turn)}\n`);
  }
}
