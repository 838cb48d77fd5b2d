import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { ParquetFileWriter, parquetRows, readParquet, writeParquet } from '../../core/parquet.ts';
import { DirectoryStore, NotFoundError } from '../../core/storage/index.ts';
import { MemoryStore } from '../memory-store.ts';
import { temporaryFolder } from '../support.ts';

const row = fc.record({
  row: fc.maxSafeInteger(),
  count: fc.integer(),
  score: fc.float({ noNaN: true }),
  loss: fc.double({ noNaN: true }),
  text: fc.string({ unit: 'grapheme' }),
});
const types = { row: 'INT64', count: 'INT32', score: 'FLOAT', loss: 'DOUBLE', text: 'STRING' } as const;
const columnsOf = (rows: Record<string, number | string>[]) =>
  Object.entries(types).map(([name, type]) => ({ name, type, data: rows.map((entry) => entry[name]) as number[] }));

describe('Parquet', () => {
  it('reads back what was written, wholly and in part', () =>
    fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 20 }), fc.nat(20), fc.nat(20), async (rows, a, b) => {
        const bytes = writeParquet(columnsOf(rows), 3);
        const [begin, end] = [Math.min(a, b), Math.max(a, b)];
        for (const range of [{}, { begin, end }]) {
          const table = await readParquet(bytes, types, range);
          const wanted = 'begin' in range ? rows.slice(begin, end) : rows;
          for (const { name, data } of columnsOf(wanted)) expect(table[name as keyof typeof table]).toEqual(data);
        }
      }),
      { numRuns: 50 },
    ));

  it('gives the same bytes for the same columns, and reads a store by ranges', async () => {
    const columns = [
      { name: 'row', type: 'INT64' as const, data: [1, 2, 3] },
      { name: 'text', type: 'STRING' as const, data: ['a', 'b', 'c'] },
    ];
    const bytes = writeParquet(columns);
    expect(writeParquet(columns)).toEqual(bytes);
    const store = new DirectoryStore(await temporaryFolder());
    await store.put('x.parquet', bytes);
    expect(await readParquet({ store, key: 'x.parquet' }, { text: 'STRING' }, { begin: 1 })).toEqual({
      text: ['b', 'c'],
    });
    await expect(readParquet({ store, key: 'none' }, { text: 'STRING' })).rejects.toThrow(NotFoundError);
  });

  it('names the file that lacks a column, and the columns that it has', async () => {
    const bytes = writeParquet([{ name: 'row', type: 'INT64', data: [1] }]);
    await expect(readParquet(bytes, { text: 'STRING' })).rejects.toThrow(/no column text; it has row\./);
    const store = new DirectoryStore(await temporaryFolder());
    await store.put('x.parquet', bytes);
    const read = readParquet({ store, key: 'x.parquet' }, { row: 'INT64', text: 'STRING', score: 'FLOAT' });
    await expect(read).rejects.toThrow(InputError);
    await expect(read).rejects.toThrow(/^\/.*\/x\.parquet has no column text, score; it has row\. .* make it again\.$/);
  });

  it('names a damaged file, whether its footer or its pages are damaged', async () => {
    const store = new DirectoryStore(await temporaryFolder());
    const bytes = writeParquet([{ name: 'text', type: 'STRING', data: Array.from({ length: 99 }, (_, i) => `${i}`) }]);
    const flipped = bytes.map((byte, i) => (i > 4 && i < 60 ? byte ^ 255 : byte));
    for (const damaged of [bytes.subarray(0, -9), bytes.subarray(0, 3), flipped]) {
      await store.put('x.parquet', damaged);
      const read = readParquet({ store, key: 'x.parquet' }, { text: 'STRING' });
      await expect(read).rejects.toThrow(InputError);
      await expect(read).rejects.toThrow(/^\/.*\/x\.parquet: not a Parquet file.*it was damaged: .*make it again\.$/);
    }
    await store.put('x.parquet', bytes.subarray(0, -9));
    await expect(parquetRows({ store, key: 'x.parquet' })).rejects.toThrow(/x\.parquet: not a Parquet file/);
  });

  it('does not call a file damaged where the store fails, as that may be transient', async () => {
    const store = new MemoryStore();
    await store.put('x.parquet', writeParquet([{ name: 'row', type: 'INT64', data: [1] }]));
    const failure = new Error('socket hang up');
    store.get = () => Promise.reject(failure);
    await expect(readParquet({ store, key: 'x.parquet' }, { row: 'INT64' })).rejects.toBe(failure);
  });

  it('can be written piece by piece', async () => {
    const column = { name: 'n', type: 'INT32' as const };
    const file = new ParquetFileWriter([column]);
    const pieces = [
      file.append([{ ...column, data: [1, 2] }]),
      file.append([{ ...column, data: Int32Array.of(3) }]),
      file.finish(),
    ];
    const whole = Buffer.concat(pieces);
    expect(await readParquet(whole, { n: 'INT32' })).toEqual({ n: [1, 2, 3] });
    const grouped = writeParquet([{ ...column, data: [1, 2, 3] }], 2);
    expect(whole).toEqual(grouped);
  });
});
