import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decayLearningRate, trunkLearningRate } from '../../core/schedule.ts';

const config = { learningRate: 1e-3, warmupSteps: 4, decaySteps: 200, decayHalvings: 4 };

describe('trunk', () => {
  it('rises linearly from the first step and is full at step warmupSteps - 1', () => {
    const rates = [0, 1, 2, 3, 4, 1000].map((step) => trunkLearningRate(config, step));
    expect(rates).toEqual([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3]);
  });

  it('is constant without warm-up', () => {
    expect(trunkLearningRate({ learningRate: 0.5, warmupSteps: 0 }, 0)).toBe(0.5);
  });

  it('never falls, and stays within (0, learningRate]', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(10_000), (warmupSteps, step) => {
        const now = trunkLearningRate({ learningRate: 1, warmupSteps }, step);
        expect(now).toBeGreaterThan(0);
        expect(now).toBeLessThanOrEqual(trunkLearningRate({ learningRate: 1, warmupSteps }, step + 1));
        expect(now).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('decay branch', () => {
  it("halves decayHalvings times: 1/16 of the rate at the last of the paper's 200 steps", () => {
    expect(decayLearningRate(config, 50)).toBe(0.5e-3);
    expect(decayLearningRate(config, 100)).toBe(0.25e-3);
    expect(decayLearningRate(config, 200)).toBe(1e-3 / 16);
  });

  it("goes on from the trunk's rate", () => {
    expect(decayLearningRate(config, 0)).toBe(trunkLearningRate(config, 10));
  });
});
