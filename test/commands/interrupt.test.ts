import { afterEach, expect, it, vi } from 'vitest';
import { stopSignal } from '../../bin/interrupt.ts';

afterEach(() => vi.restoreAllMocks());

it('a second Ctrl-C ends the process, but the one that npx hands on with the first does not', () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
  const now = vi.spyOn(performance, 'now');
  const before = process.listeners('SIGINT');
  const { signal, dispose } = stopSignal();
  const press = (milliseconds: number) => {
    now.mockReturnValue(milliseconds);
    process.emit('SIGINT', 'SIGINT');
    return exit.mock.calls;
  };
  expect(signal.aborted).toBe(false);
  expect(press(5000)).toEqual([]);
  expect(signal.aborted).toBe(true);
  expect(press(5900)).toEqual([]);
  expect(press(6100)).toEqual([[130]]);
  dispose();
  expect(process.listeners('SIGINT')).toEqual(before);
});
