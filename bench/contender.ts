/**
 * Compares the speed of two programs. Each is a process that does a task when told to and sleeps otherwise, so that
 * they take turns on the same cores: A, B, A, B, ... Other load on the machine then affects both alike, and the ratio
 * of two neighbouring turns is reliable even if the times themselves are not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { spread } from './measure.ts';
import type { Peer, Rates, Row, Settings } from './report.ts';

export interface Contender {
  /** Its name in the results. */
  name: string;
  /** A program that keeps the protocol: `serve` of `bench/worker.ts`, or that of `bench/peers/worker.py`. */
  command: readonly string[];
  /** Added to the environment; undefined removes a variable. */
  environment?: Readonly<Record<string, string | undefined>>;
}

/** The line that asks for a turn. */
export interface Request {
  task: string;
  /** The task is repeated for at least this long; with 0 it runs once. */
  seconds: number;
}

/** The line that answers it. */
export interface Turn {
  /** Units of work done: tokens, probes, documents. */
  units: number;
  seconds: number;
  /** Processor time, over all threads. */
  cpuSeconds: number;
  /** Largest resident set of the process so far. */
  peakMegabytes: number;
  /** The result of the task's second call, if any, for comparing the contenders' results. */
  value?: unknown;
}

export interface Comparison {
  ours: Contender;
  /**
   * Ours is measured against one peer after the other, so that only two are in memory; without peers, ours runs alone.
   */
  peers: readonly Contender[];
  tasks: readonly string[];
  unit: string;
  what(task: string): string;
  /** Largest relative difference between the results of a task; by default, results are not compared. */
  difference?(ours: unknown, theirs: unknown): number;
}

/** One row of results for each task. */
export async function compare(comparison: Comparison, settings: Settings): Promise<Row[]> {
  const { ours, peers, tasks, unit, what, difference } = comparison;
  const rows: Row[] = [];
  for (const task of tasks) {
    const own: Turn[] = [];
    const results: Peer[] = [];
    if (peers.length === 0) own.push(...(await takeTurns([ours], task, settings))[0]!);
    for (const peer of peers) {
      settings.log(`${what(task)}: ours and ${peer.name}`);
      const [a, b] = (await takeTurns([ours, peer], task, settings)) as [Turn[], Turn[]];
      own.push(...a);
      const ratio = (rate: (turn: Turn) => number) => spread(a.map((turn, i) => rate(turn) / rate(b[i]!)));
      results.push({
        name: peer.name,
        ...ratesOf(b),
        ratio: ratio(perCpuSecond),
        wallRatio: ratio(perSecond),
        difference: difference?.(a.at(-1)!.value, b.at(-1)!.value),
      });
    }
    rows.push({ what: what(task), unit, ours: ratesOf(own), peers: results });
  }
  return rows;
}

/** The turns of each contender in one task, in new processes, so that their peak memory is that of this task. */
async function takeTurns(
  contenders: readonly Contender[],
  task: string,
  { rounds, seconds }: Settings,
): Promise<Turn[][]> {
  const started: Process[] = [];
  try {
    for (const contender of contenders) started.push(new Process(contender));
    for (const process of started) await process.turn({ task, seconds: 0 }); // warms up
    const turns = started.map((): Turn[] => []);
    for (let round = 0; round < rounds; round++)
      for (const [i, process] of started.entries()) turns[i]!.push(await process.turn({ task, seconds }));
    return turns;
  } finally {
    await Promise.all(started.map((process) => process.end()));
  }
}

class Process {
  private readonly name: string;
  private readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string>;
  private readonly gone: Promise<unknown>;
  private errors = '';

  constructor({ name, command, environment }: Contender) {
    this.name = name;
    const [file, ...rest] = command;
    this.child = spawn(file!, rest, { env: { ...process.env, ...environment }, stdio: 'pipe' });
    this.child.stderr!.on('data', (text) => {
      this.errors = (this.errors + text).slice(-2000);
    });
    this.answers = createInterface(this.child.stdout!)[Symbol.asyncIterator]();
    this.gone = once(this.child, 'close');
  }

  async turn(request: Request): Promise<Turn> {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`${this.name} ended before it answered ${JSON.stringify(request)}:\n${this.errors}`);
    return JSON.parse(value);
  }

  async end(): Promise<void> {
    this.child.stdin!.end();
    await this.gone;
  }
}

const perSecond = ({ units, seconds }: Turn) => units / seconds;
const perCpuSecond = ({ units, cpuSeconds }: Turn) => units / cpuSeconds;

function ratesOf(turns: readonly Turn[]): Rates {
  return {
    perSecond: spread(turns.map(perSecond)),
    perCpuSecond: spread(turns.map(perCpuSecond)),
    peakMegabytes: Math.max(...turns.map(({ peakMegabytes }) => peakMegabytes)),
  };
}
