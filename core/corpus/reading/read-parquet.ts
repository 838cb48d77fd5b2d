import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetScan, type SchemaElement } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { InputError } from '../../errors.ts';
import { damagedIfFails, parquetBuffer } from '../../parquet.ts';
import { DOCUMENT_BYTES, type Document, type DocumentFields } from '../document.ts';
import { toDocument } from './fields.ts';
import type { InputFile } from './input-file.ts';
import { type Chunk, checkPages, type Group, requireRows, rowGroups, topLevelColumns } from './parquet-claims.ts';
import { tooLong } from './read-lines.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Stands for a string that is not UTF-8 until its row is known. */
const NOT_UTF8 = Symbol('not UTF-8');

/** Text that is unpacked at once: row groups may hold gigabytes. */
const PIECE_BYTES = 16 << 20;

/** Rows that are unpacked at once: repeated texts or nulls take next to no bytes. */
const PIECE_ROWS = 1 << 22;

/**
 * Documents of a Parquet file, some megabytes at a time; only the packed bytes of a row group's columns are held.
 * Throws InputError that names the row.
 */
export async function* readParquetDocuments(
  file: InputFile,
  fields: DocumentFields,
  onRead?: (bytes: number) => void,
  pieceBytes = PIECE_BYTES,
): AsyncGenerator<Document, void, undefined> {
  const buffer = await parquetBuffer(file);
  await refuseOtherMagic(file.uri, buffer);
  const metadata = await damagedIfFails(file.uri, parquetMetadataAsync(buffer), 'write it again');
  const known = topLevelColumns(file.uri, metadata.schema).map(({ name }) => name);
  if (!known.includes(fields.text)) {
    throw new InputError(
      `${file.uri}: no column "${fields.text}"; the columns are ${known.join(', ') || 'none'}. ` +
        'Name the one that holds the text in corpus.textField.',
    );
  }
  const columns = [...new Set([fields.text, fields.domain, fields.id])].filter((name) => known.includes(name));
  for (const name of columns) refuseUnclear(file.uri, name, metadata);
  const held = new HeldChunks(buffer);
  const groups = rowGroups(file.uri, metadata, columns, buffer.byteLength);
  const scanning = parquetScan({ file: held, metadata, columns, compressors, parsers: { stringFromBytes } });
  const scan = await damagedIfFails(file.uri, scanning, 'write it again');
  for (const { begin, end, chunks } of pieces(groups, pieceBytes)) {
    held.keep(chunks);
    const values = columns.map((column) => scan.readColumn({ column, rowStart: begin, rowEnd: end }));
    const data = await damagedIfFails(file.uri, Promise.all(values), 'write it again');
    columns.forEach((column, c) => {
      requireRows(file.uri, column, data[c]!.length, begin, end);
    });
    for (let i = 0; i < end - begin; i++) {
      const row = begin + i + 1;
      const record: Record<string, unknown> = {};
      for (let c = 0; c < columns.length; c++) {
        const value: unknown = data[c]![i];
        if (value === NOT_UTF8)
          throw new InputError(`${file.uri}, row ${row}: column "${columns[c]}" is not valid UTF-8; write it again.`);
        record[columns[c]!] = value instanceof Uint8Array ? stringFromBytes(value) : value;
      }
      const document = toDocument(record, fields, file, row, 'row');
      if (document.text.length * 3 > DOCUMENT_BYTES && Buffer.byteLength(document.text) > DOCUMENT_BYTES)
        throw tooLong(file.uri, row);
      yield document;
    }
    onRead?.((file.bytes * (end - begin)) / Number(metadata.num_rows));
  }
}

async function refuseOtherMagic(uri: string, buffer: AsyncBuffer): Promise<void> {
  const end = new Uint8Array(await buffer.slice(Math.max(0, buffer.byteLength - 4)));
  const magic = Buffer.from(end).toString('latin1');
  if (magic === 'PARE') throw new InputError(`${uri}: this Parquet file is encrypted; write it without encryption.`);
  if (magic !== 'PAR1' || buffer.byteLength <= 12)
    throw new InputError(`${uri}: this is not a whole Parquet file; fetch or write it again.`);
}

/** A column that would be read as something else than it is. */
function refuseUnclear(uri: string, name: string, { schema }: FileMetaData): void {
  const named = topLevelColumns(uri, schema).filter((element) => element.name === name);
  if (named.length > 1)
    throw new InputError(`${uri}: ${named.length} columns are called "${name}"; write it with one of them.`);
  const [{ converted_type, logical_type, scale }] = named as [SchemaElement];
  const isDecimal = converted_type === 'DECIMAL' || logical_type?.type === 'DECIMAL';
  if (isDecimal && (scale ?? 0) > 0)
    throw new InputError(
      `${uri}: column "${name}" is a decimal, which would be rounded, so that documents could get the same id; write it as a string.`,
    );
}

interface Piece {
  /** Rows, counted over the file. */
  begin: number;
  end: number;
  /** Of the row group's columns. */
  chunks: Chunk[];
}

/** Parts of row groups that unpack to some `pieceBytes` each. */
function* pieces(groups: Group[], pieceBytes: number): Generator<Piece> {
  let first = 0;
  for (const { rows, unpackedBytes, chunks } of groups) {
    const last = first + rows;
    const step = Math.min(PIECE_ROWS, Math.max(1, Math.floor((rows * pieceBytes) / unpackedBytes) || 1));
    for (let begin = first; begin < last; begin += step) yield { begin, end: Math.min(last, begin + step), chunks };
    first = last;
  }
}

/**
 * Keeps one row group's columns as they are in the file, because reading any piece of it starts from their first byte.
 */
class HeldChunks implements AsyncBuffer {
  readonly byteLength: number;
  private readonly file: AsyncBuffer;
  private chunks: Chunk[] = [];
  private held = new Map<number, Promise<ArrayBuffer>>();

  constructor(file: AsyncBuffer) {
    this.file = file;
    this.byteLength = file.byteLength;
  }

  keep(chunks: Chunk[]): void {
    if (chunks === this.chunks) return;
    this.chunks = chunks;
    this.held = new Map();
  }

  async slice(start: number, end = this.byteLength): Promise<ArrayBuffer> {
    const chunk = this.chunks.find((one) => one.start <= start && start < one.end);
    if (!chunk) return this.file.slice(start, end);
    if (start !== chunk.start || end !== chunk.end) return this.pages(start, end, chunk);
    const found = this.held.get(start) ?? this.pages(start, end, chunk);
    this.held.set(start, found);
    return found;
  }

  private async pages(start: number, end: number, chunk: Chunk): Promise<ArrayBuffer> {
    const bytes = await this.file.slice(start, end);
    checkPages(bytes, start, chunk);
    return bytes;
  }
}

function stringFromBytes(bytes: Uint8Array | undefined): string | symbol | undefined {
  if (!bytes) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return NOT_UTF8;
  }
}
