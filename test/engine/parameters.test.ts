import { expect, it } from 'vitest';
import { STREAM } from '../../core/random/philox.ts';
import { initialParameters } from '../../engine/parameters.ts';

it('initial values depend on their seed, stream and stage', () => {
  const specs = ['first', 'second'].map((name) => ({ name, shape: [4], init: { std: 1 } }));
  const ofInfluence = (seed: number, stage: number) =>
    initialParameters(specs, { seed, stream: STREAM.influenceWeights, stage });
  const sets = [
    ...[1, 2, 3].map((seed) => initialParameters(specs, seed)),
    ...[ofInfluence(1, 1), ofInfluence(1, 2), ofInfluence(2, 1), ofInfluence(3, 0)],
  ];
  const values = sets.flatMap(({ flat }) => [...flat]);
  expect(new Set(values).size).toBe(sets.length * 8);
  expect(ofInfluence(1, 2).flat).toEqual(sets[4]!.flat);
});
