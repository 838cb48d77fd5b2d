/**
 * The loop over every row of an in-memory selection: compares the first word of each row's noise with the bounds of its
 * utility. Whether a row is in is as good as random, so the kernel has no branch that a processor could mispredict: it
 * writes each row at the end of both lists, and advances the end of the list that the row belongs to.
 */
import { type PhiloxSpan, SPAN } from '../../random/philox-span.ts';
import { doWhile, f32x4, i32, i32x4, kernel, v128 } from '../../wasm/assemble.ts';
import { type Noise, noiseSpan } from '../keys.ts';
import { type Bounds, INTERVALS } from './bracket.ts';

/** Byte offsets in the kernel's memory; the noise comes before them. */
const UTILITIES = 8 * SPAN;
const ABOVE = UTILITIES + 4 * SPAN;
const OPEN = ABOVE + 2 * SPAN;
const TABLE = OPEN + 2 * SPAN;
/** Each number repeated four times: perTemperature, base, scale, flip. */
const CONSTANTS = TABLE + 8 * INTERVALS;
/** The ends of both lists, and whether a utility is NaN. */
const RESULTS = CONSTANTS + 64;
const PAGES = Math.ceil((RESULTS + 12) / 0x1_0000);

/** Decides spans of rows. Its lists are valid until the next span; they ascend, and count rows from the span's first. */
export class Decider {
  readonly noise: PhiloxSpan;
  /** Rows whose key is above the bracket. */
  readonly above: Uint16Array;
  aboveCount = 0;
  /** Rows whose key must be looked at. */
  readonly open: Uint16Array;
  openCount = 0;
  private readonly utilities: Float32Array;
  private readonly results: Uint32Array;

  constructor(noise: Noise, { perTemperature, base, scale, flip, table }: Bounds) {
    this.noise = noiseSpan(noise, { pages: PAGES, kernels: [DECIDE] });
    const { memory } = this.noise;
    this.utilities = new Float32Array(memory, UTILITIES, SPAN);
    this.above = new Uint16Array(memory, ABOVE, SPAN);
    this.open = new Uint16Array(memory, OPEN, SPAN);
    this.results = new Uint32Array(memory, RESULTS, 3);
    new Uint32Array(memory, TABLE, 2 * INTERVALS).set(table);
    for (const [i, value] of [perTemperature, base, scale].entries())
      new Float32Array(memory, CONSTANTS + 16 * i, 4).fill(value);
    new Int32Array(memory, CONSTANTS + 48, 4).fill(flip);
  }

  /**
   * Decides rows from `first` on.
   *
   * @param utilities at most {@link SPAN} of them.
   * @returns how many rows were decided, see `PhiloxSpan.fill`; undefined when a utility is NaN.
   */
  decide(first: number, utilities: Float32Array): number | undefined {
    const count = this.noise.fill(first, utilities.length);
    this.utilities.set(utilities);
    this.utilities.fill(0, count, count + 3); // the kernel rounds up to a multiple of 4
    this.noise.kernels.decide!(count);
    const [aboveEnd, openEnd, notNumbers] = this.results as unknown as [number, number, number];
    if (notNumbers) return undefined;
    this.aboveCount = lengthBefore(this.above, aboveEnd / 2, count);
    this.openCount = lengthBefore(this.open, openEnd / 2, count);
    return count;
  }
}

/** How many of the first `length` rows of an ascending list come before `end`. */
function lengthBefore(rows: Uint16Array, length: number, end: number): number {
  while (length > 0 && rows[length - 1]! >= end) length--;
  return length;
}

const DECIDE = kernel(
  'decide',
  ['count'],
  {
    i32: ['row', 'entry', 'word', 'isAbove', 'aboveEnd', 'openEnd'],
    v128: ['utility', 'entries', 'words', 'notNumbers'],
  },
  ({ count, row, entry, word, isAbove, aboveEnd, openEnd, utility, entries, words, notNumbers }) => {
    const rowBytes = i32.shiftLeft(row.get, i32.const(2));
    const constant = (i: number) => v128.load(i32.const(CONSTANTS + 16 * i));
    const place = f32x4.multiply(f32x4.subtract(f32x4.multiply(utility.get, constant(0)), constant(1)), constant(2));
    const interval = i32x4.minUnsigned(f32x4.toUnsigned(place), i32x4.const(INTERVALS - 1));
    const decide = (lane: number) => [
      ...entry.set(i32x4.lane(entries.get, lane)),
      ...word.set(i32x4.lane(words.get, lane)),
      ...isAbove.set(i32.greaterUnsigned(word.get, i32.load(entry.get, TABLE + 4))),
      ...i32.store16(aboveEnd.get, row.get, ABOVE),
      ...i32.store16(openEnd.get, row.get, OPEN),
      ...aboveEnd.set(i32.add(aboveEnd.get, i32.shiftLeft(isAbove.get, i32.const(1)))),
      ...openEnd.set(
        i32.add(
          openEnd.get,
          i32.shiftLeft(
            i32.subtract(i32.notLessUnsigned(word.get, i32.load(entry.get, TABLE)), isAbove.get),
            i32.const(1),
          ),
        ),
      ),
      ...row.set(i32.add(row.get, i32.const(1))),
    ];
    const fourRows = [
      ...utility.set(v128.load(rowBytes, UTILITIES)),
      ...notNumbers.set(v128.or(notNumbers.get, f32x4.differ(utility.get, utility.get))),
      ...entries.set(i32x4.shiftLeft(interval, 3)), // an entry of the table has 8 bytes
      ...words.set(v128.xor(v128.load(rowBytes), constant(3))),
      ...[0, 1, 2, 3].flatMap(decide),
    ];
    return [
      ...doWhile(fourRows, i32.lessUnsigned(row.get, count.get)),
      ...i32.store(i32.const(RESULTS), aboveEnd.get),
      ...i32.store(i32.const(RESULTS), openEnd.get, 4),
      ...i32.store(i32.const(RESULTS), v128.any(notNumbers.get), 8),
    ];
  },
);
