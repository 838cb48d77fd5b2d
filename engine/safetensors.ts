/**
 * The safetensors format: u64 little-endian header length, a JSON header padded with spaces to a multiple of 8, then the
 * tensors' bytes without gaps (https://huggingface.co/docs/safetensors). Written files equal the reference library's.
 */
import { InputError } from '../core/errors.ts';
import { sizeOf } from './parameters.ts';

export interface Tensor {
  shape: readonly number[];
  data: Float32Array;
}

interface Entry {
  dtype: string;
  shape: number[];
  /** Bytes from the start of the data, `end` exclusive. */
  begin: number;
  end: number;
}

const BYTES_OF: Record<string, number> = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, U16: 2, I16: 2, F16: 2, BF16: 2 },
  ...{ U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8 },
};

/** The reference library refuses longer headers too. */
const LONGEST_HEADER = 100_000_000;

/**
 * A safetensors file of float32 tensors.
 *
 * @param metadata free strings for the header; `format: "pt"` is what Transformers looks for.
 * @returns the same bytes for the same tensors, in whatever order they are given: tensors are sorted by name.
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [name: string, tensor: Tensor]>,
  metadata: Record<string, string> = { format: 'pt' },
): Uint8Array {
  const sorted = [...tensors].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const header = new Map<string, unknown>([['__metadata__', metadata]]);
  let offset = 0;
  for (const [name, { shape, data }] of sorted) {
    if (sizeOf(shape) !== data.length) throw new RangeError(`${name}: ${data.length} values for [${shape}]`);
    if (header.has(name)) throw new RangeError(`${name} is given twice`);
    header.set(name, { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] });
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + padded + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(json, 8);
  file.fill(0x20, 8 + json.length, 8 + padded);
  let at = 8 + padded;
  for (const [, { data }] of sorted) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** A safetensors file in memory; the header is checked whole, tensors are converted when asked for. */
export class SafetensorsFile {
  readonly metadata: Record<string, string>;
  private readonly entries = new Map<string, Entry>();
  private readonly data: Uint8Array;
  private readonly file: string;

  /**
   * @param file what error messages call it.
   * @throws InputError when the file is cut short or its header contradicts itself.
   */
  constructor(bytes: Uint8Array, file: string) {
    this.file = file;
    if (bytes.length < 8) this.refuse(`has ${bytes.length} bytes and is no safetensors file`);
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
    if (length > LONGEST_HEADER) this.refuse('is no safetensors file: the header would be longer than 100 MB');
    if (8 + length > bytes.length)
      this.refuse(`is cut short: ${bytes.length} bytes, the header alone has ${8 + length}`);
    this.data = bytes.subarray(8 + length);
    const header = this.parseHeader(bytes.subarray(8, 8 + length));
    this.metadata = (header.__metadata__ ?? {}) as Record<string, string>;
    for (const [name, value] of Object.entries(header))
      if (name !== '__metadata__') this.entries.set(name, this.checkEntry(name, value));
    this.checkLayout();
  }

  names(): string[] {
    return [...this.entries.keys()];
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  shape(name: string): readonly number[] {
    return this.entry(name).shape;
  }

  /**
   * The tensor's values as float32: exact for F32, F16 and BF16, rounded for F64 and for integers above 2^24. An F32
   * tensor may be a view of the file's bytes: copy it before writing to it.
   *
   * @param expected when given, the shape it must have.
   */
  float32(name: string, expected?: readonly number[]): Float32Array {
    const { dtype, shape, begin, end } = this.entry(name);
    if (expected && (expected.length !== shape.length || expected.some((n, i) => n !== shape[i])))
      this.refuse(`has ${name} of shape [${shape}], [${expected}] was expected: it is not of this configuration`);
    const bytes = this.data.subarray(begin, end);
    if (dtype === 'F32') return view(bytes, Float32Array);
    if (dtype === 'F64') return Float32Array.from(view(bytes, Float64Array));
    if (dtype === 'F16') return Float32Array.from(view(bytes, Uint16Array), halfToNumber);
    if (dtype === 'BF16') return bfloat16ToFloat32(view(bytes, Uint16Array));
    if (dtype === 'I64') return Float32Array.from(view(bytes, BigInt64Array), Number);
    if (dtype === 'I32') return Float32Array.from(view(bytes, Int32Array));
    if (dtype === 'U8' || dtype === 'BOOL') return Float32Array.from(bytes);
    return this.refuse(`stores ${name} as ${dtype}; F32, F16, BF16, F64, I64, I32, U8 and BOOL can be read`);
  }

  private entry(name: string): Entry {
    return this.entries.get(name) ?? this.refuse(`has no tensor ${name}`);
  }

  private parseHeader(bytes: Uint8Array): Record<string, unknown> {
    let text: string;
    let header: unknown;
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      header = JSON.parse(text);
    } catch {
      return this.refuse('is no safetensors file: the header is not JSON');
    }
    if (typeof header !== 'object' || header === null || Array.isArray(header))
      return this.refuse('is no safetensors file: the header is not an object');
    const twice = repeatedKey(text);
    if (twice !== undefined) this.refuse(`names the tensor ${twice} twice`);
    return header as Record<string, unknown>;
  }

  private checkEntry(name: string, value: unknown): Entry {
    const { dtype, shape, data_offsets } = (value ?? {}) as Record<string, unknown>;
    const width = typeof dtype === 'string' ? BYTES_OF[dtype] : undefined;
    if (width === undefined) return this.refuse(`gives the tensor ${name} the unknown type ${JSON.stringify(dtype)}`);
    if (!isCounts(shape)) return this.refuse(`gives the tensor ${name} the shape ${JSON.stringify(shape)}`);
    if (!isCounts(data_offsets) || data_offsets.length !== 2)
      return this.refuse(`gives the tensor ${name} the offsets ${JSON.stringify(data_offsets)}`);
    const [begin, end] = data_offsets as [number, number];
    if (end - begin !== sizeOf(shape) * width)
      return this.refuse(
        `gives the tensor ${name} ${end - begin} bytes, [${shape}] of ${dtype} need ${sizeOf(shape) * width}`,
      );
    if (end > this.data.length)
      return this.refuse(
        `is cut short: the tensor ${name} ends at byte ${end} of the data, which has ${this.data.length}`,
      );
    return { dtype: dtype as string, shape, begin, end };
  }

  /** Tensors must neither overlap nor leave gaps: the format forbids both, so that no file hides other content. */
  private checkLayout(): void {
    let reached = 0;
    for (const [name, { begin, end }] of [...this.entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
      if (begin !== reached)
        this.refuse(`has the tensor ${name} at byte ${begin} of the data, ${reached} was expected`);
      reached = end;
    }
    if (reached !== this.data.length) this.refuse(`has ${this.data.length - reached} bytes after its last tensor`);
  }

  private refuse(what: string): never {
    throw new InputError(`${this.file} ${what}. Download or export the file again.`);
  }
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

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

/** The first key that a JSON object's own level has twice; JSON.parse would silently keep the last. */
function repeatedKey(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (const [token, colon] of tokensOf(json)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (depth === 1 && colon) {
      const key = JSON.parse(token) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

/** Brackets and strings of a JSON text, each with whether a colon follows. */
function* tokensOf(json: string): Generator<[token: string, colon: boolean]> {
  for (const match of json.matchAll(/("(?:[^"\\]|\\.)*")\s*(:?)|[{}[\]]/g))
    yield [match[1] ?? match[0], match[2] === ':'];
}
