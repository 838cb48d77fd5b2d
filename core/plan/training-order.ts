import { CounterRandom, permutation, STREAM } from '../random/philox.ts';

/**
 * The rows that a stage trains on, in order: a seeded shuffle of the selection, of which the first `consumed` are used.
 * Step t takes the rows from t x batchRows on.
 */
export function trainingOrder(selected: number[], consumed: number, seed: number, stage: number): number[] {
  const order = permutation(selected.length, new CounterRandom(seed, STREAM.trainingOrder, stage));
  return Array.from(order.subarray(0, consumed), (i) => selected[i]!);
}
