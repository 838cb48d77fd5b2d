/**
 * The safetensors format: u64 little-endian header length, a JSON header padded with spaces to a multiple of 8, then the
 * tensors' bytes without gaps (https://huggingface.co/docs/safetensors). Written files equal the reference library's.
 *
 * Files are written and read from start to end in pieces: beside the tensors themselves, this takes only some megabytes
 * of memory, whatever the size of the file.
 */
import { createHash, type Hash } from 'node:crypto';
import { InputError } from '../../core/errors.ts';
import { NotFoundError, objectSize, readPieces, type Store } from '../../core/storage/index.ts';
import { sizeOf } from '../parameters.ts';
import { BYTES_OF, type Entry, headerBytes, LENGTH_BYTES, parseHeader, refuse } from './safetensors-header.ts';

export interface Tensor {
  shape: readonly number[];
  data: Float32Array;
}

/** Bytes read at once, and at most written at once: a hash cannot take more than 2 GiB in one call. */
const PIECE_BYTES = 8 << 20;

/** A file that is not yet written: its size, and its bytes, which can be iterated over any number of times. */
export interface EncodedSafetensors extends Iterable<Uint8Array> {
  readonly bytes: number;
}

/**
 * A safetensors file of float32 tensors, whose pieces are views of the tensors' own memory.
 *
 * @returns the same bytes for the same tensors in any order, since they are sorted by name.
 */
export function encodeSafetensors(tensors: Iterable<readonly [name: string, tensor: Tensor]>): EncodedSafetensors {
  const sorted = [...tensors].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const header = new Map<string, unknown>([['__metadata__', { format: 'pt' }]]); // what Transformers looks for
  let offset = 0;
  for (const [name, { shape, data }] of sorted) {
    if (sizeOf(shape) !== data.length) throw new RangeError(`${name}: ${data.length} values for [${shape}]`);
    if (header.has(name)) throw new RangeError(`${name} is given twice`);
    header.set(name, { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] });
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const start = new Uint8Array(LENGTH_BYTES + padded).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(padded), true);
  start.set(json, LENGTH_BYTES);
  return {
    bytes: start.length + offset,
    *[Symbol.iterator]() {
      yield start;
      for (const [, { data }] of sorted)
        for (let at = 0; at < data.byteLength; at += PIECE_BYTES)
          yield new Uint8Array(data.buffer, data.byteOffset + at, Math.min(PIECE_BYTES, data.byteLength - at));
    },
  };
}

/** Gives the array to fill with a tensor's values, and the shape it must have; undefined for a tensor to skip. */
export type Place = (name: string, shape: readonly number[]) => Tensor | undefined;

/** Gives only the shape that a tensor must have. */
export type ExpectShape = (name: string, shape: readonly number[]) => Pick<Tensor, 'shape'> | undefined;

/** A header is mostly shorter; a longer one takes more of these. */
const HEADER_PIECE_BYTES = 64 << 10;

/** Refuses what {@link readSafetensors} does, from the header alone: no tensor is read. */
export async function checkSafetensors(store: Store, key: string, expect: ExpectShape): Promise<void> {
  const file = `${store.uri}/${key}`;
  const size = await objectSize(store, key);
  const input = new PieceReader(readPieces(store, key, { length: size }, HEADER_PIECE_BYTES), undefined);
  try {
    for (const entry of await readHeader(input, size, file)) check(entry, expect(entry.name, entry.shape), file);
  } finally {
    await input.close();
  }
}

/**
 * Reads a file's tensors as float32 into the arrays that `place` gives: exact for F32, F16 and BF16, rounded for F64 and
 * for integers above 2^24. After an error the arrays may be partly filled.
 *
 * @param place called once for each tensor, before any of them is read.
 * @param verify called with the SHA-256 of the whole file once it has been read, even if its content is refused: this
 *   distinguishes a damaged file from one that was written wrongly.
 * @throws NotFoundError when there is no such file; InputError when it is cut short, its header contradicts itself, or a
 *   tensor has another shape than its place.
 */
export async function readSafetensors(
  store: Store,
  key: string,
  place: Place,
  verify?: (sha256: string) => void,
  pieceBytes = PIECE_BYTES,
): Promise<void> {
  const file = `${store.uri}/${key}`;
  const size = await objectSize(store, key);
  const hash = createHash('sha256');
  const input = new PieceReader(readPieces(store, key, { length: size }, pieceBytes), verify && hash);
  try {
    await readInto(input, size, place, file);
    verify?.(hash.digest('hex'));
  } catch (error) {
    if (verify && error instanceof InputError && !(error instanceof NotFoundError) && !input.ended) {
      await input.drain();
      verify(hash.digest('hex'));
    }
    throw error;
  } finally {
    await input.close();
  }
}

async function readHeader(input: PieceReader, size: number, file: string): Promise<Entry[]> {
  if (size < LENGTH_BYTES) refuse(file, `has ${size} bytes and is no safetensors file`);
  const length = headerBytes(await input.take(LENGTH_BYTES, LENGTH_BYTES), size, file);
  return parseHeader(await input.take(length, length), size - LENGTH_BYTES - length, file);
}

async function readInto(input: PieceReader, size: number, place: Place, file: string): Promise<void> {
  const entries = await readHeader(input, size, file);
  const targets = entries.map((entry) => {
    const target = place(entry.name, entry.shape);
    check(entry, target, file);
    return target?.data;
  });
  for (const [i, { dtype, begin, end }] of entries.entries()) {
    const width = BYTES_OF[dtype]!;
    for (let at = begin; at < end; ) {
      const bytes = await input.take(width, end - at);
      const target = targets[i];
      if (target) setValues(target, (at - begin) / width, dtype, bytes);
      at += bytes.length;
    }
  }
  await input.drain();
}

function check({ name, dtype, shape }: Entry, target: Pick<Tensor, 'shape'> | undefined, file: string): void {
  if (!target) return;
  const expected = target.shape;
  if (expected.length !== shape.length || expected.some((n, i) => n !== shape[i]))
    refuse(file, `has ${name} of shape [${shape}], [${expected}] was expected: it is not of this configuration`);
  if (dtype !== 'F32' && !(dtype in CONVERSIONS))
    refuse(file, `stores ${name} as ${dtype}; F32, ${Object.keys(CONVERSIONS).join(', ')} can be read`);
}

/** Converts bytes that hold whole elements, and writes the values to `target` from element `at` on. */
function setValues(target: Float32Array, at: number, dtype: string, bytes: Uint8Array): void {
  if (dtype === 'F32') new Uint8Array(target.buffer, target.byteOffset + 4 * at, bytes.length).set(bytes);
  else target.set(CONVERSIONS[dtype]!(bytes), at);
}

/** Types other than float32. */
const CONVERSIONS: Readonly<Record<string, (bytes: Uint8Array) => ArrayLike<number>>> = {
  F16: (bytes) => Float32Array.from(view(bytes, Uint16Array), halfToNumber),
  BF16: (bytes) => bfloat16ToFloat32(view(bytes, Uint16Array)),
  F64: (bytes) => view(bytes, Float64Array),
  I64: (bytes) => Float32Array.from(view(bytes, BigInt64Array), Number),
  I32: (bytes) => view(bytes, Int32Array),
  U8: (bytes) => bytes,
  BOOL: (bytes) => bytes,
};

/** A typed array over bytes: a view where the alignment allows it, else a copy. */
function view<A>(
  bytes: Uint8Array,
  Type: { new (buffer: ArrayBufferLike, offset: number, length: number): A; BYTES_PER_ELEMENT: number },
): A {
  const width = Type.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  return new Type(aligned.buffer, aligned.byteOffset, aligned.length / width);
}

/** IEEE 754 binary16: 1 sign bit, 5 exponent bits (bias 15), 10 mantissa bits. */
function halfToNumber(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** bfloat16 is the upper half of a float32. */
function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** Takes the requested amounts from a stream of pieces, and hashes each piece as it arrives. */
class PieceReader {
  ended = false;
  private rest: Uint8Array = new Uint8Array(0);
  private readonly pieces: AsyncGenerator<Uint8Array>;
  private readonly hash: Hash | undefined;

  constructor(pieces: AsyncGenerator<Uint8Array>, hash: Hash | undefined) {
    this.pieces = pieces;
    this.hash = hash;
  }

  /** As many whole units of `unit` bytes as are at hand: at least one, and at most `most` bytes in all. */
  async take(unit: number, most: number): Promise<Uint8Array> {
    if (this.rest.length < unit) return this.join(unit);
    const atHand = Math.min(most, this.rest.length);
    const taken = this.rest.subarray(0, unit === 0 ? 0 : atHand - (atHand % unit));
    this.rest = this.rest.subarray(taken.length);
    return taken;
  }

  /** Joins bytes that lie in several pieces. */
  private async join(bytes: number): Promise<Uint8Array> {
    const joined = new Uint8Array(bytes);
    for (let filled = 0; filled < bytes; ) {
      if (this.rest.length === 0) {
        const piece = await this.next();
        if (!piece) throw new RangeError('the sizes in a safetensors header should have been checked against the file');
        this.rest = piece;
      }
      const part = this.rest.subarray(0, bytes - filled);
      joined.set(part, filled);
      filled += part.length;
      this.rest = this.rest.subarray(part.length);
    }
    return joined;
  }

  /** Reads to the end, for the hash. */
  async drain(): Promise<void> {
    while (await this.next());
  }

  async close(): Promise<void> {
    await this.pieces.return(undefined);
  }

  private async next(): Promise<Uint8Array | undefined> {
    const { value, done } = await this.pieces.next();
    if (done) this.ended = true;
    else this.hash?.update(value);
    return done ? undefined : value;
  }
}
