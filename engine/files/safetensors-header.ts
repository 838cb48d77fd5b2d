/**
 * The header of a safetensors file, which says where each tensor lies. All of it is checked before any tensor is read.
 */

import { InputError } from '../../core/errors.ts';
import { isObject } from '../../core/objects.ts';
import { sizeOf } from '../parameters.ts';

/** A tensor of a file. */
export interface Entry {
  name: string;
  dtype: string;
  shape: number[];
  /** Byte offsets from the start of the data, `end` exclusive. */
  begin: number;
  end: number;
}

export const BYTES_OF: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

/** The reference library refuses longer headers too. */
const LONGEST_HEADER = 100_000_000;

/** Size of the u64 that gives the header's length. */
export const LENGTH_BYTES = 8;

/**
 * The header's length from a file's first eight bytes.
 *
 * @param file the name that error messages use.
 * @throws InputError when the file cannot have such a header.
 */
export function headerBytes(start: Uint8Array, fileBytes: number, file: string): number {
  const length = Number(new DataView(start.buffer, start.byteOffset, LENGTH_BYTES).getBigUint64(0, true));
  if (length > LONGEST_HEADER) refuse(file, 'is no safetensors file: the header would be longer than 100 MB');
  if (LENGTH_BYTES + length > fileBytes)
    refuse(file, `is cut short: ${fileBytes} bytes, the header alone has ${LENGTH_BYTES + length}`);
  return length;
}

/**
 * The file's tensors in the order of their bytes, which fill the data without gaps.
 *
 * @param dataBytes how many bytes follow the header.
 * @throws InputError when the file is cut short or its header contradicts itself.
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, file: string): Entry[] {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    return refuse(file, 'is no safetensors file: the header is not JSON');
  }
  if (!isObject(header)) return refuse(file, 'is no safetensors file: the header is not an object');
  const twice = repeatedKey(text);
  if (twice !== undefined) refuse(file, `names the tensor ${twice} twice`);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => checkEntry(name, value, dataBytes, file))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkLayout(entries, dataBytes, file);
  return entries;
}

/** @throws InputError, always. */
export function refuse(file: string, what: string): never {
  throw new InputError(`${file} ${what}. Download or export the file again.`);
}

function checkEntry(name: string, value: unknown, dataBytes: number, file: string): Entry {
  const { dtype, shape, data_offsets } = (value ?? {}) as Record<string, unknown>;
  const width = typeof dtype === 'string' ? BYTES_OF[dtype] : undefined;
  if (width === undefined) return refuse(file, `gives the tensor ${name} the unknown type ${JSON.stringify(dtype)}`);
  if (!isCounts(shape)) return refuse(file, `gives the tensor ${name} the shape ${JSON.stringify(shape)}`);
  if (!isCounts(data_offsets) || data_offsets.length !== 2)
    return refuse(file, `gives the tensor ${name} the offsets ${JSON.stringify(data_offsets)}`);
  const [begin, end] = data_offsets as [number, number];
  const needed = sizeOf(shape) * width;
  if (end - begin !== needed)
    return refuse(file, `gives the tensor ${name} ${end - begin} bytes, [${shape}] of ${dtype} need ${needed}`);
  if (end > dataBytes)
    return refuse(file, `is cut short: the tensor ${name} ends at byte ${end} of the data, which has ${dataBytes}`);
  return { name, dtype: dtype as string, shape, begin, end };
}

/** Tensors must neither overlap nor leave gaps: the format forbids both, so that no file hides other content. */
function checkLayout(entries: Entry[], dataBytes: number, file: string): void {
  let reached = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== reached) refuse(file, `has the tensor ${name} at byte ${begin} of the data, ${reached} was expected`);
    reached = end;
  }
  if (reached !== dataBytes) refuse(file, `has ${dataBytes - reached} bytes after its last tensor`);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** The first key that occurs twice at a JSON object's top level; JSON.parse would silently keep the last. */
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

/** The brackets and strings of a JSON text, and whether a colon follows each. */
function* tokensOf(json: string): Generator<[token: string, colon: boolean]> {
  for (const match of json.matchAll(/("(?:[^"\\]|\\.)*")\s*(:?)|[{}[\]]/g))
    yield [match[1] ?? match[0], match[2] === ':'];
}
