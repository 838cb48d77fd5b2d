/**
 * `npm run bench [-- BENCH...] [--threads N] [--rounds N] [--seconds S] [--rows N] [--json]`: how fast everything here
 * is, compared with the usual alternatives and with the rate of this machine's matrix products.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { decoder } from './decoder.ts';
import { dsir } from './dsir.ts';
import { GEMM_SHAPES, gemmRate } from './gemm.ts';
import { oneProcess } from './one-process.ts';
import { havePeers, NO_PEERS } from './peers.ts';
import { plan } from './plan.ts';
import { probe } from './probe.ts';
import { type Bench, type Row, type Settings, table } from './report.ts';
import { ridgeAndDuplicates } from './rows.ts';
import { scoring } from './scoring.ts';
import { selection } from './selection.ts';

/** All benchmarks, in the order in which they run. */
const BENCHES: readonly Bench[] = [decoder, probe, scoring, dsir, ridgeAndDuplicates, oneProcess, selection, plan];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    rows: { type: 'string', default: '20000000' },
    json: { type: 'boolean' },
  },
});
const unknown = positionals.find((name) => !BENCHES.some((bench) => bench.name === name));
if (unknown) {
  console.error(`There is no benchmark "${unknown}". There are: ${BENCHES.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}
const threads = Number(values.threads ?? availableParallelism());
const settings: Settings = {
  threads,
  rounds: Number(values.rounds),
  seconds: Number(values.seconds),
  rows: Number(values.rows),
  gemmGigaflops: await gemmRate(threads, GEMM_SHAPES[0]!),
  log: (line) => console.error(line),
};
if (!havePeers()) settings.log(NO_PEERS);

const results: { name: string; rows: Row[] }[] = [];
for (const bench of BENCHES)
  if (positionals.length === 0 || positionals.includes(bench.name)) {
    const rows = await bench.run(settings);
    results.push({ name: bench.name, rows });
    // All benchmarks together take an hour, so each is shown as soon as it is done, even if the last line will be JSON.
    (values.json ? console.error : console.log)(`\n${bench.name}: ${bench.about}\n${table(rows)}`);
  }

const { gemmGigaflops } = settings;
if (values.json) console.log(JSON.stringify({ threads, gemmGigaflops, peers: havePeers(), benches: results }));
else
  console.log(
    `\nMatrix products, float32 1024 x 1024 x 1024: ${gemmGigaflops.toFixed(0)} GFLOP/s on ${threads} threads`,
  );
