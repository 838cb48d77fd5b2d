/**
 * Weights of linear layers in 8 bits, with a scale for each output channel (Jacob et al. 2018, section 2). The
 * activations they are multiplied with are quantized at run time, row by row (`trace/int8.ts`), so no row's result
 * depends on another.
 */
import { ParameterSet } from './parameters.ts';

/**
 * Weights use six of the seven bits beside the sign. Processors without VNNI add two products of an unsigned and a
 * signed byte in 16 bits, and 2 * 255 * 63 is the largest such sum that fits; so sums are exact, and the same, on every
 * processor.
 */
const LARGEST = 63;

export interface Int8Matrix {
  /** [in, out], transposed: the layout in which the product reads them. */
  values: Int8Array;
  /** [out] */
  scales: Float32Array;
}

/** Parameters of which some matrices exist in 8 bits too. The values must not change afterwards. */
export class Int8ParameterSet extends ParameterSet {
  private static made = 0;
  readonly matrices: ReadonlyMap<string, Int8Matrix>;
  /** Identifies the set within this process: a graph contains the matrices of one particular set. */
  readonly number = Int8ParameterSet.made++;

  /** @param names of weights [out, in]. */
  constructor(source: ParameterSet, names: readonly string[]) {
    super(source.specs, source.flat);
    this.matrices = new Map(
      names.map((name) => {
        const [out, into] = source.specs.find((spec) => spec.name === name)!.shape as [number, number];
        return [name, quantizeMatrix(source.view(name), out, into)];
      }),
    );
  }
}

/** Rounds to the nearest of 127 multiples of each row's scale. weights [out, in]. */
function quantizeMatrix(weights: Float32Array, out: number, into: number): Int8Matrix {
  const values = new Int8Array(out * into);
  const scales = new Float32Array(out);
  for (let row = 0; row < out; row++) {
    const own = weights.subarray(row * into, (row + 1) * into);
    let most = 0;
    for (const weight of own) most = Math.max(most, Math.abs(weight));
    const scale = Math.fround(most / LARGEST);
    scales[row] = scale;
    if (scale === 0) continue; // all zeros, or too small to distinguish from zero
    for (let i = 0; i < into; i++)
      values[i * out + row] = Math.max(-LARGEST, Math.min(LARGEST, Math.round(own[i]! / scale)));
  }
  return { values, scales };
}
