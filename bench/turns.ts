/**
 * Programs that do the same work once each, in turns: A, B, A, B, ... Every turn is a process of its own, so that its
 * peak memory and the cost of first touching it are in the measure; and what else the machine does hits neighbours
 * alike, so that ratios of neighbouring turns hold where the times do not.
 *
 * A program ends its output with one line of JSON, see {@link Turn}.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { buildSync } from 'esbuild';
import { formatCount, PLAIN_TABLE } from '../bin/commands/format.ts';
import type { Turn } from './one-turn.ts';

export interface Contender {
  name: string;
  command: readonly string[];
}

/** Of {@link Turn}s. */
export interface Result {
  name: string;
  turns: Turn[];
}

/**
 * A TypeScript program of `bench/workers`, bundled into the folder as the jobs' images have it: `tsx` takes 40 MB
 * itself.
 */
export function ours(name: string, script: string, folder: string, ...rest: string[]): Contender {
  const bundle = join(folder, script.replace('.ts', '.mjs'));
  const path = join(import.meta.dirname, 'workers', script);
  buildSync({
    entryPoints: [path],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  });
  return { name, command: [process.execPath, bundle, ...rest] };
}

const CACHE = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
/** Has NumPy and data-selection, see `bench/peers`. */
const PYTHON = process.env.MATES_PEERS_PYTHON ?? join(CACHE, 'mates-peers', 'venv', 'bin', 'python');

/** A Python program of `bench/peers`; none where Python or what it imports is not installed. */
export function peer(name: string, module: string, script: string, ...rest: string[]): Contender[] {
  const found = existsSync(PYTHON) && spawnSync(PYTHON, ['-c', `import ${module}`]).status === 0;
  if (found) return [{ name, command: [PYTHON, join(import.meta.dirname, 'peers', script), ...rest] }];
  console.log(`${name}: left out, as ${PYTHON} has no ${module} (install bench/peers/requirements-data.txt for it).`);
  return [];
}

export function takeTurns(contenders: readonly Contender[], rounds: number): Result[] {
  const results = contenders.map(({ name }): Result => ({ name, turns: [] }));
  for (let round = 0; round < rounds; round++)
    for (const [i, contender] of contenders.entries()) results[i]!.turns.push(turnOf(contender));
  return results;
}

function turnOf({ name, command: [file, ...rest] }: Contender): Turn {
  // NumPy's library takes the processor for another one where this is set.
  const { OPENBLAS_CORETYPE: _, ...env } = process.env;
  const child = spawnSync(file!, rest, { encoding: 'utf8', env, maxBuffer: 1 << 26 });
  if (child.status !== 0) throw new Error(`${name} failed:\n${child.stderr}`);
  return JSON.parse(child.stdout.trim().split('\n').at(-1)!);
}

export interface Spread {
  min: number;
  median: number;
  max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { min: sorted[0]!, median: sorted[sorted.length >> 1]!, max: sorted.at(-1)! };
}

/** Theirs over the first one's: how many times less processor time, and memory, the first takes. */
export function ratios(results: readonly Result[]): { name: string; cpu: Spread; memory: Spread }[] {
  const [first, ...others] = results;
  const ratio = (other: Result, of: (turn: Turn) => number) =>
    spread(other.turns.map((turn, i) => of(turn) / of(first!.turns[i]!)));
  return others.map((other) => ({
    name: other.name,
    cpu: ratio(other, ({ cpuSeconds }) => cpuSeconds),
    memory: ratio(other, ({ peakMegabytes }) => peakMegabytes),
  }));
}

/** @param units of work in a turn, of which the table has the rate. */
export function printTurns(results: readonly Result[], units: number, unit: string): void {
  const head = ['', 'CPU s', `${unit} a CPU s`, 'peak MB', "CPU, over the first's", "memory, over the first's"];
  const table = new Table({ ...PLAIN_TABLE, head });
  const found = [undefined, ...ratios(results)];
  const show = (value?: Spread) =>
    value ? `${value.median.toFixed(2)} (${value.min.toFixed(2)} to ${value.max.toFixed(2)})` : '';
  for (const [i, { name, turns }] of results.entries()) {
    const cpu = spread(turns.map(({ cpuSeconds }) => cpuSeconds)).median;
    const peak = Math.max(...turns.map(({ peakMegabytes }) => peakMegabytes));
    const rate = units / cpu;
    const shown = rate < 100 ? rate.toPrecision(3) : formatCount(rate);
    table.push([name, cpu.toFixed(2), shown, formatCount(peak), show(found[i]?.cpu), show(found[i]?.memory)]);
  }
  console.log(table.toString());
}
