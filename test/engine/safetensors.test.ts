import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { encodeSafetensors, SafetensorsFile, type Tensor } from '../../engine/safetensors.ts';

const tensor = (shape: number[], values: number[]): Tensor => ({ shape, data: Float32Array.from(values) });

/** A file from a header as it stands, valid or not. */
function file(header: unknown, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const read = (bytes: Uint8Array) => new SafetensorsFile(bytes, 'weights.safetensors');
const bytesOf = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

describe('encode', () => {
  it('writes the bytes that the format prescribes', () => {
    const bytes = encodeSafetensors(
      [
        ['b', tensor([2], [1, 2])],
        ['a', tensor([], [3])],
      ],
      { format: 'pt' },
    );
    const header =
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},' +
      '"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}';
    const length = new DataView(bytes.buffer).getUint32(0, true);
    expect(length % 8).toBe(0);
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + length))).toBe(header.padEnd(length));
    expect(new Float32Array(bytes.slice(8 + length).buffer)).toEqual(Float32Array.of(3, 1, 2));
  });

  it('reads back what it wrote, in whatever order and alignment', () => {
    const float = fc.float({ noNaN: true });
    const tensors = fc.dictionary(fc.string(), fc.array(float, { maxLength: 9 }), { noNullPrototype: true });
    fc.assert(
      fc.property(tensors, fc.nat(7), (values, shift) => {
        const entries = Object.entries(values).filter(([name]) => name !== '__metadata__' && name !== '__proto__');
        const list = entries.map(([name, v]) => [name, tensor([v.length, 1], v)] as const);
        const bytes = encodeSafetensors(list);
        expect(encodeSafetensors([...list].reverse())).toEqual(bytes);
        const shifted = new Uint8Array(bytes.length + shift).subarray(shift);
        shifted.set(bytes);
        const back = read(shifted);
        expect(back.names()).toHaveLength(list.length);
        for (const [name, { shape, data }] of list) expect(back.float32(name, shape)).toEqual(data);
      }),
    );
  });

  it('refuses values that do not fill the shape', () => {
    expect(() => encodeSafetensors([['a', tensor([3], [1])]])).toThrow(/a: 1 values for \[3\]/);
  });
});

describe('conversion to float32', () => {
  const one = (dtype: string, shape: number[], data: Uint8Array) =>
    read(file({ x: { dtype, shape, data_offsets: [0, data.length] } }, data)).float32('x');

  it('reads half precision, subnormals and infinities included', () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000, 0x3555);
    const values = one('F16', [7], bytesOf(bits));
    expect([...values]).toEqual([1, -2, 2 ** -24, 65504, Number.POSITIVE_INFINITY, -0, 0.333251953125]);
    expect(one('F16', [1], bytesOf(Uint16Array.of(0x7e00)))).toEqual(Float32Array.of(Number.NaN));
  });

  it('reads bfloat16', () => {
    expect([...one('BF16', [3], bytesOf(Uint16Array.of(0x3f80, 0xc040, 0x7f80)))]).toEqual([1, -3, Infinity]);
  });

  it('reads float64 and integers', () => {
    expect([...one('F64', [1], bytesOf(Float64Array.of(0.5)))]).toEqual([0.5]);
    expect([...one('I64', [2], bytesOf(BigInt64Array.of(-3n, 7n)))]).toEqual([-3, 7]);
    expect([...one('I32', [1], bytesOf(Int32Array.of(-9)))]).toEqual([-9]);
    expect([...one('BOOL', [2], Uint8Array.of(0, 1))]).toEqual([0, 1]);
  });

  it('names the type that it cannot read', () => {
    expect(() => one('U16', [1], new Uint8Array(2))).toThrow(/stores x as U16; F32/);
  });
});

describe('refusals name the file and the tensor', () => {
  const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [begin, end],
  });
  const cases: [string, Uint8Array, RegExp][] = [
    ['too short', new Uint8Array(5), /has 5 bytes and is no safetensors file/],
    ['a header beyond the end', file('{}').subarray(0, 9), /cut short/],
    ['an absurd header length', new Uint8Array(16).fill(0x7f), /no safetensors file/],
    ['no JSON', file('{"a":'), /header is not JSON/],
    ['not an object', file('[]'), /header is not an object/],
    ['unknown type', file({ a: { dtype: 'F7', shape: [], data_offsets: [0, 0] } }), /tensor a the unknown type "F7"/],
    ['negative shape', file({ a: { dtype: 'F32', shape: [-1], data_offsets: [0, 0] } }), /tensor a the shape \[-1\]/],
    ['no offsets', file({ a: { dtype: 'F32', shape: [1] } }), /tensor a the offsets undefined/],
    ['too few bytes', file({ a: f32(0, 4, [2]) }, new Uint8Array(4)), /tensor a 4 bytes, \[2\] of F32 need 8/],
    [
      'truncated data',
      file({ a: f32(0, 8) }, new Uint8Array(4)),
      /the tensor a ends at byte 8 of the data, which has 4/,
    ],
    ['overlap', file({ a: f32(0, 8), b: f32(4, 12) }, new Uint8Array(12)), /tensor b at byte 4 of the data, 8/],
    ['gap', file({ a: f32(4, 8) }, new Uint8Array(8)), /tensor a at byte 4 of the data, 0 was/],
    ['trailing bytes', file({ a: f32(0, 4) }, new Uint8Array(6)), /2 bytes after its last tensor/],
    [
      'a name twice',
      file(
        '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
      ),
      /names the tensor a twice/,
    ],
  ];
  it.each(cases)('%s', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(message);
    expect(() => read(bytes)).toThrow(InputError);
    expect(() => read(bytes)).toThrow(/^weights\.safetensors /);
  });

  it('a missing tensor and a wrong shape', () => {
    const bytes = read(encodeSafetensors([['a', tensor([2, 1], [1, 2])]]));
    expect(() => bytes.float32('b')).toThrow(/has no tensor b/);
    expect(() => bytes.float32('a', [1, 2])).toThrow(/has a of shape \[2,1\], \[1,2\] was expected/);
  });

  it('any damage to the header is refused or leaves the data as it was', () => {
    const good = encodeSafetensors([
      ['a', tensor([2], [1, 2])],
      ['bc', tensor([1], [3])],
    ]);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
        const bad = good.slice();
        bad[at] = byte;
        try {
          const names = read(bad).names();
          expect(names).toHaveLength(2);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
    );
  });
});
