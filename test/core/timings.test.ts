import { describe, expect, it } from 'vitest';
import { busySeconds, secondsAtWork, taskOf } from '../../core/run/timings.ts';

const job = (begin: number, seconds: number) => ({ job: 'x', begin: 1000 * begin, seconds, flops: 0 });

describe('the time of a stage', () => {
  it('counts jobs side by side once and leaves out the time between them', () => {
    expect(busySeconds([])).toBe(0);
    expect(busySeconds([job(0, 10), job(5, 10)])).toBe(15);
    expect(busySeconds([job(100, 1), job(0, 10), job(2, 3)])).toBe(11);
    expect(busySeconds([job(0, 100), job(10, 5), job(30, 5)])).toBe(100);
    const interrupted = { ...job(100, 10), earlier: [job(0, 20), job(50, 5)] };
    expect(busySeconds([interrupted, job(15, 10)])).toBe(40);
    expect(secondsAtWork(interrupted)).toBe(35);
  });
});

it.each([
  ['prepare-probe', 'prepare-probe'],
  ['probe-12', 'probe'],
  ['fit-influence', 'fit-influence'],
  ['score-0', 'score'],
  ['pretrain-main', 'pretrain'],
  ['pretrain-control', 'pretrain'],
  ['evaluate-control', 'evaluate'],
  ['prepare', 'prepare'],
  ['something-else', undefined],
])('the job %s is of the task %s', (name, task) => {
  expect(taskOf(name)).toBe(task);
});
