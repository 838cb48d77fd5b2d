/**
 * Checks of what a Parquet file says about itself that hyparquet believes: it would make room for any number of values
 * or rows that a damaged or forged file of some bytes names.
 */
import type { FileMetaData, SchemaElement } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { InputError } from '../../errors.ts';

/**
 * The rows of the largest row groups that Arrow made (by default, before version 12), which may all be nulls in one page:
 * a run of one value takes some bytes, however long it is, so that no size in bytes limits it.
 */
const PAGE_VALUES = 1 << 26;

/** Where a column of a row group lies in the file. */
export interface Chunk {
  start: number;
  end: number;
  /** Values that it has, nulls included. */
  values: number;
}

/** The wanted columns of a row group. */
export interface Group {
  rows: number;
  /** Size of its columns when they are unpacked. */
  unpackedBytes: number;
  chunks: Chunk[];
}

/** The columns of the schema's first level. */
export function topLevelColumns(uri: string, [root, ...elements]: readonly SchemaElement[]): SchemaElement[] {
  const found: SchemaElement[] = [];
  let at = 0;
  for (let child = 0; child < (root?.num_children ?? 0); child++) {
    // an element and all below it: not by recursion, because a forged schema can be of any depth
    const top = at;
    for (let left = 1; left > 0; left--) {
      const element = elements[at++];
      if (!element) throw damaged(uri, 'its schema has fewer columns than it says');
      left += Math.max(0, element.num_children ?? 0);
    }
    found.push(elements[top]!);
  }
  return found;
}

/**
 * The row groups, with some of their columns.
 *
 * @throws InputError when a count is none, or a column lies outside the file.
 */
export function rowGroups(
  uri: string,
  { schema, row_groups }: FileMetaData,
  columns: readonly string[],
  fileBytes: number,
): Group[] {
  const lists = topLevelColumns(uri, schema).filter(({ repetition_type }) => repetition_type === 'REPEATED');
  let before = 0;
  return row_groups.map((group, index) => {
    const where = `row group ${index + 1}`;
    const rows = Number(group.num_rows);
    before += rows;
    if (!isCount(rows) || !isCount(before)) throw damaged(uri, `${where} has ${rows} rows`);
    let unpackedBytes = 0;
    const chunks: Chunk[] = [];
    for (const { meta_data } of group.columns) {
      const name = meta_data ? meta_data.path_in_schema[0] : undefined;
      if (!meta_data || name === undefined || !columns.includes(name)) continue;
      const start = Number(meta_data.dictionary_page_offset || meta_data.data_page_offset);
      const end = start + Number(meta_data.total_compressed_size);
      if (!isCount(start) || !isCount(end) || start > end || end > fileBytes)
        throw damaged(uri, `${where} has column "${name}" at bytes ${start} to ${end} of ${fileBytes}`);
      const isFlat = meta_data.path_in_schema.length === 1 && !lists.some((list) => list.name === name);
      chunks.push({ start, end, values: isFlat ? rows : Number(meta_data.num_values) });
      unpackedBytes += Number(meta_data.total_uncompressed_size);
    }
    return { rows, unpackedBytes, chunks };
  });
}

/**
 * Checks the headers of a chunk's pages, from one that begins at `start`, up to the last that is read.
 *
 * @throws Error when a page has more values than its chunk, or than can be held, or does not say how many.
 */
export function checkPages(bytes: ArrayBuffer, start: number, chunk: Chunk): void {
  const view = new DataView(bytes, 0, Math.min(bytes.byteLength, chunk.end - start));
  const reader = { view, offset: 0 };
  const most = Math.min(chunk.values, PAGE_VALUES);
  for (let seen = 0; seen < chunk.values && reader.offset < view.byteLength - 1; ) {
    const header = headerOrNone(reader);
    if (!header || !isCount(header.compressed_page_size)) return;
    reader.offset += header.compressed_page_size;
    const { data_page_header: first, data_page_header_v2: second } = header;
    const values = [
      ...(first ? [first.num_values] : []),
      ...(second ? [second.num_values, second.num_rows, second.num_nulls] : []),
    ];
    // hyparquet takes a missing length for the start of the page, over and over
    const lengths = second ? [second.definition_levels_byte_length, second.repetition_levels_byte_length] : [];
    if (![...values, ...lengths].every(isCount)) throw new Error('the header of a page lacks a count');
    const claimed = Math.max(0, ...values);
    if (claimed > most) throw new Error(`a page of ${claimed} values, where ${most} are the most there can be`);
    seen += values[0] ?? 0;
  }
}

/** A header that is damaged is left to hyparquet, which says what is wrong with it if it gets there. */
function headerOrNone(reader: { view: DataView<ArrayBuffer>; offset: number }) {
  try {
    return parquetHeader(reader);
  } catch {
    return undefined;
  }
}

/**
 * @param values of a column, in rows `begin` to `end` of the file.
 * @throws InputError when they are too few.
 */
export function requireRows(uri: string, column: string, values: number, begin: number, end: number): void {
  if (values < end - begin)
    throw damaged(uri, `column "${column}" has no row ${begin + values + 1}, which its row group should have`);
}

const isCount = (n: number) => Number.isSafeInteger(n) && n >= 0;

const damaged = (uri: string, detail: string) =>
  new InputError(`${uri}: not a Parquet file that can be read (${detail}); write it again.`);
