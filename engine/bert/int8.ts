/**
 * Weights of linear layers in 8 bits, a scale for each output channel (Jacob et al. 2018, section 2). What they are multiplied
 * with is quantized when it is known, row by row (`trace/int8.ts`), so that no row's result depends on another.
 */
import { ParameterSet } from '../parameters.ts';

/**
 * Weights have six bits beside the sign, of the seven that there are: processors without VNNI add two products of an
 * unsigned and a signed byte in 16 bits, and 2 * 255 * 63 is the most of the kind that fits. So the sums are exact, and the same, on every processor.
 */
const LARGEST = 63;

export interface Int8Matrix {
  /** [in, out], transposed: the way in which the product reads them. */
  values: Int8Array;
  /** [out] */
  scales: Float32Array;
}

/** Parameters of which some matrices are there in 8 bits too. The values may not change any more. */
export class Int8ParameterSet extends ParameterSet {
  private static made = 0;
  readonly matrices: ReadonlyMap<string, Int8Matrix>;
  /** Tells the sets of this process apart: a graph has the matrices of one of them in it. */
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
    if (scale === 0) continue; // all zeros, or too small to tell from them
    for (let i = 0; i < into; i++)
      values[i * out + row] = Math.max(-LARGEST, Math.min(LARGEST, Math.round(own[i]! / scale)));
  }
  return { values, scales };
}
