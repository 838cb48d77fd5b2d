/**
 * `write-ridge.ts DIRECTORY`: the ridge regressions that DIRECTORY/request.json asks for, on the arrays beside it, as
 * predictions and weights in NAME.json.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FeatureBlocks, fitRidge, predictRidge, type RidgeOptions } from '../../core/regression/ridge.ts';

interface Request {
  rows: number;
  columns: number;
  dense: { name: string; columns: number }[];
  fits: Record<string, Omit<RidgeOptions, 'seed'>>;
}

const directory = process.argv[2]!;
const read = (name: string) => new Uint8Array(readFileSync(join(directory, name))).buffer;
const request: Request = JSON.parse(readFileSync(join(directory, 'request.json'), 'utf8'));
const blocks: FeatureBlocks = {
  ngrams: {
    rows: request.rows,
    columns: request.columns,
    starts: new Uint32Array(read('starts.u32')),
    indices: new Uint32Array(read('indices.u32')),
    values: new Float32Array(read('values.f32')),
  },
  dense: request.dense.map((block) => ({ ...block, values: new Float32Array(read(`${block.name}.f32`)) })),
};
const targets = new Float64Array(read('targets.f64'));
for (const [name, options] of Object.entries(request.fits)) {
  const { intercept, ngrams, dense } = fitRidge(blocks, targets, { ...options, tolerance: 1e-11 });
  const predictions = Array.from(predictRidge({ intercept, ngrams, dense }, blocks));
  const weights = [...ngrams!, ...request.dense.flatMap((block) => [...dense[block.name]!])];
  writeFileSync(join(directory, `${name}.json`), JSON.stringify({ predictions, weights }));
}
