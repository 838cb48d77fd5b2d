import { bytesOf } from '../../bytes.ts';
import type { CorpusShard } from '../../formats.ts';
import { ParquetFileWriter } from '../../parquet.ts';
import { ObjectWriter, type Store } from '../../storage/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { Row } from './pack.ts';

/** Tokens in a Parquet row group, about 4 MB of text. */
const GROUP_TOKENS = 1 << 20;

const TEXT_COLUMNS = [
  { name: 'row', type: 'INT64' },
  { name: 'text', type: 'STRING' },
  { name: 'domain', type: 'STRING' },
  { name: 'documents', type: 'STRING' },
] as const;

/** What the shards of a corpus have in common. */
export interface ShardFormat {
  tokenizer: Tokenizer;
  sequenceLength: number;
  /** Bytes of a token. */
  idBytes: 2 | 4;
  /** Index of each domain in the corpus's list. */
  domains: Map<string, number>;
}

/** Writes one shard's three files, a group of rows at a time. Call either `finish` or `abort`. */
export class ShardWriter {
  rows = 0;
  /** Rows of each domain. */
  readonly domainRows = new Map<string, number>();
  private readonly format: ShardFormat;
  private readonly firstRow: number;
  private readonly files: { tokens: ObjectWriter; text: ObjectWriter; domains: ObjectWriter };
  private readonly text = new ParquetFileWriter(TEXT_COLUMNS);
  private readonly groupRows: number;
  private group: Row[] = [];

  /** Begins `<name>.tokens.bin`, `<name>.parquet` and `<name>.domains.bin`. */
  constructor(store: Store, name: string, format: ShardFormat, firstRow: number) {
    this.format = format;
    this.firstRow = firstRow;
    this.groupRows = Math.max(1, Math.min(4096, Math.floor(GROUP_TOKENS / format.sequenceLength)));
    this.files = {
      tokens: new ObjectWriter(store, `${name}.tokens.bin`),
      text: new ObjectWriter(store, `${name}.parquet`),
      domains: new ObjectWriter(store, `${name}.domains.bin`),
    };
  }

  async add(row: Row): Promise<void> {
    this.group.push(row);
    this.rows++;
    this.domainRows.set(row.domain, (this.domainRows.get(row.domain) ?? 0) + 1);
    if (this.group.length === this.groupRows) await this.writeGroup();
  }

  async finish(): Promise<CorpusShard> {
    if (this.group.length > 0) await this.writeGroup();
    const { tokens, text, domains } = this.files;
    await text.write(this.text.finish());
    return {
      firstRow: this.firstRow,
      rows: this.rows,
      tokens: await tokens.finish(),
      text: await text.finish(),
      domains: await domains.finish(),
    };
  }

  /** Leaves nothing of the unfinished files. */
  async abort(): Promise<void> {
    for (const file of Object.values(this.files)) await file.abort();
  }

  private async writeGroup(): Promise<void> {
    const { group, files } = this;
    this.group = [];
    await files.tokens.write(this.tokenBytes(group));
    await files.domains.write(this.domainBytes(group));
    await files.text.write(this.rowGroup(group));
  }

  private tokenBytes(group: Row[]): Uint8Array {
    const { idBytes, sequenceLength } = this.format;
    const ids = new (idBytes === 2 ? Uint16Array : Uint32Array)(group.length * sequenceLength);
    for (const [i, { tokens }] of group.entries()) ids.set(tokens, i * sequenceLength);
    return bytesOf(ids);
  }

  private domainBytes(group: Row[]): Uint8Array {
    return bytesOf(Uint16Array.from(group, ({ domain }) => this.format.domains.get(domain)!));
  }

  private rowGroup(group: Row[]): Uint8Array {
    const first = this.firstRow + this.rows - group.length;
    const data = [
      group.map((_, i) => first + i),
      group.map(({ tokens }) => this.format.tokenizer.decode(tokens)),
      group.map(({ domain }) => domain),
      group.map(({ documents }) => JSON.stringify(documents)),
    ];
    return this.text.append(
      TEXT_COLUMNS.map((column, i) => ({ ...column, data: data[i]! })),
      group.length,
    );
  }
}
