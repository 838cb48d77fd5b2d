import { spawnSync } from 'node:child_process';
import { beforeEach, describe, expect, it, vi } from 'vitest';

const fs = vi.hoisted(() => ({ readFileSync: vi.fn(), readlinkSync: vi.fn() }));
vi.mock('node:fs', () => fs);
const { isAtWork, thisProcess } = await import('../../core/processes.ts');

/** An id that no process has now. */
const gone = () => spawnSync(process.execPath, ['-e', '']).pid;

describe('on Linux', () => {
  beforeEach(() => {
    fs.readlinkSync.mockReturnValue('pid:[1]');
    fs.readFileSync.mockImplementation((path: string) =>
      path.endsWith('stat') ? `1 (a) b) S ${'0 '.repeat(18)}77 0` : 'b\n',
    );
  });

  it('a process is distinguished from a later one with the same id', () => {
    const self = thisProcess();
    expect(self).toMatchObject({ boot: 'b', namespace: 'pid:[1]', started: '77' });
    expect(isAtWork(self)).toBe(true);
    expect(isAtWork({ ...self, started: '76' })).toBe(false);
    expect(isAtWork({ ...self, pid: gone() })).toBe(false);
  });

  it('nothing is known of a process in another container, on another machine, or from before the last restart of this one', () => {
    const self = thisProcess();
    for (const other of [{ namespace: 'pid:[2]' }, { host: 'elsewhere' }, { boot: 'a' }])
      expect(isAtWork({ ...self, ...other })).toBeUndefined();
  });
});

describe('where the system does not tell when a process started', () => {
  beforeEach(() => {
    for (const read of [fs.readFileSync, fs.readlinkSync])
      read.mockImplementation(() => {
        throw new Error('ENOENT');
      });
  });

  it('a process that has ended is known to have ended, and a running one may be another with its id', () => {
    const self = thisProcess();
    expect(isAtWork({ ...self, pid: gone() })).toBe(false);
    expect(isAtWork(self)).toBeUndefined();
    expect(isAtWork({ ...self, pid: gone(), host: 'elsewhere' })).toBeUndefined();
  });
});
