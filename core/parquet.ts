/** Parquet for the corpus, probes and selections: whole columns in, whole columns out, deterministic bytes. */
import { type AsyncBuffer, type DecodedArray, type FileMetaData, parquetMetadataAsync, parquetScan } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { ByteWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer';
import { InputError } from './errors.ts';
import { objectSize, type Store } from './storage/index.ts';

export type ParquetType = 'INT32' | 'INT64' | 'FLOAT' | 'DOUBLE' | 'STRING';

/** One column, without nulls. INT64 is given and returned as numbers, which must be safe integers. */
export interface ParquetColumn {
  name: string;
  type: ParquetType;
  data: ArrayLike<number> | readonly string[];
  /**
   * For numbers in large files: the differences of integers that ascend or are small, or floats' bytes in separate
   * streams.
   */
  encoding?: 'DELTA_BINARY_PACKED' | 'BYTE_STREAM_SPLIT';
}

/** What {@link readParquet} returns for a column of a type: strings for STRING, else numbers. */
type Values<T extends ParquetType> = T extends 'STRING' ? string[] : number[];

/** Rows in a row group: the least that a range read fetches, and what a writer holds unencoded. */
const ROW_GROUP_ROWS = 4096;

/** Writes a Parquet file (snappy); the same columns always give the same bytes. */
export function writeParquet(columns: readonly ParquetColumn[], rowGroupRows = ROW_GROUP_ROWS): Uint8Array {
  const file = new ParquetFileWriter(columns);
  return Buffer.concat([file.append(columns, rowGroupRows), file.finish()]);
}

/**
 * Encodes a Parquet file piece by piece: what `append` and `finish` return, one after the other, is the file. It keeps
 * no rows, only some 500 bytes for each row group and column, which the file's footer describes.
 */
export class ParquetFileWriter {
  private readonly bytes = new TakenBytes();
  private readonly writer: ParquetWriter;

  constructor(columns: readonly Omit<ParquetColumn, 'data'>[]) {
    const columnData = columns.map(({ name, type }) => ({ name, type, data: [], nullable: false }));
    const schema = schemaFromColumnData({ columnData });
    this.writer = new ParquetWriter({ writer: this.bytes, schema, createdBy: 'mates' });
  }

  /** Encodes rows, in row groups of their own. */
  append(columns: readonly ParquetColumn[], rowGroupRows = ROW_GROUP_ROWS): Uint8Array {
    const columnData = columns.map(({ name, type, data, encoding }) => ({ name, data: encode(type, data), encoding }));
    this.writer.write({ columnData, rowGroupSize: rowGroupRows });
    return this.bytes.take();
  }

  finish(): Uint8Array {
    this.writer.finish();
    return this.bytes.take();
  }
}

/** A writer whose bytes are taken away now and then; `offset` goes on counting. */
class TakenBytes extends ByteWriter {
  take(): Uint8Array {
    const taken = this.getBytes().slice();
    this.index = 0;
    return taken;
  }
}

function encode(type: ParquetType, data: ParquetColumn['data']): DecodedArray {
  if (type === 'STRING') return data as string[];
  const numbers = data as ArrayLike<number>;
  if (type === 'FLOAT') return Float32Array.from(numbers);
  if (type === 'DOUBLE') return Float64Array.from(numbers);
  if (type === 'INT32') return Int32Array.from(numbers);
  const integers = new BigInt64Array(numbers.length);
  for (let i = 0; i < integers.length; i++) integers[i] = BigInt(numbers[i]!);
  return integers;
}

/** Parquet bytes in memory, or an object of a store that is read by ranges. */
export type ParquetSource = Uint8Array | { store: Store; key: string };

/**
 * Reads whole columns, or rows `begin` to `end` of them, fetching only the row groups it needs.
 *
 * @param columns the columns wanted and their types: `{ row: 'INT64', text: 'STRING' }`.
 * @returns one array a column, in row order.
 * @throws NotFoundError when the object does not exist, and InputError when it lacks a column or is damaged.
 */
export async function readParquet<const C extends Record<string, ParquetType>>(
  source: ParquetSource,
  columns: C,
  range: { begin?: number; end?: number } = {},
): Promise<{ [K in keyof C]: Values<C[K]> }> {
  const file = await parquetBuffer(source);
  const uri = uriOf(source);
  const metadata = await damagedIfFails(uri, parquetMetadataAsync(file), REMEDY);
  const names = Object.keys(columns);
  const known = metadata.schema.slice(1).map((element) => element.name);
  const missing = names.filter((name) => !known.includes(name));
  if (missing.length > 0)
    throw new InputError(
      `${uri} has no column ${missing.join(', ')}; it has ${known.join(', ')}. It was changed, or another version wrote ` +
        'it: restore it from a copy, or delete it and make it again.',
    );
  const { begin = 0, end = Number(metadata.num_rows) } = range;
  const result: Record<string, (number | string)[]> = {};
  for (const name of names) result[name] = [];
  for (const group of rowGroups(metadata, begin, end)) {
    const scanning = parquetScan({ file, metadata, columns: names, compressors });
    const scan = await damagedIfFails(uri, scanning, REMEDY);
    for (const name of names) {
      const reading = scan.readColumn({ column: name, rowStart: group.begin, rowEnd: group.end });
      const values = await damagedIfFails(uri, reading, REMEDY);
      const target = result[name]!;
      const isText = columns[name] === 'STRING';
      for (let i = 0; i < values.length; i++) target.push(isText ? (values[i] as string) : Number(values[i]));
    }
  }
  return result as { [K in keyof C]: Values<C[K]> };
}

/** How many rows a Parquet file has; reads only its footer. */
export async function parquetRows(source: ParquetSource): Promise<number> {
  const metadata = parquetMetadataAsync(await parquetBuffer(source));
  return Number((await damagedIfFails(uriOf(source), metadata, REMEDY)).num_rows);
}

const uriOf = (source: ParquetSource) =>
  source instanceof Uint8Array ? 'the Parquet file' : `${source.store.uri}/${source.key}`;

const REMEDY = 'it was damaged: restore it from a copy, or delete it and make it again';

/**
 * Awaits something that is read from a {@link parquetBuffer}.
 *
 * @throws InputError that names the file and the remedy when its bytes are not Parquet. An error of the store is passed
 *   on as it is: a network error may be temporary, and the job is then tried again.
 */
export async function damagedIfFails<T>(uri: string, reading: Promise<T>, remedy: string): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (ofStore.has(error as Error)) throw error;
    throw new InputError(`${uri}: not a Parquet file that can be read (${(error as Error).message}); ${remedy}.`);
  }
}

/** Errors that a store has thrown while hyparquet was reading. */
const ofStore = new WeakSet<Error>();

/** The parts of a row range that lie in each row group. */
function rowGroups(metadata: FileMetaData, begin: number, end: number): { begin: number; end: number }[] {
  const parts: { begin: number; end: number }[] = [];
  let first = 0;
  for (const group of metadata.row_groups) {
    const last = first + Number(group.num_rows);
    const part = { begin: Math.max(begin, first), end: Math.min(end, last) };
    if (part.begin < part.end) parts.push(part);
    first = last;
  }
  return parts;
}

/** What hyparquet reads from. */
export async function parquetBuffer(source: ParquetSource): Promise<AsyncBuffer> {
  if (source instanceof Uint8Array) {
    return { byteLength: source.length, slice: (start, end) => exactBuffer(source.subarray(start, end)) };
  }
  const { store, key } = source;
  const byteLength = await objectSize(store, key);
  return {
    byteLength,
    slice: async (start, end = byteLength) => {
      const range = { offset: start, length: Math.min(end, byteLength) - start };
      const bytes = await store.get(key, range).catch((error: Error) => {
        ofStore.add(error);
        throw error;
      });
      return exactBuffer(bytes);
    },
  };
}

/** A view's own bytes as an ArrayBuffer: hyparquet reads from the start of the buffer it is given. */
function exactBuffer(view: Uint8Array): ArrayBuffer {
  if (view.byteLength === view.buffer.byteLength) return view.buffer as ArrayBuffer;
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}
