/** Temporary files of records one after the other: appended to in few large pieces, read back in order. */
import { appendFile, open } from 'node:fs/promises';

/** Bytes read at a time; a record may be longer. */
const READ_BYTES = 4 << 20;

/** Writes records to the end of a file. Throws the system's error, with the file's path in it. */
export async function appendRecords(path: string, records: readonly Uint8Array[]): Promise<void> {
  try {
    await appendFile(path, Buffer.concat(records));
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    failure.path ??= path; // a failed write names no file, and this disk is not the one that the user named
    throw failure;
  }
}

/**
 * A file's records, each a view of the piece that was read.
 *
 * @param bytesAt how many bytes the record at `at` has, as far as the bytes that were read tell.
 */
export async function* readRecords(
  path: string,
  bytesAt: (bytes: Buffer, at: number) => number,
): AsyncGenerator<Buffer, void, undefined> {
  const file = await open(path, 'r');
  try {
    let rest = Buffer.alloc(0);
    for (;;) {
      let at = 0;
      for (;;) {
        const end = at + bytesAt(rest, at);
        if (end > rest.length) break;
        yield rest.subarray(at, end);
        at = end;
      }
      const next = Buffer.allocUnsafe(READ_BYTES);
      const { bytesRead } = await file.read(next, 0, READ_BYTES);
      if (bytesRead === 0) return;
      rest = Buffer.concat([rest.subarray(at), next.subarray(0, bytesRead)]);
    }
  } finally {
    await file.close();
  }
}
