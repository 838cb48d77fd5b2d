/** The most that a run may cost, by its own terms and by those of the deployment. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { fakeLake, validate } from './fake-lake.ts';

const { puts, workedOnBefore } = fakeLake();
beforeEach(() => {
  vi.spyOn(console, 'warn').mockReturnValue();
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

it('holds the cap of the execution before against the first stage too', async () => {
  workedOnBefore({ maxCostUsd: 0.1 });
  await expect(validate({ runId: 'r' }, 'second')).rejects.toThrow(
    /maxCostUsd is 0\.1, .*by the end of its first stage/,
  );
});

it("holds every run to the deployment's cap, whatever it was started with", async () => {
  vi.stubEnv('MATES_DEPLOYMENT', JSON.stringify({ maxRunCostUsd: 50 }));
  for (const dryRun of [false, true])
    await expect(validate({ maxCostUsd: 50.01, dryRun })).rejects.toThrow(
      /^execution input: maxCostUsd is 50\.01, but .* at most 50 \(maxRunCostUsd\): lower it or .*deploy with a higher maxRunCostUsd/,
    );
  expect(puts()).toEqual([]);
  const capOf = async (input: object) => (await validate({ runId: 'r', ...input }, 'second')).run.maxCostUsd;
  expect(await capOf({ maxCostUsd: 50 })).toBe(50);
  expect(await capOf({ maxCostUsd: 9 })).toBe(9);
  expect(await capOf({})).toBe(50);
  expect(await capOf({ maxCostUsd: null })).toBe(50);
  // What an execution was given stays on record, though the deployment's cap has come down since.
  workedOnBefore({ maxCostUsd: 80 });
  expect(await capOf({})).toBe(50);
  expect(JSON.parse(String(puts().at(-2)!.Body))).toMatchObject({ maxCostUsd: 80 });
  workedOnBefore({ maxCostUsd: 9 });
  expect(await capOf({})).toBe(9);
});

it("holds the deployment's cap against the first stage, and needs prices for it", async () => {
  vi.stubEnv('MATES_DEPLOYMENT', JSON.stringify({ maxRunCostUsd: 0.1 }));
  for (const input of [{}, { maxCostUsd: null }])
    await expect(validate(input)).rejects.toThrow(
      /^this deployment's maxRunCostUsd is 0\.1, but .* by the end of its first stage: deploy with a higher one, or make/,
    );
  vi.stubEnv('MATES_DEPLOYMENT', JSON.stringify({ maxRunCostUsd: 9, gpuInstances: ['p4d'] }));
  await expect(validate({})).rejects.toThrow(/^maxRunCostUsd: there is no price of p4d .*, or without both/);
  expect(puts()).toEqual([]);
});
