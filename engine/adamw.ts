/**
 * AdamW with decoupled weight decay (Loshchilov and Hutter 2019), as PyTorch computes it, over the flat arrays of a
 * {@link ParameterSet}: weights and moments are stored in float32, the arithmetic between two stores is float64.
 */

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  /** Added to the root, outside of it, as PyTorch does. */
  epsilon: number;
  /** Applied to every parameter, biases and LayerNorm gains included (the paper's setting). */
  weightDecay: number;
}

/** What a checkpoint keeps of an optimizer. */
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
   * @param state where to go on from (used, not copied); without it, a fresh optimizer.
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
   * @param clip what the gradient is multiplied by first; see {@link clipCoefficient}.
   */
  apply(parameters: Float32Array, gradient: Float32Array, learningRate: number, clip = 1): void {
    const { m, v } = this;
    this.checkLength(m.length, parameters, gradient);
    this.step += 1;
    const { beta1, beta2, decay, rate, rootCorrection, epsilon } = this.factors(this.step, learningRate);
    for (let i = 0; i < m.length; i++) {
      const g = Math.fround(clip * gradient[i]!);
      const mean = beta1 * m[i]! + (1 - beta1) * g;
      const square = beta2 * v[i]! + (1 - beta2) * g * g;
      m[i] = mean;
      v[i] = square;
      parameters[i] = decay * parameters[i]! - (rate * mean) / (rootCorrection * Math.sqrt(square) + epsilon);
    }
  }

  /**
   * The weights that {@link apply} would give, written to `out`; nothing else changes. This is what an influence probe
   * uses: no checkpoint has to be restored between probes, and a score cannot depend on the order of the probes.
   */
  trial(parameters: Float32Array, gradient: Float32Array, learningRate: number, out: Float32Array): void {
    const { m, v } = this;
    this.checkLength(m.length, parameters, gradient, out);
    const { beta1, beta2, decay, rate, rootCorrection, epsilon } = this.factors(this.step + 1, learningRate);
    for (let i = 0; i < m.length; i++) {
      const g = gradient[i]!;
      const mean = beta1 * m[i]! + (1 - beta1) * g;
      const square = beta2 * v[i]! + (1 - beta2) * g * g;
      out[i] = decay * parameters[i]! - (rate * mean) / (rootCorrection * Math.sqrt(square) + epsilon);
    }
  }

  clone(): AdamW {
    return new AdamW(this.m.length, this.options, { m: this.m.slice(), v: this.v.slice(), step: this.step });
  }

  /** The scalars of step number `step` (from 1), so that the loops hold no powers. */
  private factors(step: number, learningRate: number) {
    const { beta1, beta2, epsilon, weightDecay } = this.options;
    return {
      beta1,
      beta2,
      epsilon,
      decay: 1 - learningRate * weightDecay,
      rate: learningRate / (1 - beta1 ** step),
      rootCorrection: 1 / Math.sqrt(1 - beta2 ** step),
    };
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
  return Math.sqrt(sumOfSquares(gradient));
}

/**
 * PyTorch's coefficient `min(1, maxNorm / (norm + 1e-6))`, by which a gradient of this norm is multiplied so that its norm
 * is at most `maxNorm`. 1 for a norm that is not finite: the caller decides what to do with such a gradient.
 */
export function clipCoefficient(norm: number, maxNorm: number): number {
  return Number.isFinite(norm) ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
}

/** Scales the gradient in place by {@link clipCoefficient}, and returns its norm before that. */
export function clipGlobalNorm(gradient: Float32Array, maxNorm: number): number {
  const norm = globalNorm(gradient);
  const coefficient = clipCoefficient(norm, maxNorm);
  if (coefficient < 1) for (let i = 0; i < gradient.length; i++) gradient[i] = gradient[i]! * coefficient;
  return norm;
}

/** sum = sum + part. */
export function accumulate(sum: Float32Array, part: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + part[i]!;
}

/** Four partial sums: one alone would wait for the previous addition at every element. */
function sumOfSquares(values: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i]! * values[i]!;
    b += values[i + 1]! * values[i + 1]!;
    c += values[i + 2]! * values[i + 2]!;
    d += values[i + 3]! * values[i + 3]!;
  }
  for (let i = whole; i < values.length; i++) a += values[i]! * values[i]!;
  return a + b + (c + d);
}
