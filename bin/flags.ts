/** Parsers for the values of flags, in the form that commander calls. */
import { ConfigError } from '../core/errors.ts';
import { LEAST_TEMPERATURE } from '../core/selection/methods.ts';

/** @throws ConfigError that names the flag, as all parsers here do. */
export const wholeNumber = (flag: string, least: number) =>
  number(flag, `a whole number, at least ${least}`, (value) => Number.isSafeInteger(value) && value >= least);

export const within = (flag: string, { least, most }: { least: number; most: number }) =>
  number(
    flag,
    `a whole number from ${least} to ${most}`,
    (value) => Number.isInteger(value) && value >= least && value <= most,
  );

export const share = (flag: string) =>
  number(flag, 'a share of the rows, above 0 and up to 1', (value) => value > 0 && value <= 1);

export const positive = (flag: string) =>
  number(flag, 'a number above 0, such as 1e-4', (value) => value > 0 && value < Infinity);

export const temperature = (flag: string) =>
  number(
    flag,
    `a number, at least ${LEAST_TEMPERATURE}, such as 0.5; for the highest scores choose --method hard-top-k`,
    (value) => value >= LEAST_TEMPERATURE && value < Infinity,
  );

export const dollars = (flag: string) =>
  number(flag, 'dollars, such as 50, or none', (value) => value > 0 && value < Infinity);

export const atLeastZero = (flag: string) =>
  number(flag, 'a number, at least 0', (value) => value >= 0 && value < Infinity);

function number(flag: string, expected: string, holds: (value: number) => boolean): (text: string) => number {
  return (text) => {
    // Number('') is 0; an empty text may be a shell variable that is not set.
    const blank = text.trim() === '';
    const value = blank ? Number.NaN : Number(text);
    if (!holds(value)) throw new ConfigError(`${flag} ${blank ? JSON.stringify(text) : text}: expected ${expected}.`);
    return value;
  };
}

/**
 * Names separated by commas, or `none`. The result is in the order of `known`, whatever the order on the command line.
 */
export function someOf(flag: string, known: readonly string[]): (text: string) => string[] {
  return (text) => {
    const names = text === 'none' ? [] : text.split(',').map((name) => name.trim());
    if (names.some((name) => !known.includes(name)))
      throw new ConfigError(`${flag} ${text}: expected none, or names separated by commas: ${known.join(', ')}.`);
    return known.filter((name) => names.includes(name));
  };
}

/** Collects the values of a flag that may be given several times. */
export const collect = (value: string, before: string[] = []) => [...before, value];
