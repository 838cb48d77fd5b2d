import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Code, doWhile, f32x4, i32, i32x4, instantiate, kernel, v128 } from '../../core/wasm/assemble.ts';

/** What a kernel with the parameters a and b leaves in its memory, which may be filled before. */
function results(body: (a: Code, b: Code) => Code, [a, b]: [number, number], before: number[] = []): Uint32Array {
  const none = { i32: [], v128: [] };
  const { memory, kernels } = instantiate(1, [kernel('run', ['a', 'b'], none, (l) => body(l.a.get, l.b.get))]);
  const words = new Uint32Array(memory);
  words.set(before);
  kernels.run!(a, b);
  return words;
}
const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const zero = i32.const(0);

describe('assemble', () => {
  it('encodes constants of every size and sign', () => {
    const constants = fc.oneof(
      fc.integer(),
      fc.constantFrom(0, -1, 63, 64, -64, -65, 127, 128, 2 ** 31 - 1, -(2 ** 31)),
    );
    fc.assert(
      fc.property(constants, (value) => {
        expect(results(() => i32.store(zero, i32.const(value)), [0, 0])[0]! | 0).toBe(value);
      }),
    );
  });

  it('has the arithmetic of unsigned 32-bit integers', () => {
    fc.assert(
      fc.property(word, word, fc.integer({ min: 0, max: 31 }), (a, b, bits) => {
        const stored = (make: (a: Code, b: Code) => Code) => results((x, y) => i32.store(zero, make(x, y)), [a, b])[0];
        expect(stored(i32.add)).toBe((a + b) % 2 ** 32);
        expect(stored(i32.subtract)).toBe((a - b) >>> 0);
        expect(stored(i32.lessUnsigned)).toBe(a < b ? 1 : 0);
        expect(stored(i32.greaterUnsigned)).toBe(a > b ? 1 : 0);
        expect(stored(i32.notLessUnsigned)).toBe(a >= b ? 1 : 0);
        expect(stored((x) => i32.shiftLeft(x, i32.const(bits)))).toBe((a << bits) >>> 0);
      }),
    );
  });

  it('works on four lanes', () => {
    const lanes = fc.tuple(word, word, word, word);
    fc.assert(
      fc.property(lanes, lanes, (a, b) => {
        const stored = (make: (a: Code, b: Code) => Code) => {
          const body = v128.store(zero, make(v128.load(zero), v128.load(zero, 16)), 32);
          return Array.from(results(() => body, [0, 0], [...a, ...b]).subarray(8, 12));
        };
        const each = (f: (x: number, y: number) => number) => a.map((x, i) => f(x, b[i]!) >>> 0);
        expect(stored(v128.xor)).toEqual(each((x, y) => x ^ y));
        expect(stored(v128.or)).toEqual(each((x, y) => x | y));
        expect(stored(i32x4.add)).toEqual(each((x, y) => x + y));
        expect(stored(i32x4.minUnsigned)).toEqual(each(Math.min));
        expect(stored((x) => i32x4.shiftLeft(x, 3))).toEqual(each((x) => x << 3));
        expect(stored((x, y) => v128.pick(x, y, [0, 5, 7, 2]))).toEqual([a[0], b[1], b[3], a[2]]);
        const products = (i: number) => {
          const product = BigInt(a[i]!) * BigInt(b[i]!);
          return [Number(product & 0xffffffffn), Number(product >> 32n)];
        };
        expect(stored(i32x4.productsLow)).toEqual([0, 1].flatMap(products));
        expect(stored(i32x4.productsHigh)).toEqual([2, 3].flatMap(products));
        expect(stored((x) => i32x4.splat(i32x4.lane(x, 2)))).toEqual(new Array(4).fill(a[2]));
        expect(stored(() => i32x4.const(...a))).toEqual(a);
        expect(stored(() => i32x4.const(a[3]))).toEqual(new Array(4).fill(a[3]));
      }),
    );
  });

  it('works on four float32 lanes as JavaScript does on one', () => {
    const float = fc.float({ noDefaultInfinity: false });
    const lanes = fc.tuple(float, float, float, float);
    const wordsOf = (values: number[]) => Array.from(new Uint32Array(Float32Array.from(values).buffer));
    fc.assert(
      fc.property(lanes, lanes, (a, b) => {
        const stored = (make: (a: Code, b: Code) => Code) => {
          const body = v128.store(zero, make(v128.load(zero), v128.load(zero, 16)), 32);
          return results(() => body, [0, 0], [...wordsOf(a), ...wordsOf(b)]).slice(8, 12);
        };
        const floats = (words: Uint32Array) => Array.from(new Float32Array(words.buffer));
        expect(floats(stored(f32x4.multiply))).toEqual(a.map((x, i) => Math.fround(x * b[i]!)));
        expect(floats(stored(f32x4.subtract))).toEqual(a.map((x, i) => Math.fround(x - b[i]!)));
        expect(Array.from(stored(f32x4.differ))).toEqual(a.map((x, i) => (x !== b[i] ? 0xffffffff : 0)));
        const clamped = a.map((x) => Math.min(0xffffffff, Math.max(0, Math.trunc(x || 0))));
        expect(Array.from(stored(f32x4.toUnsigned))).toEqual(clamped);
      }),
    );
  });

  it('loops, with variables that start as zero, and tells whether any bit is set', () => {
    const sum = kernel('sum', ['n'], { i32: ['i', 'total'], v128: ['empty'] }, ({ n, i, total, empty }) => [
      ...doWhile(
        [...i.set(i32.add(i.get, i32.const(1))), ...total.set(i32.add(total.get, i.get))],
        i32.lessUnsigned(i.get, n.get),
      ),
      ...i32.store(zero, total.get),
      ...i32.store16(zero, i32.load(zero), 6),
      ...i32.store(zero, v128.any(empty.get), 8),
      ...i32.store(zero, v128.any(i32x4.const(0, 0, 8, 0)), 12),
    ]);
    const other = kernel('other', [], { i32: [], v128: [] }, () => i32.store(zero, i32.const(5), 300));
    const { memory, kernels } = instantiate(1, [sum, other]);
    kernels.sum!(100);
    kernels.other!();
    expect(Array.from(new Uint32Array(memory, 0, 4))).toEqual([5050, 5050 * 65536, 0, 1]);
    expect(new Uint32Array(memory)[75]).toBe(5);
  });
});
