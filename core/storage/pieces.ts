/** Reads, hashes and copies objects of any size piece by piece. */
import { createHash, type Hash } from 'node:crypto';
import { InputError } from '../errors.ts';
import type { FileRecord } from '../formats.ts';
import { mapAhead, mapParallel } from '../parallel.ts';
import { type Content, NotFoundError, type Pieces, type Store } from './store.ts';

/** Large enough that an S3 request's latency (some 30 ms) is small beside the transfer. */
const PIECE_BYTES = 8 << 20;
/** Pieces that are fetched or waiting while one is used, to hide the latency. */
const READ_AHEAD = 3;

/**
 * An object's bytes, or a range of them, in pieces of `pieceBytes`; the last may be shorter.
 *
 * @throws NotFoundError when there is no such object, and InputError when it gets shorter meanwhile.
 */
export async function* readPieces(
  store: Store,
  key: string,
  range: { offset?: number; length?: number } = {},
  pieceBytes = PIECE_BYTES,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { offset = 0 } = range;
  const length = range.length ?? (await objectSize(store, key)) - offset;
  const starts = function* () {
    for (let at = 0; at < length; at += pieceBytes) yield at;
  };
  yield* mapAhead(starts(), READ_AHEAD, async (at) => {
    const wanted = Math.min(pieceBytes, length - at);
    const piece = await store.get(key, { offset: offset + at, length: wanted });
    if (piece.length !== wanted)
      throw new InputError(
        `${store.uri}/${key} ended at byte ${offset + at + piece.length} while it was read: something shortened it. ` +
          'Make it whole, and give the same command again.',
      );
    return piece;
  });
}

/** Sizes asked for at once, so that requests hide each other's latency. */
const REQUESTS = 16;

/** The first of the files that is missing or has another size than was recorded, in words; undefined if there is none. */
export async function firstDamaged(store: Store, files: readonly FileRecord[]): Promise<string | undefined> {
  const sizes = await mapParallel(files, REQUESTS, ({ key }) => store.size(key));
  const at = files.findIndex(({ bytes }, i) => sizes[i] !== bytes);
  if (at < 0) return undefined;
  const how = sizes[at] === undefined ? 'is missing' : `has ${sizes[at]} bytes instead of ${files[at]!.bytes}`;
  return `${store.uri}/${files[at]!.key} ${how}`;
}

/** Size and SHA-256 of an object; `onPiece` takes the size of each piece, and may throw to stop. Throws NotFoundError. */
export async function hashObject(store: Store, key: string, onPiece?: (bytes: number) => void): Promise<FileRecord> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of readPieces(store, key)) {
    hash.update(piece);
    bytes += piece.length;
    onPiece?.(piece.length);
  }
  return { key, bytes, sha256: hash.digest('hex') };
}

/** Writes an object as `put` does, and returns its size and SHA-256. */
export async function putFile(store: Store, key: string, content: Content, bytes?: number): Promise<FileRecord> {
  const hash = createHash('sha256');
  if (typeof content === 'string' || content instanceof Uint8Array) {
    const whole = typeof content === 'string' ? Buffer.from(content) : content;
    for (let at = 0; at < whole.length; at += PIECE_BYTES) hash.update(whole.subarray(at, at + PIECE_BYTES));
    await store.put(key, whole);
    return { key, bytes: whole.length, sha256: hash.digest('hex') };
  }
  let written = 0;
  const counted = hashed(content, hash, (length) => {
    written += length;
  });
  await store.put(key, counted, bytes);
  return { key, bytes: written, sha256: hash.digest('hex') };
}

/** Copies an object between stores. Throws NotFoundError. */
export async function copyObject(from: Store, key: string, to: Store, toKey: string): Promise<void> {
  const size = await objectSize(from, key);
  await to.put(toKey, readPieces(from, key, { length: size }), size);
}

async function* hashed(pieces: Pieces, hash: Hash, onPiece: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    hash.update(piece);
    onPiece(piece.length);
    yield piece;
  }
}

/** Throws NotFoundError. */
export async function objectSize(store: Store, key: string): Promise<number> {
  const size = await store.size(key);
  if (size === undefined) throw new NotFoundError(`${store.uri}/${key}`);
  return size;
}
