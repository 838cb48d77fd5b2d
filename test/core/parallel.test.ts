import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { mapParallel } from '../../core/parallel.ts';

describe('mapParallel', () => {
  it('gives the results in order, with as many calls under way as allowed', async () => {
    let [underWay, most] = [0, 0];
    const results = await mapParallel([5, 4, 3, 2, 1, 0], 3, async (turns, index) => {
      most = Math.max(most, ++underWay);
      for (let i = 0; i < turns; i++) await turn();
      underWay--;
      return index;
    });
    expect(results).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most).toBe(3);
  });

  it('starts nothing more after a failure, and throws it once the calls under way have ended', async () => {
    const log: string[] = [];
    const work = async (item: number, _: number, signal: AbortSignal) => {
      log.push(`start ${item}`);
      await turn();
      if (item === 1) throw new Error('no');
      while (!signal.aborted) await turn();
      log.push(`end ${item}`);
    };
    await expect(mapParallel([0, 1, 2, 3, 4], 3, work)).rejects.toThrow('no');
    expect(log.sort()).toEqual(['end 0', 'end 2', 'start 0', 'start 1', 'start 2']);
    await turn();
    expect(log).toHaveLength(5);
  });

  it('stops with the reason of the signal that it is given', async () => {
    const stop = new AbortController();
    const started: number[] = [];
    const work = async (item: number) => {
      started.push(item);
      stop.abort(new Error('stop'));
    };
    const running = mapParallel([0, 1, 2], 1, work, stop.signal);
    await expect(running).rejects.toThrow('stop');
    expect(started).toEqual([0]);
  });
});
