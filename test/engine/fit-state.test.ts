import { beforeEach, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { DirectoryStore } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { loadFitState, saveFitState } from '../../engine/files/fit-state.ts';
import { initialParameters, type ParameterSpec } from '../../engine/parameters.ts';
import { temporaryFolder } from '../support.ts';

const specs: ParameterSpec[] = [
  { name: 'a', shape: [2, 3], init: { std: 1 } },
  { name: 'b', shape: [4], init: { std: 1 } },
];
const options = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 };

/** A fit after some steps. */
function fitAfter(steps: number) {
  const parameters = initialParameters(specs, 1);
  const optimizer = new AdamW(parameters.flat.length, options);
  const best = initialParameters(specs, 2);
  for (let step = 0; step < steps; step++)
    optimizer.apply(parameters.flat, initialParameters(specs, 3 + step).flat, 0.1);
  return { parameters, optimizer, best };
}

let store: DirectoryStore;
beforeEach(async () => {
  store = new DirectoryStore(await temporaryFolder());
});

it('the state of a fit comes back whole', async () => {
  const saved = fitAfter(3);
  await saveFitState(store, 'fit', saved, { sum: 2 });
  const arrays = { ...fitAfter(0), best: initialParameters(specs, 9) };
  expect(await loadFitState(store, 'fit', arrays)).toEqual({ sum: 2 });
  expect(arrays.parameters.flat).toEqual(saved.parameters.flat);
  expect(arrays.best.flat).toEqual(saved.best.flat);
  expect(arrays.optimizer).toEqual(saved.optimizer);
});

it('a damaged state is refused with what to do', async () => {
  await saveFitState(store, 'fit', fitAfter(1), {});
  const key = 'fit/fit.safetensors';
  await store.put(
    key,
    (await store.get(key)).map((byte, i, { length }) => (i === length - 1 ? byte ^ 1 : byte)),
  );
  const attempt = loadFitState(store, 'fit', fitAfter(0));
  await expect(attempt).rejects.toThrow(InputError);
  await expect(attempt).rejects.toThrow(/fit\/fit\.safetensors is damaged: .* Delete its folder and run again/);
});

it('a state that is overwritten and interrupted counts as none', async () => {
  await saveFitState(store, 'fit', fitAfter(1), {});
  const failing: DirectoryStore = Object.create(store);
  failing.put = async () => {
    throw new Error('killed');
  };
  await expect(saveFitState(failing, 'fit', fitAfter(2), {})).rejects.toThrow('killed');
  expect(await store.size('fit/training.json')).toBeUndefined();
});
