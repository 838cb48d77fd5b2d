import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import { NotFoundError } from '../../core/storage/index.ts';
import { encodeSafetensors, readSafetensors, type Tensor } from '../../engine/files/safetensors.ts';
import { sizeOf } from '../../engine/parameters.ts';
import { bytesOf, MemoryStore } from '../memory-store.ts';

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

/** All tensors of a file. */
async function read(bytes: Uint8Array, pieceBytes?: number): Promise<Map<string, Tensor>> {
  const store = new MemoryStore('memory:');
  await store.put('weights.safetensors', bytes);
  const tensors = new Map<string, Tensor>();
  const place = (name: string, shape: readonly number[]) => {
    tensors.set(name, { shape, data: new Float32Array(sizeOf(shape)) });
    return tensors.get(name);
  };
  await readSafetensors(store, 'weights.safetensors', place, undefined, pieceBytes);
  return tensors;
}

const encode = (...given: Parameters<typeof encodeSafetensors>) => bytesOf(encodeSafetensors(...given));
const rawBytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** The encoder of version 0.1.0, which held the whole file: checkpoints that it wrote must keep their hashes. */
function encodedWhole(tensors: (readonly [string, Tensor])[]): Uint8Array {
  const sorted = [...tensors].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const header = new Map<string, unknown>([['__metadata__', { format: 'pt' }]]);
  let offset = 0;
  for (const [name, { shape, data }] of sorted) {
    header.set(name, { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] });
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const whole = new Uint8Array(8 + padded + offset);
  new DataView(whole.buffer).setBigUint64(0, BigInt(padded), true);
  whole.set(json, 8);
  whole.fill(0x20, 8 + json.length, 8 + padded);
  let at = 8 + padded;
  for (const [, { data }] of sorted) {
    whole.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return whole;
}

const namedTensors = fc
  .dictionary(fc.string(), fc.array(fc.float({ noNaN: true }), { maxLength: 9 }), { noNullPrototype: true })
  .map((values) =>
    Object.entries(values)
      .filter(([name]) => name !== '__metadata__' && name !== '__proto__')
      .map(([name, v]) => [name, tensor([v.length, 1], v)] as const),
  );

describe('encode', () => {
  it('writes the bytes that the format prescribes', async () => {
    const bytes = await encode([
      ['b', tensor([2], [1, 2])],
      ['a', tensor([], [3])],
    ]);
    const header =
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},' +
      '"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}';
    const length = new DataView(bytes.buffer).getUint32(0, true);
    expect(length % 8).toBe(0);
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + length))).toBe(header.padEnd(length));
    expect(new Float32Array(bytes.slice(8 + length).buffer)).toEqual(Float32Array.of(3, 1, 2));
  });

  it('writes what it always wrote, whatever the order of the tensors', async () => {
    await fc.assert(
      fc.asyncProperty(namedTensors, async (list) => {
        const file = encodeSafetensors(list);
        const bytes = await bytesOf(file);
        expect(bytes).toEqual(encodedWhole(list));
        expect(file.bytes).toBe(bytes.length);
        expect(await bytesOf(file)).toEqual(bytes);
        expect(await encode([...list].reverse())).toEqual(bytes);
      }),
    );
  });

  it('cuts large tensors and copies none', async () => {
    const large = tensor([3, 1 << 20], []);
    large.data = Float32Array.from({ length: 3 << 20 }, (_, i) => i);
    const pieces = [...encodeSafetensors([['large', large]])];
    expect(pieces.slice(1).map(({ length }) => length)).toEqual([8 << 20, 4 << 20]);
    expect(pieces[1]!.buffer).toBe(large.data.buffer);
    expect(sha256(Buffer.concat(pieces))).toBe(sha256(encodedWhole([['large', large]])));
  });

  it('reads back what it wrote, from pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(namedTensors, fc.integer({ min: 1, max: 99 }), async (list, pieceBytes) => {
        expect(await read(await encode(list), pieceBytes)).toEqual(new Map(list));
      }),
    );
  });

  it('refuses values that do not fill the shape, and a name that is given twice', () => {
    expect(() => encodeSafetensors([['a', tensor([3], [1])]])).toThrow(/a: 1 values for \[3\]/);
    const one = ['a', tensor([1], [1])] as const;
    expect(() => encodeSafetensors([one, one])).toThrow('a is given twice');
  });
});

describe('files of more than 8 GiB', () => {
  const elements = 2 ** 31 + 3; // memory that nothing touches is not taken

  it('are written up to their last byte', () => {
    const data = new Float32Array(elements);
    data[elements - 1] = 7;
    const file = encodeSafetensors([
      ['a', { shape: [elements], data }],
      ['b', tensor([1], [9])],
    ]);
    let bytes = 0;
    let last: Uint8Array[] = [];
    for (const piece of file) {
      bytes += piece.length;
      last = [...last.slice(-1), piece];
    }
    expect(bytes).toBe(file.bytes);
    expect(bytes).toBeGreaterThan(4 * elements);
    expect(last.map((piece) => new Float32Array(piece.slice().buffer).at(-1))).toEqual([7, 9]);
  });

  it('are read up to their last byte', async () => {
    const begin = 4 * elements;
    const header = {
      a: { dtype: 'F32', shape: [elements], data_offsets: [0, begin] },
      b: { dtype: 'F32', shape: [2], data_offsets: [begin, begin + 8] },
    };
    const start = file(header);
    const end = rawBytes(Float32Array.of(5, 6));
    const zeros = new Uint8Array(8 << 20);
    const size = start.length + begin + end.length;
    const store = new MemoryStore();
    store.size = async () => size;
    store.get = async (_, range) => {
      const { offset, length } = range!;
      if (offset > 0 && offset + length < size) return zeros.subarray(0, length);
      const bytes = new Uint8Array(length);
      if (offset === 0) bytes.set(start);
      if (offset + length === size) bytes.set(end, length - end.length);
      return bytes;
    };
    const b = tensor([2], [0, 0]);
    await readSafetensors(store, 'huge', (name) => (name === 'b' ? b : undefined));
    expect(b.data).toEqual(Float32Array.of(5, 6));
  });
});

describe('conversion to float32', () => {
  /** The same values from any pieces, which may end within an element. */
  const one = async (dtype: string, shape: number[], data: Uint8Array) => {
    const bytes = file({ x: { dtype, shape, data_offsets: [0, data.length] } }, data);
    const { data: values } = (await read(bytes)).get('x')!;
    for (const pieceBytes of [1, 3, 7]) expect((await read(bytes, pieceBytes)).get('x')!.data).toEqual(values);
    return values;
  };

  it('reads half precision, subnormals and infinities included', async () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000, 0x3555);
    const values = await one('F16', [7], rawBytes(bits));
    expect([...values]).toEqual([1, -2, 2 ** -24, 65504, Number.POSITIVE_INFINITY, -0, 0.333251953125]);
    expect(await one('F16', [1], rawBytes(Uint16Array.of(0x7e00)))).toEqual(Float32Array.of(Number.NaN));
  });

  it('reads bfloat16', async () => {
    expect([...(await one('BF16', [3], rawBytes(Uint16Array.of(0x3f80, 0xc040, 0x7f80))))]).toEqual([1, -3, Infinity]);
  });

  it('reads float64 and integers', async () => {
    expect([...(await one('F64', [1], rawBytes(Float64Array.of(0.5))))]).toEqual([0.5]);
    expect([...(await one('I64', [2], rawBytes(BigInt64Array.of(-3n, 7n))))]).toEqual([-3, 7]);
    expect([...(await one('I32', [1], rawBytes(Int32Array.of(-9))))]).toEqual([-9]);
    expect([...(await one('BOOL', [2], Uint8Array.of(0, 1)))]).toEqual([0, 1]);
  });

  it('names the type that it cannot read', async () => {
    await expect(one('U16', [1], new Uint8Array(2))).rejects.toThrow(/stores x as U16; F32/);
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
  it.each(cases)('%s', async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toThrow(message);
    await expect(read(bytes)).rejects.toThrow(InputError);
    await expect(read(bytes)).rejects.toThrow(/^memory:\/weights\.safetensors /);
  });

  it('a wrong shape, before any value is read', async () => {
    const store = new MemoryStore('memory:');
    await store.put('a.safetensors', encodeSafetensors([['a', tensor([2, 1], [1, 2])]]));
    const target = tensor([1, 2], [8, 9]);
    const reading = readSafetensors(store, 'a.safetensors', () => target);
    await expect(reading).rejects.toThrow(/a\.safetensors has a of shape \[2,1\], \[1,2\] was expected/);
    expect(target.data).toEqual(Float32Array.of(8, 9));
  });

  it('any damage to the header is refused or leaves the data as it was', async () => {
    const good = await encode([
      ['a', tensor([2], [1, 2])],
      ['bc', tensor([1], [3])],
    ]);
    const values = Float32Array.of(1, 2, 3); // the end of the file
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - values.byteLength - 1), fc.nat(255), async (at, byte) => {
        const bad = good.slice();
        bad[at] = byte;
        const found = await read(bad).catch((error: unknown) => error);
        if (found instanceof Map)
          expect([...found.values()].flatMap(({ data }) => [...data]).sort()).toEqual([...values]);
        else expect(found).toBeInstanceOf(InputError);
      }),
    );
  });
});

describe('the hash of a file', () => {
  const store = new MemoryStore('memory:');
  const readHash = async (bytes: Uint8Array) => {
    await store.put('x', bytes);
    const hashes: string[] = [];
    const failure = await readSafetensors(
      store,
      'x',
      () => undefined,
      (found) => hashes.push(found),
      5,
    ).catch((error: unknown) => error);
    return { hashes, failure };
  };

  it('is that of all its bytes, whether its content can be used or not', async () => {
    const good = await encode([['a', tensor([2], [1, 2])]]);
    expect(await readHash(good)).toEqual({ hashes: [sha256(good)], failure: undefined });
    for (const bad of [good.subarray(0, 5), good.subarray(0, 30), good.subarray(0, -1), Buffer.concat([good, good])]) {
      const { hashes, failure } = await readHash(bad);
      expect(hashes).toEqual([sha256(bad)]);
      expect(failure).toBeInstanceOf(InputError);
    }
  });

  it('is not asked for where the file vanishes while it is read: it is missing then, not damaged', async () => {
    const vanishing = new MemoryStore('memory:');
    await vanishing.put('x', await encode([['a', tensor([2], [1, 2])]]));
    vanishing.get = () => Promise.reject(new NotFoundError('memory:/x'));
    const hashes: string[] = [];
    const reading = readSafetensors(
      vanishing,
      'x',
      () => undefined,
      (found) => hashes.push(found),
    );
    await expect(reading).rejects.toThrow(NotFoundError);
    expect(hashes).toEqual([]);
  });
});
