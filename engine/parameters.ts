import { CounterRandom, STREAM } from '../core/random/philox.ts';
import { allocateBeside, ParameterMemory } from './wasm/parameter-memory.ts';

export interface ParameterSpec {
  /** Hugging Face name, such as `gpt_neox.layers.0.attention.dense.weight`. */
  name: string;
  shape: number[];
  init: 'zeros' | 'ones' | { std: number };
}

/** A linear layer's weight, [out, in]. */
export const weightSpec = (name: string, out: number, into: number, init: ParameterSpec['init']): ParameterSpec => ({
  name: `${name}.weight`,
  shape: [out, into],
  init,
});

/** A linear layer's parameters, [out, in] and [out]. */
export const linearSpecs = (name: string, out: number, into: number, init: ParameterSpec['init']): ParameterSpec[] => [
  weightSpec(name, out, into, init),
  { name: `${name}.bias`, shape: [out], init: 'zeros' },
];

/** A LayerNorm's parameters, both [width]. */
export const normSpecs = (name: string, width: number): ParameterSpec[] => [
  { name: `${name}.weight`, shape: [width], init: 'ones' },
  { name: `${name}.bias`, shape: [width], init: 'zeros' },
];

/**
 * A model's parameters in one flat array, in the order of their specs, so that AdamW, clipping and a probe's trial step
 * are a single loop each. Gradients and moments have the same layout.
 */
export class ParameterSet {
  readonly specs: readonly ParameterSpec[];
  readonly flat: Float32Array<ArrayBuffer>;
  private readonly offsets = new Map<string, { offset: number; size: number }>();

  constructor(specs: readonly ParameterSpec[], flat?: Float32Array<ArrayBuffer>) {
    this.specs = specs;
    let offset = 0;
    for (const { name, shape } of specs) {
      const size = sizeOf(shape);
      this.offsets.set(name, { offset, size });
      offset += size;
    }
    if (flat && flat.length !== offset)
      throw new RangeError(`${flat.length} values for ${offset} parameters: not the same model.`);
    this.flat = flat ?? new ParameterMemory(offset).allocate();
  }

  /** The named parameter's values; writing to it writes to the set. */
  view(name: string): Float32Array<ArrayBuffer> {
    const at = this.offsets.get(name);
    if (!at) throw new RangeError(`no parameter is called ${name}`);
    return this.flat.subarray(at.offset, at.offset + at.size);
  }

  /** A copy of the values, in memory of its own. */
  clone(): ParameterSet {
    const copy = new ParameterSet(this.specs);
    copy.flat.set(this.flat);
    return copy;
  }

  /** A set of zeros, in the same memory if it has room, so that the optimizer reaches both without a copy. */
  sibling(): ParameterSet {
    return new ParameterSet(this.specs, allocateBeside(this.flat));
  }
}

/** Determines the initial values; those of different streams or stages are independent of each other. */
export interface InitialSeed {
  seed: number;
  /** One of `STREAM`. */
  stream: number;
  stage: number;
}

/** More than any model has parameter tensors, so that the counter has room for every parameter of a stage. */
const STAGE_PARAMETERS = 10_000;

/**
 * Seeded initial values; each depends on (seed, stream, stage, parameter, element) alone.
 *
 * @param from a number is the seed of a language model, which is initialized only once.
 */
export function initialParameters(specs: readonly ParameterSpec[], from: number | InitialSeed): ParameterSet {
  const { seed, stream, stage } =
    typeof from === 'number' ? { seed: from, stream: STREAM.initialWeights, stage: 0 } : from;
  const parameters = new ParameterSet(specs);
  specs.forEach(({ name, init }, index) => {
    const values = parameters.view(name);
    if (init === 'zeros') return;
    if (init === 'ones') {
      values.fill(1);
      return;
    }
    const random = new CounterRandom(seed, stream, STAGE_PARAMETERS * stage + index);
    for (let i = 0; i < values.length; i++) values[i] = init.std * random.normal(i);
  });
  return parameters;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}
