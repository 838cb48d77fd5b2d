/**
 * AdamW with decoupled weight decay (Loshchilov and Hutter 2019), as PyTorch computes it, over the flat arrays of a
 * {@link ParameterSet}: float32 throughout, in the kernels of `engine/wasm/kernels.ts`.
 */
import { ADAMW_SCALARS } from './wasm/kernels.ts';
import { allocateBeside, type Operand, runKernel } from './wasm/parameter-memory.ts';

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  /** Added after taking the root, not under it, as in PyTorch. */
  epsilon: number;
  /** Applied to every parameter, biases and LayerNorm gains included (the paper's setting). */
  weightDecay: number;
}

/** The part of an optimizer that a checkpoint keeps. */
export interface AdamWState {
  m: Float32Array;
  v: Float32Array;
  /** Steps done. */
  step: number;
}

export class AdamW implements AdamWState {
  /** Exponential mean of the gradient and of its square, in the layout of the parameters. */
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** Steps done. */
  step: number;
  readonly options: AdamWOptions;

  /**
   * @param size the number of parameters.
   * @param state to continue from (used, not copied); without it, the optimizer starts fresh.
   */
  constructor(size: number, { beta1, beta2, epsilon, weightDecay }: AdamWOptions, state?: AdamWState) {
    this.options = { beta1, beta2, epsilon, weightDecay };
    this.m = state?.m ?? new Float32Array(size);
    this.v = state?.v ?? new Float32Array(size);
    this.step = state?.step ?? 0;
    this.checkLength(size, this.m, this.v);
  }

  /**
   * One step: `parameters`, the moments and `step` change; `gradient` does not.
   *
   * @param clip a factor that the gradient is multiplied by first; see {@link clipCoefficient}.
   */
  apply(parameters: Float32Array, gradient: Float32Array, learningRate: number, clip = 1): void {
    const { m, v } = this;
    this.checkLength(m.length, parameters, gradient);
    this.step += 1;
    this.run('adamw', this.step, learningRate, clip, [
      { array: parameters, use: 'read' },
      { array: gradient, use: 'read' },
      { array: m, use: 'update' },
      { array: v, use: 'update' },
      { array: parameters, use: 'write' },
    ]);
  }

  /**
   * Writes the weights that {@link apply} would give to `out`, which may be the gradient; nothing else changes.
   * Influence probes use this, so that no checkpoint has to be restored between them and no score can depend on their
   * order.
   */
  trial(parameters: Float32Array, gradient: Float32Array, learningRate: number, out: Float32Array, clip = 1): void {
    const { m, v } = this;
    this.checkLength(m.length, parameters, gradient, out);
    this.run('adamwTrial', this.step + 1, learningRate, clip, [
      { array: parameters, use: 'read' },
      { array: gradient, use: 'read' },
      { array: m, use: 'read' },
      { array: v, use: 'read' },
      { array: out, use: 'write' },
    ]);
  }

  /** A fresh optimizer for these parameters, with its moments in the same memory. */
  static beside(parameters: Float32Array, options: AdamWOptions): AdamW {
    const [m, v] = [allocateBeside(parameters), allocateBeside(parameters)];
    return new AdamW(parameters.length, options, { m, v, step: 0 });
  }

  /** A copy of the state; if `parameters` are given, its moments lie in their memory. */
  clone(parameters = new Float32Array(this.m.length)): AdamW {
    const copy = AdamW.beside(parameters, this.options);
    copy.m.set(this.m);
    copy.v.set(this.v);
    copy.step = this.step;
    return copy;
  }

  /** Computes step number `step` (from 1); the powers and roots of its scalars are taken here, in float64. */
  private run(kernel: string, step: number, learningRate: number, clip: number, operands: Operand[]): void {
    const { beta1, beta2, epsilon, weightDecay } = this.options;
    const scalars: Record<(typeof ADAMW_SCALARS)[number], number> = {
      clip,
      beta1,
      oneLessBeta1: 1 - beta1,
      beta2,
      oneLessBeta2: 1 - beta2,
      decay: 1 - learningRate * weightDecay,
      rate: learningRate / (1 - beta1 ** step),
      rootCorrection: 1 / Math.sqrt(1 - beta2 ** step),
      epsilon,
    };
    runKernel(
      kernel,
      ADAMW_SCALARS.map((name) => scalars[name]),
      operands,
    );
  }

  private checkLength(size: number, ...arrays: Float32Array[]): void {
    for (const { length } of arrays)
      if (length !== size) throw new RangeError(`${length} values for ${size} parameters: not the same model.`);
  }
}

/**
 * The Euclidean norm of the gradient. The sum runs in float64 in a fixed order, so the result does not depend on the
 * machine's threads.
 */
export function globalNorm(gradient: Float32Array): number {
  const memory = runKernel('sumOfSquares', [], [{ array: gradient, use: 'read' }]);
  const [a, b, c, d] = memory.doubles(4) as unknown as [number, number, number, number];
  return Math.sqrt(a + b + (c + d));
}

/**
 * PyTorch's coefficient `min(1, maxNorm / (norm + 1e-6))`: multiplying a gradient of this norm by it brings the norm to
 * at most `maxNorm`. If the norm is not finite it is 1, and the caller decides what to do with such a gradient.
 */
export function clipCoefficient(norm: number, maxNorm: number): number {
  return Number.isFinite(norm) ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
}

/** sum = sum + part. */
export function accumulate(sum: Float32Array, part: Float32Array): void {
  runKernel(
    'accumulate',
    [],
    [
      { array: part, use: 'read' },
      { array: sum, use: 'update' },
    ],
  );
}
