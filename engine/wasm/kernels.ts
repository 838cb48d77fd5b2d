/**
 * The optimizer's loops over all parameters, as WebAssembly SIMD: four float32 lanes at once, where JavaScript has one
 * lane of float64. Every operation is IEEE 754 single precision, in the order written here, so the results are the same
 * everywhere, and equal those of a plain loop with `Math.fround` around each operation.
 */
import { type Code, doWhile, f32x4, f64x2, i32, type Kernel, kernel, v128 } from '../../core/wasm/assemble.ts';

/** Floats in a vector, and bytes in it. */
export const LANES = 4;
const VECTOR = 16;

/** The scalars of a kernel lie at the start of the memory, each repeated in the four lanes of a vector. */
const scalar = (index: number): Code => v128.load(i32.const(0), index * VECTOR);

/** Scalars of {@link adamw} in their order; see `AdamW` for what they mean. */
export const ADAMW_SCALARS = [
  'clip',
  'beta1',
  'oneLessBeta1',
  'beta2',
  'oneLessBeta2',
  'decay',
  'rate',
  'rootCorrection',
  'epsilon',
] as const;
const of = (name: (typeof ADAMW_SCALARS)[number]): Code => scalar(ADAMW_SCALARS.indexOf(name));

const { add, subtract, multiply, divide, squareRoot } = f32x4;

const POINTERS = ['parameters', 'gradient', 'm', 'v', 'out'] as const;

/** One AdamW step from `parameters`, `m` and `v` into `out` and, with `moments`, also into `m` and `v`. */
function adamw(name: string, moments: boolean): Kernel {
  return kernel(name, [...POINTERS, 'end'], { i32: [], v128: ['g', 'mean', 'square'] }, (local) => {
    const { g, mean, square } = local;
    const load = (pointer: (typeof POINTERS)[number]) => v128.load(local[pointer].get);
    const denominator = add(multiply(of('rootCorrection'), squareRoot(square.get)), of('epsilon'));
    return doWhile(
      [
        ...g.set(multiply(of('clip'), load('gradient'))),
        ...mean.set(add(multiply(of('beta1'), load('m')), multiply(of('oneLessBeta1'), g.get))),
        ...square.set(add(multiply(of('beta2'), load('v')), multiply(multiply(of('oneLessBeta2'), g.get), g.get))),
        ...(moments ? [...v128.store(local.m.get, mean.get), ...v128.store(local.v.get, square.get)] : []),
        ...v128.store(
          local.out.get,
          subtract(multiply(of('decay'), load('parameters')), divide(multiply(of('rate'), mean.get), denominator)),
        ),
        ...POINTERS.flatMap((pointer) => advance(local[pointer])),
      ],
      i32.lessUnsigned(local.out.get, local.end.get),
    );
  });
}

/** sum = sum + x. */
const accumulate = kernel('accumulate', ['x', 'sum', 'end'], { i32: [], v128: [] }, ({ x, sum, end }) =>
  doWhile(
    [...v128.store(sum.get, add(v128.load(sum.get), v128.load(x.get))), ...advance(x), ...advance(sum)],
    i32.lessUnsigned(sum.get, end.get),
  ),
);

/**
 * Adds x^2 in float64 to four partial sums, which lie where the scalars do: lane i of each vector goes to sum i. With a
 * separate sum for each lane, no addition has to wait for the one before.
 */
const sumOfSquares = kernel(
  'sumOfSquares',
  ['x', 'end'],
  { i32: [], v128: ['value', 'low', 'high', 'wide'] },
  (local) => {
    const { x, end, value, low, high, wide } = local;
    const grow = (sum: typeof low, lanes: Code) => [
      ...wide.set(f64x2.promoteLow(lanes)),
      ...sum.set(f64x2.add(sum.get, f64x2.multiply(wide.get, wide.get))),
    ];
    return [
      ...low.set(scalar(0)),
      ...high.set(scalar(1)),
      ...doWhile(
        [
          ...value.set(v128.load(x.get)),
          ...grow(low, value.get),
          ...grow(high, v128.pick(value.get, value.get, [2, 3, 2, 3])),
          ...advance(x),
        ],
        i32.lessUnsigned(x.get, end.get),
      ),
      ...v128.store(i32.const(0), low.get),
      ...v128.store(i32.const(0), high.get, VECTOR),
    ];
  },
);

export const KERNELS: readonly Kernel[] = [adamw('adamw', true), adamw('adamwTrial', false), accumulate, sumOfSquares];

function advance(pointer: { get: Code; set(value: Code): Code }): Code {
  return pointer.set(i32.add(pointer.get, i32.const(VECTOR)));
}
