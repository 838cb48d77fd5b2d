/**
 * Lets programs that do the same work take turns: A, B, A, B, ... Every turn is a process of its own, so that its peak
 * memory and the cost of first touching that memory are measured too. Other load on the machine affects neighbouring
 * turns alike, so their ratios are reliable even if the times are not.
 *
 * A program ends its output with one line of JSON; see {@link Turn}.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { spread } from './measure.ts';
import type { Turn } from './one-turn.ts';
import { havePeers, PYTHON } from './peers.ts';
import type { Peer, Rates, Row } from './report.ts';

export interface Contender {
  name: string;
  command: readonly string[];
}

/** The folder of the bundles, from which they find the packages that they import. */
const BUNDLES = join(import.meta.dirname, '..', 'node_modules', '.cache', 'mates-bench');

/** A TypeScript program of `bench/workers`, bundled as in the jobs' images, since `tsx` itself takes 40 MB. */
export function ours(name: string, script: string, ...rest: string[]): Contender {
  const bundle = join(BUNDLES, script.replace('.ts', '.mjs'));
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

/** A Python program of `bench/peers`; none if the peers are not installed. */
export function peer(name: string, script: string, ...rest: string[]): Contender[] {
  if (!havePeers()) return [];
  return [{ name, command: [PYTHON, join(import.meta.dirname, 'peers', script), ...rest] }];
}

export interface Work {
  what: string;
  /** Units of work in a turn, and their name. */
  units: number;
  unit: string;
  rounds: number;
}

/** One row of results: the first contender compared with the others. */
export function compareTurns({ what, units, unit, rounds }: Work, contenders: readonly Contender[]): Row {
  const turns = contenders.map((): Turn[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, contender] of contenders.entries()) turns[i]!.push(turnOf(contender));
  const [own, ...others] = turns as [Turn[], ...Turn[][]];
  const rates = (of: readonly Turn[]): Rates => ({
    perSecond: spread(of.map(({ seconds }) => units / seconds)),
    perCpuSecond: spread(of.map(({ cpuSeconds }) => units / cpuSeconds)),
    peakMegabytes: Math.max(...of.map(({ peakMegabytes }) => peakMegabytes)),
  });
  const peers = others.map((theirs, i): Peer => {
    const ratio = (of: (turn: Turn) => number) => spread(theirs.map((turn, round) => of(turn) / of(own[round]!)));
    return {
      name: contenders[i + 1]!.name,
      ...rates(theirs),
      ratio: ratio(({ cpuSeconds }) => cpuSeconds),
      wallRatio: ratio(({ seconds }) => seconds),
    };
  });
  return { what, unit, ours: rates(own), peers };
}

function turnOf({ name, command: [file, ...rest] }: Contender): Turn {
  // If this is set, NumPy's library treats the processor as another one.
  const { OPENBLAS_CORETYPE: _, ...env } = process.env;
  const child = spawnSync(file!, rest, { encoding: 'utf8', env, maxBuffer: 1 << 26 });
  if (child.status !== 0) throw new Error(`${name} failed:\n${child.stderr}`);
  return JSON.parse(child.stdout.trim().split('\n').at(-1)!);
}
