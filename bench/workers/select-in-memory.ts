/**
 * `select-in-memory.ts UTILITIES K`: one selection from the utilities in a file of float32 values, at temperature 0.5.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { selectInMemory } from '../../core/selection/merging/one-process.ts';
import { oneTurn } from '../one-turn.ts';

const [path = '', k] = process.argv.slice(2);
const file = openSync(path, 'r');
const utilities = new Float32Array(fstatSync(file).size / 4);
const bytes = new Uint8Array(utilities.buffer);
for (let at = 0; at < bytes.length; ) at += readSync(file, bytes, at, Math.min(1 << 24, bytes.length - at), at);
closeSync(file);

await oneTurn(() => {
  const ranges = [{ shard: 0, begin: 0, end: utilities.length }];
  const { positions } = selectInMemory({ ranges, utilities }, Number(k), {
    noise: { seed: 1, stage: 1 },
    temperature: 0.5,
    gumbel: 'exact',
  });
  if (positions.length !== Number(k)) throw new Error(`${positions.length} rows were selected instead of ${k}`);
});
