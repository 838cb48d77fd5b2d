import { InputError } from '../../errors.ts';
import type { Pieces } from '../../storage/index.ts';
import { DOCUMENT_BYTES } from '../document.ts';

export interface Line {
  /** From 1. */
  number: number;
  text: string;
}

const NEWLINE = 0x0a;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The lines of UTF-8 text, without their `\n` or `\r\n`; a byte order mark at the start is dropped.
 *
 * @throws InputError that names the line when it is not UTF-8 or longer than {@link DOCUMENT_BYTES}.
 */
export async function* readLines(pieces: Pieces, uri: string): AsyncGenerator<Line, void, undefined> {
  let number = 1;
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(NEWLINE);
    if (end >= 0) {
      const first = piece.indexOf(NEWLINE);
      if (restBytes + first > DOCUMENT_BYTES) throw tooLong(uri, number);
      const block = Buffer.concat([...rest, piece.subarray(0, end)]);
      for (const text of decodeLines(block, uri, number)) yield { number: number++, text };
      rest = [];
      restBytes = 0;
    }
    const tail = piece.subarray(end + 1);
    rest.push(tail);
    restBytes += tail.length;
    if (restBytes > DOCUMENT_BYTES) throw tooLong(uri, number);
  }
  if (restBytes > 0) {
    for (const text of decodeLines(Buffer.concat(rest), uri, number)) yield { number: number++, text };
  }
}

/** Decodes many lines at once, which is several times quicker than one by one. */
function decodeLines(block: Buffer, uri: string, firstLine: number): string[] {
  let text: string;
  try {
    text = utf8.decode(block);
  } catch {
    throw notUtf8(block, uri, firstLine);
  }
  if (firstLine === 1 && text.startsWith('\ufeff')) text = text.slice(1);
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    // a UTF-16 unit is at most 3 bytes of UTF-8: measure only lines that may be too long
    if (line.length * 3 > DOCUMENT_BYTES && Buffer.byteLength(line) > DOCUMENT_BYTES) throw tooLong(uri, firstLine + i);
    if (line.endsWith('\r')) lines[i] = line.slice(0, -1);
  }
  return lines;
}

function notUtf8(block: Buffer, uri: string, firstLine: number): InputError {
  if (firstLine === 1 && block[0] === 0x1f && block[1] === 0x8b)
    return new InputError(`${uri}: this is gzip, and plain JSON Lines are expected here; unpack it (gunzip).`);
  let line = firstLine;
  for (let start = 0; start <= block.length; line++) {
    const newline = block.indexOf(NEWLINE, start);
    const end = newline < 0 ? block.length : newline;
    try {
      utf8.decode(block.subarray(start, end));
    } catch {
      break;
    }
    start = end + 1;
  }
  return new InputError(`${uri}, line ${line}: not valid UTF-8; convert the file, for example with iconv -t UTF-8.`);
}

export function tooLong(uri: string, line: number): InputError {
  return new InputError(
    `${uri}, line ${line}: longer than ${DOCUMENT_BYTES / 1e6} MB, the most a document may have; ` +
      'split it into several documents, and check that no line breaks were lost.',
  );
}
