/**
 * A run of 100 stages over 10,000 shards, the most that a configuration may ask for, stays within the quotas of Step
 * Functions and Batch: computed by running the definition with the largest values that can occur (worst-case.ts).
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { MAX_INPUT_BYTES } from '../../core/run/execution-input.ts';
import { synthesizeMachine } from '../../lib/synthesize.ts';
import { type Course, worstCase } from './worst-case.ts';

/** https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html */
const HISTORY_EVENTS = 25_000;
const PAYLOAD_BYTES = 256 * 1024;
/** https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html */
const OVERRIDES = 8192;

const readme = readFileSync('README.md', 'utf8');
const machine = synthesizeMachine();
const small = { stages: 3, shards: 8, trainer: 'batch' } as const;

describe('100 stages and 10,000 shards', () => {
  let course: Course;
  beforeAll(async () => {
    course = await worstCase(machine, { stages: 100, shards: 10_000, trainer: 'batch' });
  });

  it("write fewer events than the parent's history has", () => {
    expect(course.items).toBe(10_000);
    expect(course.events).toBeGreaterThan(100 * 50); // it went round
    expect(course.events).toBeLessThan(HISTORY_EVENTS / 2.5);
    expect(readme).toContain(`${course.events.toLocaleString('en')} of the 25,000 events`);
  });

  it('keep the input, output, parameters and result of every state below the limit of a payload', () => {
    expect(course.largest.size).toBeGreaterThan(60);
    for (const [what, size] of course.largest) expect(size, what).toBeLessThan(PAYLOAD_BYTES / 2);
  });

  it("keep a job's container overrides below Batch's limit", () => {
    expect(course.overrides).toBeGreaterThan(1000); // keys of 1,024 characters were in them
    expect(course.overrides).toBeLessThan(OVERRIDES / 2);
  });

  it('carry nothing that grows with stages or shards: only digits are more than in a run of three stages', async () => {
    const { largest } = await worstCase(machine, small);
    expect([...course.largest.keys()].sort()).toEqual([...largest.keys()].sort());
    for (const [what, size] of course.largest) expect(size - largest.get(what)!, what).toBeLessThan(40);
  });
});

it('100 stages fit the history even if every task fails as often as it may be tried again', async () => {
  for (const trainer of ['batch', 'sagemaker'] as const) {
    const { events } = await worstCase(machine, { stages: 100, shards: 200, trainer, retries: true });
    expect(events).toBeGreaterThan(15_000);
    expect(events).toBeLessThan(HISTORY_EVENTS);
    expect(readme).toContain(`${events.toLocaleString('en')} if every call fails`);
  }
});

it('training on SageMaker keeps its payloads below the limit, too', async () => {
  const { largest } = await worstCase(machine, { ...small, trainer: 'sagemaker' });
  expect(largest.get('Pretrain on SageMaker: parameters')).toBeGreaterThan(1000);
  for (const [what, size] of largest) expect(size, what).toBeLessThan(PAYLOAD_BYTES / 2);
});

it('the largest input that mates start sends passes the first state, and goes no further', async () => {
  const { largest } = await worstCase(machine, { ...small, input: MAX_INPUT_BYTES });
  expect(largest.get('Validate the run: input')).toBe(MAX_INPUT_BYTES);
  const beyond = [...largest].filter(
    ([what, size]) => size > PAYLOAD_BYTES / 2 && !what.startsWith('Validate the run'),
  );
  expect(beyond).toEqual([]);
});

it.each(['Prepare the corpus', 'Select the documents', 'Evaluate', 'Finish the run'])(
  'the longest cause of a failure of "%s" reaches the end of the execution',
  async (fails) => {
    await expect(worstCase(machine, { ...small, fails })).rejects.toMatchObject({
      error: 'RunError',
      cause: expect.stringMatching(/^c{32768}$/),
    });
  },
);
