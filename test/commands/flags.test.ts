import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { atLeastZero, collect, positive, share, someOf, temperature, wholeNumber, within } from '../../bin/flags.ts';
import { SEQUENCE_LENGTH, SHARDS } from '../../core/config/ranges.ts';
import { ConfigError } from '../../core/errors.ts';
import { mates } from '../end-to-end/support.ts';

describe('the value of a flag', () => {
  it('is read as a number', () => {
    expect(wholeNumber('--stage', 0)('0')).toBe(0);
    expect(share('--fraction')('1')).toBe(1);
    expect(positive('--learning-rate')('1e-4')).toBe(1e-4);
  });

  it('is read as names, which are put into one order', () => {
    const features = someOf('--features', ['dsir', 'loss', 'hidden']);
    expect(features('hidden, dsir')).toEqual(['dsir', 'hidden']);
    expect(features('none')).toEqual([]);
  });

  it('is added to the earlier values of the same flag', () => {
    expect(['a', 'b'].reduce<string[] | undefined>((before, value) => collect(value, before), undefined)).toEqual([
      'a',
      'b',
    ]);
  });

  it.each<[(text: string) => unknown, string, string]>([
    [wholeNumber('--threads', 0), '-1', '--threads -1: expected a whole number, at least 0.'],
    [wholeNumber('--stage', 0), '1.5', '--stage 1.5: expected a whole number, at least 0.'],
    [within('--shards', SHARDS), '1', '--shards 1: expected a whole number from 2 to 10000.'],
    [
      within('--sequence-length', SEQUENCE_LENGTH),
      '9007199254740991',
      '--sequence-length 9007199254740991: expected a whole number from 8 to 1048576.',
    ],
    [share('--fraction'), '0', '--fraction 0: expected a share of the rows, above 0 and up to 1.'],
    [share('--fraction'), 'half', '--fraction half: expected a share of the rows, above 0 and up to 1.'],
    [atLeastZero('--classifier-weight'), '-1', '--classifier-weight -1: expected a number, at least 0.'],
    [wholeNumber('--seed', 0), '', '--seed "": expected a whole number, at least 0.'],
    [atLeastZero('--classifier-weight'), ' ', '--classifier-weight " ": expected a number, at least 0.'],
    [
      temperature('--temperature'),
      '1e-40',
      '--temperature 1e-40: expected a number, at least 0.000001, such as 0.5; for the highest scores choose --method hard-top-k.',
    ],
    [positive('--learning-rate'), '0', '--learning-rate 0: expected a number above 0, such as 1e-4.'],
    [
      someOf('--features', ['dsir', 'loss']),
      'dsir,los',
      '--features dsir,los: expected none, or names separated by commas: dsir, loss.',
    ],
  ])('is refused: %o of %s', (parse, text, message) => {
    expect(() => parse(text)).toThrow(new ConfigError(message));
  });

  it('ends the command with 2 where it is wrong, before any file is read', async () => {
    const { code, stderr } = await mates('export', 'nowhere', '--out', 'out', '--stage', 'last');
    expect(stderr).toBe('mates: --stage last: expected a whole number, at least 0.\n');
    expect(code).toBe(2);
  });
});

it.each(['--sequence-length', '--shards'])('mates prepare has an upper limit of %s', async (flag) => {
  const most = String(Number.MAX_SAFE_INTEGER);
  const { code, stderr } = await mates('prepare', '--input', 'a', '--tokenizer', 'b', '--out', 'c', flag, most);
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(new RegExp(`^mates: ${flag} ${most}: expected a whole number from \\d+ to \\d+\\.\n$`)),
  ]);
});

it('goes on where nobody reads what it prints', async () => {
  const child = spawn(process.execPath, ['bin/mates.js', 'plan', 'examples/smoke.json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy(); // as `| head` ends
  const [[code], stderr] = await Promise.all([once(child, 'exit'), text(child.stderr)]);
  expect([code, stderr]).toEqual([0, '']);
});
