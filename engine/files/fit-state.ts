/** The state of an influence model's training, so that an interrupted fit resumes as if it had never stopped. */
import { InputError } from '../../core/errors.ts';
import { TRAINING_FILE } from '../../core/layout.ts';
import { getJson, putFile, putJson, type Store } from '../../core/storage/index.ts';
import type { AdamW } from '../adamw.ts';
import { ParameterSet } from '../parameters.ts';
import { encodeParameters, keyOf, uriOf } from './hugging-face.ts';
import { readSafetensors, type Tensor } from './safetensors.ts';

const TENSORS_FILE = 'fit.safetensors';

/** The arrays of a fit. */
export interface FitArrays {
  parameters: ParameterSet;
  optimizer: AdamW;
  /** Parameters of the best epoch so far. */
  best: ParameterSet;
}

/** `training.json`, written last. */
interface FitRecord<T> {
  format: 'mates-fit-state/1';
  /** Optimizer steps done. */
  step: number;
  /** Anything else the fit needs to resume, as JSON. */
  state: T;
  /** SHA-256 of the tensors' file. */
  sha256: string;
}

const partsOf = ({ parameters, optimizer, best }: FitArrays): Record<string, Float32Array<ArrayBufferLike>> => ({
  '': parameters.flat,
  'exp_avg.': optimizer.m,
  'exp_avg_sq.': optimizer.v,
  'best.': best.flat,
});

export async function saveFitState<T>(store: Store, prefix: string, arrays: FitArrays, state: T): Promise<void> {
  await store.delete(keyOf(prefix, TRAINING_FILE));
  const tensors = encodeParameters(arrays.parameters, partsOf(arrays));
  const { sha256 } = await putFile(store, keyOf(prefix, TENSORS_FILE), tensors, tensors.bytes);
  const record: FitRecord<T> = { format: 'mates-fit-state/1', step: arrays.optimizer.step, state, sha256 };
  await putJson(store, keyOf(prefix, TRAINING_FILE), record);
}

/**
 * Reads the state that {@link saveFitState} wrote into the arrays of a fit that has just begun.
 *
 * @throws InputError when the state is damaged or belongs to another model.
 */
export async function loadFitState<T>(store: Store, prefix: string, arrays: FitArrays): Promise<T> {
  const { step, state, sha256 } = await getJson<FitRecord<T>>(store, keyOf(prefix, TRAINING_FILE));
  const places = new Map<string, Tensor>();
  const { specs } = arrays.parameters;
  for (const [part, flat] of Object.entries(partsOf(arrays))) {
    const set = new ParameterSet(specs, flat as Float32Array<ArrayBuffer>);
    for (const { name, shape } of specs) places.set(part + name, { shape, data: set.view(name) });
  }
  await readSafetensors(
    store,
    keyOf(prefix, TENSORS_FILE),
    (name) => places.get(name),
    (found) => {
      if (found !== sha256)
        throw new InputError(
          `${uriOf(store, prefix, TENSORS_FILE)} is damaged: its SHA-256 is not the one in ${TRAINING_FILE}. Delete its folder ` +
            'and run again; the fit then begins anew.',
        );
    },
  );
  arrays.optimizer.step = step;
  return state;
}
