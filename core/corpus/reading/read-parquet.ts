import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetScan, type SchemaElement } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { InputError } from '../../errors.ts';
import { damagedIfFails, parquetBuffer } from '../../parquet.ts';
import { DOCUMENT_BYTES, type Document, type DocumentFields } from '../document.ts';
import { toDocument } from './fields.ts';
import type { InputFile } from './input-file.ts';
import { tooLong } from './read-lines.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Stands for a string that is not UTF-8 until its row is known. */
const NOT_UTF8 = Symbol('not UTF-8');

/** Text that is unpacked at once: row groups may hold gigabytes. */
const PIECE_BYTES = 16 << 20;

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
  const known = topLevelColumns(metadata.schema).map(({ name }) => name);
  if (!known.includes(fields.text)) {
    throw new InputError(
      `${file.uri}: no column "${fields.text}"; the columns are ${known.join(', ') || 'none'}. ` +
        'Name the one that holds the text in corpus.textField.',
    );
  }
  const columns = [...new Set([fields.text, fields.domain, fields.id])].filter((name) => known.includes(name));
  for (const name of columns) refuseUnclear(file.uri, name, metadata);
  const held = new HeldChunks(buffer);
  const scan = await parquetScan({ file: held, metadata, columns, compressors, parsers: { stringFromBytes } });
  for (const { begin, end, chunks } of pieces(metadata, columns, pieceBytes)) {
    held.keep(chunks);
    const values = columns.map((column) => scan.readColumn({ column, rowStart: begin, rowEnd: end }));
    const data = await damagedIfFails(file.uri, Promise.all(values), 'write it again');
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
  const named = topLevelColumns(schema).filter((element) => element.name === name);
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
  /** Where the columns of the row group lie in the file. */
  chunks: { start: number; end: number }[];
}

/** Parts of row groups that unpack to some `pieceBytes` each. */
function* pieces(metadata: FileMetaData, columns: string[], pieceBytes: number): Generator<Piece> {
  let first = 0;
  for (const group of metadata.row_groups) {
    const wanted = group.columns.flatMap(({ meta_data }) =>
      meta_data && columns.includes(meta_data.path_in_schema[0]!) ? [meta_data] : [],
    );
    const chunks = wanted.map(({ dictionary_page_offset, data_page_offset, total_compressed_size }) => {
      const start = Number(dictionary_page_offset || data_page_offset);
      return { start, end: start + Number(total_compressed_size) };
    });
    const unpacked = wanted.reduce((sum, { total_uncompressed_size }) => sum + Number(total_uncompressed_size), 0);
    const last = first + Number(group.num_rows);
    const rows = Math.max(1, Math.floor(((last - first) * pieceBytes) / unpacked));
    for (let begin = first; begin < last; begin += rows) yield { begin, end: Math.min(last, begin + rows), chunks };
    first = last;
  }
}

/**
 * Keeps one row group's columns as they are in the file, because reading any piece of it starts from their first byte.
 */
class HeldChunks implements AsyncBuffer {
  readonly byteLength: number;
  private readonly file: AsyncBuffer;
  private chunks: Piece['chunks'] = [];
  private held = new Map<number, ReturnType<AsyncBuffer['slice']>>();

  constructor(file: AsyncBuffer) {
    this.file = file;
    this.byteLength = file.byteLength;
  }

  keep(chunks: Piece['chunks']): void {
    if (chunks === this.chunks) return;
    this.chunks = chunks;
    this.held = new Map();
  }

  slice(start: number, end = this.byteLength): ReturnType<AsyncBuffer['slice']> {
    if (!this.chunks.some((chunk) => chunk.start === start && chunk.end === end)) return this.file.slice(start, end);
    const found = this.held.get(start) ?? this.file.slice(start, end);
    this.held.set(start, found);
    return found;
  }
}

function topLevelColumns(schema: FileMetaData['schema']): SchemaElement[] {
  const [root, ...elements] = schema;
  const found: SchemaElement[] = [];
  let at = 0;
  const skip = (): void => {
    const element = elements[at++];
    for (let child = 0; child < (element?.num_children ?? 0); child++) skip();
  };
  for (let child = 0; child < (root?.num_children ?? 0); child++) {
    found.push(elements[at]!);
    skip();
  }
  return found;
}

function stringFromBytes(bytes: Uint8Array | undefined): string | symbol | undefined {
  if (!bytes) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return NOT_UTF8;
  }
}
