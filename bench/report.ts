/** The results of the benchmarks, as data and as a table. */
import Table from 'cli-table3';
import { formatCount, PLAIN_TABLE } from '../bin/format.ts';

export interface Spread {
  min: number;
  median: number;
  max: number;
}

/** How fast one program does one task, and how much memory it takes. */
export interface Rates {
  /** Units per second of wall time, and per second of processor time over all threads. */
  perSecond: Spread;
  perCpuSecond: Spread;
  /** Largest resident set of its process. */
  peakMegabytes?: number;
}

export interface Peer extends Rates {
  name: string;
  /** Our rate over theirs, by processor time: above 1, ours is faster. */
  ratio: Spread;
  /** The same by the wall clock. */
  wallRatio: Spread;
  /** Largest relative difference between the two results, if they should be the same. */
  difference?: number;
}

export interface Row {
  what: string;
  /** The unit that is counted: tokens, probes, documents. */
  unit: string;
  ours: Rates;
  /** Share of the machine's matrix-product rate (`bench/gemm.ts`) that ours sustains. */
  share?: number;
  peers: Peer[];
}

/** The settings that every benchmark gets. */
export interface Settings {
  threads: number;
  /** Turns of each contender. */
  rounds: number;
  /** The least duration of a turn. */
  seconds: number;
  /** Rows of the pool that is selected from. */
  rows: number;
  /** GFLOP/s of this machine's matrix products on `threads` threads. */
  gemmGigaflops: number;
  /** Reports progress. */
  log(line: string): void;
}

export interface Bench {
  name: string;
  about: string;
  run(settings: Settings): Promise<Row[]>;
}

export function table(rows: readonly Row[]): string {
  const head = ['what', 'a CPU second', 'a second', 'peak MB', 'ours / theirs: median (min to max)', 'difference'];
  const view = new Table({ ...PLAIN_TABLE, head });
  for (const { what, unit, ours, share, peers } of rows) {
    const ofMatrixRate = share === undefined ? '' : `${(100 * share).toFixed(0)} % of the matrix rate`;
    view.push([what, ...figures(ours, unit), ofMatrixRate, '']);
    for (const peer of peers) {
      const { min, median, max } = peer.ratio;
      const ratio = `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
      view.push([`  ${peer.name}`, ...figures(peer, unit), ratio, peer.difference?.toExponential(0) ?? '']);
    }
  }
  return view.toString();
}

function figures({ perCpuSecond, perSecond, peakMegabytes }: Rates, unit: string): string[] {
  return [
    `${show(perCpuSecond.median)} ${unit}`,
    show(perSecond.median),
    peakMegabytes === undefined ? '' : formatCount(peakMegabytes),
  ];
}

function show(value: number): string {
  return value < 100 ? value.toPrecision(3) : formatCount(value);
}
