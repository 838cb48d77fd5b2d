import type { Document, DocumentFields } from '../document.ts';
import type { InputFile } from './input-file.ts';
import { readJsonl } from './read-jsonl.ts';
import { readParquetDocuments } from './read-parquet.ts';
import { readText } from './read-text.ts';

/**
 * The documents of an input file, in order.
 *
 * @param onRead is told how many bytes of the file were read since the last time.
 * @throws InputError that names the file, the line and the remedy.
 */
export function readDocuments(
  file: InputFile,
  fields: DocumentFields,
  onRead?: (bytes: number) => void,
): AsyncGenerator<Document, void, undefined> {
  if (file.format === '.parquet') return readParquetDocuments(file, fields, onRead);
  return file.format === '.txt' ? readText(file, onRead) : readJsonl(file, fields, onRead);
}
