/** A file's bytes, decompressed, piece by piece: memory stays bounded whatever the size of the file. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { InputError } from '../../errors.ts';
import { readPieces } from '../../storage/index.ts';
import type { InputFile } from './input-file.ts';
import { NO_FRAME, unzstd, WideWindow } from './unzstd.ts';

/** What unpacking says of a file that is something else. */
const NO_HEADER = { gzip: 'incorrect header check', zstd: NO_FRAME };

type Bytes = AsyncGenerator<Uint8Array, void, undefined>;

/** The file as it is stored. `onRead` is told the size of each piece. */
async function* readStored({ store, key, bytes }: InputFile, onRead?: (bytes: number) => void): Bytes {
  for await (const piece of readPieces(store, key, { length: bytes })) {
    onRead?.(piece.length);
    yield piece;
  }
}

/** The file's content: unpacked when its name ends in .gz or .zst. Throws InputError when it is truncated or damaged. */
export function readContent(file: InputFile, onRead?: (bytes: number) => void): Bytes {
  const pieces = readStored(file, onRead);
  if (file.format === '.jsonl.gz') return gunzip(pieces, file);
  if (file.format === '.jsonl.zst') return zstd(pieces, file.uri);
  return pieces;
}

async function* gunzip(pieces: Bytes, file: InputFile): Bytes {
  const unpacked = createGunzip();
  const fed = pipeline(Readable.from(pieces), unpacked);
  fed.catch(() => {}); // the loop below sees the same error
  try {
    for await (const chunk of unpacked) yield chunk as Uint8Array;
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error;
    throw damaged(file.uri, 'gzip', error);
  }
  await requireZeros(file, unpacked.bytesWritten);
}

/** Node's gunzip ends at a zero byte behind a member. Tape archives are padded with them; other bytes would be lost. */
async function requireZeros({ store, key, bytes, uri }: InputFile, offset: number): Promise<void> {
  for await (const piece of readPieces(store, key, { offset, length: bytes - offset }))
    if (piece.some((byte) => byte !== 0))
      throw damaged(uri, 'gzip', new Error(`zeros at byte ${offset}, and more data behind them`));
}

async function* zstd(pieces: Bytes, uri: string): Bytes {
  let reading: unknown;
  const readable = async function* () {
    try {
      yield* pieces;
    } catch (error) {
      reading = error; // from reading the file, not from what is in it
      throw error;
    }
  };
  try {
    yield* unzstd(readable());
  } catch (error) {
    if (error === reading) throw error;
    if (error instanceof WideWindow)
      throw new InputError(
        `${uri}: unpacking this zstd takes a window of ${error.message}, at most 128 MiB are given to it; ` +
          'compress it again without --long, or with --long=27.',
      );
    throw damaged(uri, 'zstd', error);
  }
}

function damaged(uri: string, kind: 'gzip' | 'zstd', error: unknown): InputError {
  const detail = (error as Error).message;
  if (detail === NO_HEADER[kind])
    return new InputError(
      `${uri}: its name says that it is compressed, but it does not begin as ${kind} data does: give it the name of what it is, or fetch it again.`,
    );
  return new InputError(
    `${uri}: the ${kind} data is truncated or damaged (${detail}); fetch or compress the file again.`,
  );
}
