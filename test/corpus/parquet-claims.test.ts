import { type FileMetaData, parquetMetadata, type SchemaElement } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { ByteWriter, parquetWriteBuffer } from 'hyparquet-writer';
import { writePageHeader } from 'hyparquet-writer/src/datapage.js';
import { writeMetadata } from 'hyparquet-writer/src/metadata.js';
import { describe, expect, it } from 'vitest';
import { topLevelColumns } from '../../core/corpus/reading/parquet-claims.ts';
import { InputError } from '../../core/errors.ts';
import { readAll, writeInput } from './support.ts';

/** Written by pyarrow 26 with pages of any length: 100,000 rows of one text, and of a domain that is null. */
const SAME = Buffer.from(
  'UEFSMRUEFRAVEEwVAhUAEgAABAAAAHNhbWUVABUaFRosFcCaDBUQFQYVBhwAAAAEAAAAwJoMAQHAmgwAFQQVABUATBUAFQASAAAVABUSFRIsFcCaDBUQFQYV' +
    'BhwAAAAEAAAAwJoMAAAVBBk8NQAYBnNjaGVtYRUEABUMJQIYBHRleHQlAEwcAAAAFQwlAhgGZG9tYWluJQBMHAAAABbAmgwZHBksJgAcFQwZNQAGEBkYBHRl' +
    'eHQVABbAmgwWcBZwJjQmCCksFQQVABUCABUAFRAVAgA8FoDqMBkGGSYAwJoMAAAAJgAcFQwZNQAGEBkYBmRvbWFpbhUAFsCaDBZYFlgmlAEmeCksFQQVABUC' +
    'ABUAFRAVAgA8FgAZBhkmwJoMAAAAABbIARbAmgwmCBbIAQAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGSwcAAAcAAAA9AAAAFBBUjE=',
  'base64',
);

/** Two rows, whose text is null or not. */
const two = (nullable: boolean) =>
  parquetWriteBuffer({
    columnData: [{ name: 'text', type: 'STRING', data: ['a', nullable ? null : 'b'], nullable }],
    codec: 'UNCOMPRESSED',
  });

const chunk = ({ row_groups }: FileMetaData) => row_groups[0]!.columns[0]!.meta_data!;

/** The same columns behind another footer. */
function claiming(change: (metadata: FileMetaData) => void, file = two(false)): Uint8Array {
  const metadata = parquetMetadata(file);
  const writer = new ByteWriter();
  writer.appendBytes(new Uint8Array(file, 0, file.byteLength - 8 - metadata.metadata_length));
  change(metadata);
  writeMetadata(writer, metadata);
  writer.appendUint32(0x31524150); // PAR1
  return writer.getBytes().slice();
}

/** The same values in a page that says it has another number of them, in a row group of so many rows. */
function pageOf(values: number, rows: number, others: object = {}): Uint8Array {
  const file = two(true);
  const { data_page_offset, total_compressed_size } = chunk(parquetMetadata(file));
  const view = new DataView(file, Number(data_page_offset), Number(total_compressed_size));
  const reader = { view, offset: 0 };
  const header = parquetHeader(reader);
  Object.assign(header.data_page_header_v2!, { num_values: values, num_rows: values, ...others });
  const writer = new ByteWriter();
  writer.appendUint32(0x31524150);
  writePageHeader(writer, header);
  writer.appendBytes(new Uint8Array(file, view.byteOffset + reader.offset, view.byteLength - reader.offset));
  const size = writer.offset - 4;
  const metadata = parquetMetadata(file);
  Object.assign(chunk(metadata), {
    data_page_offset: 4n,
    total_compressed_size: BigInt(size),
    num_values: BigInt(rows),
  });
  metadata.row_groups[0]!.num_rows = BigInt(rows);
  metadata.row_groups[0]!.columns[0]!.offset_index_offset = undefined;
  writeMetadata(writer, metadata);
  writer.appendUint32(0x31524150);
  return writer.getBytes().slice();
}

const refusal = async (bytes: Uint8Array): Promise<string> => {
  const failing = readAll(await writeInput('in.parquet', bytes));
  await expect(failing).rejects.toThrow(InputError);
  await expect(failing).rejects.toThrow(/in\.parquet: not a Parquet file that can be read \(.*\); write it again/);
  return failing.then(String, (error: Error) => error.message);
};

it('a file is read behind a footer that is written again', async () => {
  const texts = async (bytes: Uint8Array) => (await readAll(await writeInput('in.parquet', bytes))).map((d) => d.text);
  expect(await texts(claiming(() => {}))).toEqual(['a', 'b']);
  expect(await texts(pageOf(2, 2))).toEqual(['a', '']);
});

it('a hundred thousand rows that take some bytes are read', async () => {
  const documents = await readAll(await writeInput('same.parquet', SAME));
  expect(documents).toHaveLength(100_000);
  expect(new Set(documents.map(({ text, domain }) => `${text} ${domain}`))).toEqual(new Set(['same same']));
});

describe('a Parquet file is refused', () => {
  it.each([3n, 10n ** 12n])('whose row group says it has %i rows, but has two', async (rows) => {
    const file = claiming((metadata) => {
      metadata.num_rows = rows;
      metadata.row_groups[0]!.num_rows = rows;
    });
    expect(await refusal(file)).toContain('column "text" has no row 3');
  });

  it.each([-1n, 2n ** 60n])('whose row group has %i rows', async (rows) => {
    const file = claiming((metadata) => {
      metadata.row_groups[0]!.num_rows = rows;
    });
    expect(await refusal(file)).toContain('row group 1 has ');
  });

  it.each<[string, number[]]>([
    ['the root has', [2 ** 31 - 1, 0]],
    ['a column has', [1, 2 ** 31 - 1, 0]],
    ['each of many columns has', Array<number>(50_000).fill(1)],
  ])('whose schema has fewer elements than %s', (_, children) => {
    const schema: SchemaElement[] = children.map((num_children) => ({ name: 'text', num_children }));
    const read = () => topLevelColumns('in.parquet', schema);
    expect(read).toThrow(/in\.parquet: .* \(its schema has fewer columns than it says\); write it again/);
    expect(read).toThrow(InputError);
  });

  it.each([
    ['ends behind the file', { total_compressed_size: 10_000n }],
    ['begins before it', { data_page_offset: -5n, dictionary_page_offset: undefined }],
  ])('whose column %s', async (_, place) => {
    const file = claiming((metadata) => {
      Object.assign(chunk(metadata), place);
    });
    expect(await refusal(file)).toMatch(/row group 1 has column "text" at bytes -?\d+ to \d+ of \d+/);
  });

  it.each([
    [3, 2, 2],
    [2 ** 31 - 1, 2, 2],
    [2 ** 30, 2 ** 30, 2 ** 26],
  ])('whose page says it has %i values, in a row group of %i', async (values, rows, most) => {
    expect(await refusal(pageOf(values, rows))).toContain(`a page of ${values} values, where ${most} are the most`);
  });

  it.each(['num_rows', 'definition_levels_byte_length', 'repetition_levels_byte_length'])(
    'whose page has no %s',
    async (name) => {
      expect(await refusal(pageOf(2, 2, { [name]: undefined }))).toContain('the header of a page lacks a count');
    },
  );
});
