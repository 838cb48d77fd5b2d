import { type FileMetaData, parquetMetadataAsync, parquetScan } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { InputError } from '../errors.ts';
import { parquetBuffer, rowGroups } from '../parquet.ts';
import { DOCUMENT_BYTES, type Document, type DocumentFields } from './document.ts';
import { toDocument } from './fields.ts';
import type { InputFile } from './input-file.ts';
import { tooLong } from './read-lines.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Stands for a string that is not UTF-8 until its row is known. */
const NOT_UTF8 = Symbol('not UTF-8');

/** Documents of a Parquet file, one row group in memory at a time. Throws InputError that names the row. */
export async function* readParquetDocuments(
  file: InputFile,
  fields: DocumentFields,
  onRead?: (bytes: number) => void,
): AsyncGenerator<Document, void, undefined> {
  const buffer = await parquetBuffer(file);
  const metadata = await damagedIfFails(file.uri, parquetMetadataAsync(buffer));
  const known = topLevelColumns(metadata);
  if (!known.includes(fields.text)) {
    throw new InputError(
      `${file.uri}: no column "${fields.text}"; the columns are ${known.join(', ')}. ` +
        'Name the one that holds the text in corpus.textField.',
    );
  }
  const columns = [...new Set([fields.text, fields.domain, fields.id])].filter((name) => known.includes(name));
  const groups = rowGroups(metadata);
  for (const { begin, end } of groups) {
    // a scan of its own for each row group: it keeps the columns that it has read
    const scan = await parquetScan({ file: buffer, metadata, columns, compressors, parsers: { stringFromBytes } });
    const values = columns.map((column) => scan.readColumn({ column, rowStart: begin, rowEnd: end }));
    const data = await damagedIfFails(file.uri, Promise.all(values));
    for (let i = 0; i < end - begin; i++) {
      const row = begin + i + 1;
      const record: Record<string, unknown> = {};
      for (let c = 0; c < columns.length; c++) {
        const value: unknown = data[c]![i];
        if (value === NOT_UTF8)
          throw new InputError(`${file.uri}, row ${row}: column "${columns[c]}" is not valid UTF-8; write it again.`);
        record[columns[c]!] = value instanceof Uint8Array ? stringFromBytes(value) : value;
      }
      const document = toDocument(record, fields, file, row);
      if (document.text.length * 3 > DOCUMENT_BYTES && Buffer.byteLength(document.text) > DOCUMENT_BYTES)
        throw tooLong(file.uri, row);
      yield document;
    }
    onRead?.(file.bytes / groups.length);
  }
}

function topLevelColumns(metadata: FileMetaData): string[] {
  const [root, ...elements] = metadata.schema;
  const names: string[] = [];
  let at = 0;
  const skip = (): void => {
    const element = elements[at++];
    for (let child = 0; child < (element?.num_children ?? 0); child++) skip();
  };
  for (let child = 0; child < (root?.num_children ?? 0); child++) {
    names.push(elements[at]!.name);
    skip();
  }
  return names;
}

function stringFromBytes(bytes: Uint8Array | undefined): string | symbol | undefined {
  if (!bytes) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return NOT_UTF8;
  }
}

async function damagedIfFails<T>(uri: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    throw new InputError(`${uri}: not a Parquet file that can be read (${(error as Error).message}); write it again.`);
  }
}
