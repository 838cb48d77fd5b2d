import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdamW, accumulate, clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import { ParameterMemory } from '../../engine/wasm/parameter-memory.ts';
import { uniforms } from './support.ts';

interface Fixture {
  options: { beta1: number; beta2: number; epsilon: number; weightDecay: number };
  clip: number;
  start: number[];
  steps: { gradient: number[]; learningRate: number; norm: number; weights: number[]; m: number[]; v: number[] }[];
}

/** What PyTorch computed; made by test/parity/adamw_reference.py. */
const fixture: Fixture = JSON.parse(readFileSync(new URL('./adamw.fixture.json', import.meta.url), 'utf8'));
const options = fixture.options;

const finite = (limit: number) =>
  fc.float({ min: Math.fround(-limit), max: Math.fround(limit), noNaN: true, noDefaultInfinity: true });

/** Parameters, gradient and a state with moments as training leaves them (v never below 0). */
const situation = fc
  .array(fc.record({ w: finite(10), g: finite(100), m: finite(10), v: finite(10) }), { minLength: 1, maxLength: 40 })
  .chain((rows) =>
    fc.record({
      parameters: fc.constant(Float32Array.from(rows, ({ w }) => w)),
      gradient: fc.constant(Float32Array.from(rows, ({ g }) => g)),
      m: fc.constant(Float32Array.from(rows, ({ m }) => m)),
      v: fc.constant(Float32Array.from(rows, ({ v }) => Math.abs(v))),
      step: fc.nat(100_000),
      learningRate: fc.double({ min: 1e-6, max: 1, noNaN: true }),
    }),
  );

/** What a step does to its gradient, whose coefficient it applies on the way: the gradient scaled, and the norm before. */
function clipGlobalNorm(gradient: Float32Array, maxNorm: number): number {
  const norm = globalNorm(gradient);
  const coefficient = Math.fround(clipCoefficient(norm, maxNorm)); // single precision, as the kernels have it
  gradient.forEach((g, i) => {
    gradient[i] = coefficient * g;
  });
  return norm;
}

describe('apply', () => {
  it('gives the values of a hand calculation', () => {
    const adam = new AdamW(2, { beta1: 0.5, beta2: 0.75, epsilon: 1, weightDecay: 0.5 });
    const weights = Float32Array.of(1, -2);
    adam.apply(weights, Float32Array.of(2, 0), 0.1);
    // m = 1, v = 1; corrected 2 and 4; the step is 0.1 * 2 / (2 + 1), the decay 0.1 * 0.5 of the weight
    expect(weights[0]).toBeCloseTo(1 - 0.05 - 0.2 / 3, 6);
    expect(weights[1]).toBeCloseTo(-2 + 0.1, 6); // decay alone
    adam.apply(weights, Float32Array.of(0, 0), 0.1);
    // m = 0.5, v = 0.75; corrected by 1 - 0.5^2 and 1 - 0.75^2
    const second = (1 - 0.05 - 0.2 / 3) * 0.95 - (0.1 * (0.5 / 0.75)) / (Math.sqrt(0.75 / 0.4375) + 1);
    expect(weights[0]).toBeCloseTo(second, 6);
    expect([...adam.m, ...adam.v]).toEqual([0.5, 0, 0.75, 0]);
    expect(adam.step).toBe(2);
  });

  it('follows PyTorch through eight clipped steps', () => {
    const weights = Float32Array.from(fixture.start);
    const adam = new AdamW(weights.length, options);
    fixture.steps.forEach((expected, i) => {
      const gradient = Float32Array.from(expected.gradient);
      const norm = clipGlobalNorm(gradient, fixture.clip);
      adam.apply(weights, gradient, expected.learningRate);
      expect(norm / expected.norm).toBeCloseTo(1, 6);
      for (const [ours, theirs] of [
        [weights, expected.weights],
        [adam.m, expected.m],
        [adam.v, expected.v],
      ] as const)
        theirs.forEach((value, k) => {
          expect(Math.abs(ours[k]! - value), `step ${i + 1}, element ${k}`).toBeLessThanOrEqual(
            1e-5 * Math.abs(value) + 1e-11,
          );
        });
    });
  });

  it('refuses arrays of another model', () => {
    expect(() => new AdamW(2, options, { m: new Float32Array(2), v: new Float32Array(3), step: 1 })).toThrow(
      RangeError,
    );
    expect(() => new AdamW(2, options).apply(new Float32Array(2), new Float32Array(3), 1)).toThrow(/3 values for 2/);
  });

  it('is the same whether the state was kept or handed over', () => {
    const whole = new AdamW(24, options);
    let parts = new AdamW(24, options);
    const a = Float32Array.from(fixture.start);
    const b = Float32Array.from(fixture.start);
    for (const { gradient, learningRate } of fixture.steps) {
      whole.apply(a, Float32Array.from(gradient), learningRate);
      parts = new AdamW(24, options, { m: parts.m.slice(), v: parts.v.slice(), step: parts.step });
      parts.apply(b, Float32Array.from(gradient), learningRate);
    }
    expect(b).toEqual(a);
  });
});

describe('trial', () => {
  it('gives what apply on a clone gives, and changes nothing', () => {
    fc.assert(
      fc.property(situation, ({ parameters, gradient, m, v, step, learningRate }) => {
        const adam = new AdamW(m.length, options, { m: m.slice(), v: v.slice(), step });
        const before = [parameters.slice(), gradient.slice()];
        const out = new Float32Array(parameters.length).fill(Number.NaN);
        adam.trial(parameters, gradient, learningRate, out);
        expect([parameters, gradient, adam.m, adam.v, adam.step]).toEqual([...before, m, v, step]);
        const applied = parameters.slice();
        const clone = adam.clone();
        clone.apply(applied, gradient, learningRate);
        expect(out).toEqual(applied);
        expect(clone.step).toBe(step + 1);
        expect([adam.m, adam.v, adam.step]).toEqual([m, v, step]);
      }),
    );
  });

  it('does not depend on the trials before it', () => {
    const adam = new AdamW(3, options, { m: new Float32Array(3).fill(0.1), v: new Float32Array(3).fill(0.2), step: 9 });
    const weights = Float32Array.of(1, 2, 3);
    const [alone, after] = [new Float32Array(3), new Float32Array(3)];
    adam.trial(weights, Float32Array.of(1, 0, -1), 0.01, alone);
    adam.trial(weights, Float32Array.of(5, 5, 5), 0.5, after);
    adam.trial(weights, Float32Array.of(1, 0, -1), 0.01, after);
    expect(after).toEqual(alone);
  });

  it('depends on the moments: a fresh optimizer would step elsewhere', () => {
    const weights = Float32Array.of(0);
    const [fresh, carried] = [new Float32Array(1), new Float32Array(1)];
    new AdamW(1, options).trial(weights, Float32Array.of(1), 0.01, fresh);
    const momentum = { m: Float32Array.of(-1), v: Float32Array.of(1), step: 1000 };
    new AdamW(1, options, momentum).trial(weights, Float32Array.of(1), 0.01, carried);
    expect(fresh[0]).toBeCloseTo(-0.01, 6); // the first step is the gradient's sign
    expect(carried[0]).toBeCloseTo(0.008, 6); // against this gradient, by the momentum of those before
  });
});

describe('clipGlobalNorm', () => {
  it('returns the norm and scales only what is too long', () => {
    const gradient = Float32Array.of(3, 0, 4, 0, 0);
    expect(clipGlobalNorm(gradient, 10)).toBe(5);
    expect([...gradient]).toEqual([3, 0, 4, 0, 0]);
    expect(clipGlobalNorm(gradient, 1)).toBe(5);
    expect(Math.hypot(...gradient)).toBeCloseTo(1, 6);
    expect(clipCoefficient(5, 1)).toBe(1 / (5 + 1e-6)); // as PyTorch
    expect(gradient[0]! / gradient[2]!).toBeCloseTo(0.75, 6);
  });

  it('is at most maxNorm for any gradient', () => {
    fc.assert(
      fc.property(fc.array(finite(1e6)), fc.double({ min: 1e-3, max: 1e3, noNaN: true }), (values, maxNorm) => {
        const gradient = Float32Array.from(values);
        const norm = clipGlobalNorm(gradient, maxNorm);
        expect(Math.abs(norm - Math.hypot(...values))).toBeLessThanOrEqual(1e-9 * norm);
        expect(Math.hypot(...gradient)).toBeLessThanOrEqual(maxNorm * (1 + 1e-6));
      }),
    );
  });

  it('leaves a gradient that is not finite to the caller', () => {
    const gradient = Float32Array.of(1, Number.NaN);
    const norm = clipGlobalNorm(gradient, 1);
    expect(norm).toBeNaN();
    expect([...gradient]).toEqual([1, Number.NaN]);
  });
});

describe('the kernels', () => {
  const round = Math.fround;

  /** AdamW as a plain loop in single precision. */
  function plainStep(
    w: Float32Array,
    g: Float32Array,
    m: Float32Array,
    v: Float32Array,
    step: number,
    lr: number,
    clip: number,
  ) {
    const { beta1, beta2, epsilon, weightDecay } = options;
    const decay = round(1 - lr * weightDecay);
    const rate = round(lr / (1 - beta1 ** step));
    const root = round(1 / Math.sqrt(1 - beta2 ** step));
    for (let i = 0; i < w.length; i++) {
      const x = round(round(clip) * g[i]!);
      m[i] = round(round(beta1) * m[i]!) + round(round(1 - beta1) * x);
      v[i] = round(round(beta2) * v[i]!) + round(round(round(1 - beta2) * x) * x);
      const denominator = round(round(root * round(Math.sqrt(v[i]!))) + round(epsilon));
      w[i] = round(decay * w[i]!) - round(round(rate * m[i]!) / denominator);
    }
  }

  const sums = (values: Float32Array) => {
    const lanes = [0, 0, 0, 0];
    values.forEach((value, i) => {
      lanes[i % 4] = lanes[i % 4]! + value * value;
    });
    return Math.sqrt(lanes[0]! + lanes[1]! + (lanes[2]! + lanes[3]!));
  };

  // Shorter than a vector, a vector, one more; a stage, and stages with a rest; in one memory, in none, and in two.
  const lengths = [1, 3, 4, 5, 63, 8192, 8193, 20_011];
  const places = {
    'in one memory': (length: number) => {
      const memory = new ParameterMemory(length);
      return Array.from({ length: 5 }, () => memory.allocate());
    },
    'in no memory': (length: number) => Array.from({ length: 5 }, () => new Float32Array(length)),
    'in two memories': (length: number) => {
      const memories = [new ParameterMemory(length), new ParameterMemory(length)];
      return Array.from({ length: 5 }, (_, i) => memories[i % 2]!.allocate());
    },
    'at odd places': (length: number) =>
      Array.from({ length: 5 }, () => new ParameterMemory(length + 1).allocate().subarray(1)),
  };

  it.each(Object.keys(places) as (keyof typeof places)[])('give the bits of plain loops %s', (place) => {
    for (const length of lengths) {
      const [w, g, m, v, out] = places[place](length) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      w.set(uniforms(length, 1).map((x) => x - 0.5));
      g.set(uniforms(length, 2).map((x, i) => (x - 0.5) * 10 ** ((i % 12) - 8)));
      m.set(uniforms(length, 3).map((x) => x - 0.5));
      v.set(uniforms(length, 4));
      expect(globalNorm(g)).toBe(sums(g));

      const expected = { w: w.slice(), m: m.slice(), v: v.slice() };
      plainStep(expected.w, g, expected.m, expected.v, 8, 3e-3, 0.7);
      const adam = new AdamW(length, options, { m, v, step: 7 });
      adam.trial(w, g, 3e-3, out, 0.7);
      expect(out).toEqual(expected.w);
      out.set(g); // and over the gradient
      adam.trial(w, out, 3e-3, out, 0.7);
      expect(out).toEqual(expected.w);
      adam.apply(w, g, 3e-3, 0.7);
      expect({ w, m, v }).toEqual(expected);

      accumulate(out, g);
      expect(out).toEqual(expected.w.map((x, i) => round(x + g[i]!)));
      const [before, norm] = [g.slice(), globalNorm(g)];
      clipGlobalNorm(g, norm / 3);
      expect(g).toEqual(before.map((x) => round(round(clipCoefficient(norm, norm / 3)) * x)));
    }
  });

  it('leave the neighbours in their memory alone', () => {
    const memory = new ParameterMemory(5);
    const [before, x, after] = [memory.allocate(), memory.allocate(), memory.allocate()];
    x.fill(2);
    accumulate(x, Float32Array.of(1, 1, 1, 1, 1));
    clipGlobalNorm(x, 1e-3);
    expect([...before, ...after]).toEqual(Array(10).fill(0));
  });

  it('work on more arrays than a memory holds', () => {
    const memory = new ParameterMemory(6);
    const all = Array.from({ length: 7 }, () => memory.allocate());
    for (const array of all) array.fill(1);
    for (const array of all.slice(1)) accumulate(all[0]!, array);
    expect([...all[0]!]).toEqual(Array(6).fill(7));
  });
});
