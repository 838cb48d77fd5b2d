/** The working side of the protocol of `bench/contender.ts`. `bench/peers/worker.py` is the same in Python. */
import { createInterface } from 'node:readline';
import type { Request, Turn } from './contender.ts';
import { peakMegabytes } from './measure.ts';

/** Runs the task once and returns its result. */
type Call = () => Promise<unknown>;

/**
 * The first calls compile, and touch memory for the first time: this many, or those of this many seconds, do not count.
 */
const WARM_UP = { calls: 3, seconds: 5 };

/**
 * The call of a task whose result is reported. Contenders make different numbers of calls, and the loss of the second
 * training step shows whether the first step changed the weights alike.
 */
const REPORTED = 2;

/** Answers requests on stdin until it ends. `tasks` maps each name to the units of one call, and the call. */
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
