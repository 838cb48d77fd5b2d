/**
 * `npm run bench [-- --threads N] [--json]`: how fast training, probing and scoring are here, beside the rate of this
 * machine's matrix products, which is their ceiling.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { formatCount, PLAIN_TABLE } from '../bin/commands/format.ts';
import { DECODERS, decoderRates, ENCODERS, probeRate, QUICKSTART, scoringRate } from './engine.ts';
import { GEMM_SHAPES, gemmRate } from './gemm.ts';
import type { Rate } from './measure.ts';

const { values } = parseArgs({ options: { threads: { type: 'string' }, json: { type: 'boolean' } } });
const threads = Number(values.threads ?? availableParallelism());

interface Row {
  what: string;
  unit: string;
  rate: Rate;
  /** Share of the machine's matrix-product rate. */
  share?: number;
}

const gemm = await gemmRate(threads, GEMM_SHAPES[0]!);
const rows: Row[] = [];
for (const decoder of DECODERS) {
  const { layers, width, vocabularySize } = decoder.shape;
  const shape = `${layers} layers, width ${width}, vocabulary ${vocabularySize}, ${decoder.batch} x ${decoder.length}`;
  const { training, forward, trainingGigaflops } = await decoderRates(decoder, threads);
  rows.push({ what: `train: ${shape}`, unit: 'tokens', rate: training, share: trainingGigaflops / gemm });
  rows.push({ what: `forward: ${shape}`, unit: 'tokens', rate: forward });
}
rows.push({
  what: 'exact probe: quickstart model, 64 passages of 100 tokens',
  unit: 'probes',
  rate: await probeRate(QUICKSTART, 64, threads),
});
for (const { name, shape, length } of ENCODERS)
  rows.push({
    what: `score: ${name} encoder, ${length} tokens a document`,
    unit: 'documents',
    rate: await scoringRate(shape, length, threads),
  });

if (values.json) console.log(JSON.stringify({ threads, gemmGigaflops: gemm, rows }));
else {
  console.log(`Matrix products, float32 1024 x 1024 x 1024: ${gemm.toFixed(0)} GFLOP/s on ${threads} threads`);
  const table = new Table({ ...PLAIN_TABLE, head: ['what', 'a second', 'a CPU second', 'of the matrix rate'] });
  for (const { what, unit, rate, share } of rows)
    table.push([
      what,
      `${show(rate.perSecond)} ${unit}`,
      show(rate.perCpuSecond),
      share === undefined ? '' : `${(100 * share).toFixed(0)} %`,
    ]);
  console.log(table.toString());
  console.log('Selection over many rows has a benchmark of its own: npx tsx bench/selection.ts [ROWS] [JOBS]');
}

function show(value: number): string {
  return value < 100 ? value.toPrecision(3) : formatCount(value);
}
