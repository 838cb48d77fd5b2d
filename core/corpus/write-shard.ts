import type { CorpusShard, FileRecord } from '../formats.ts';
import { sha256 } from '../hash.ts';
import { ParquetFileWriter } from '../parquet.ts';
import type { Store } from '../storage/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import type { Row } from './pack.ts';

/** Tokens in a Parquet row group, about 4 MB of text. */
const GROUP_TOKENS = 1 << 20;

const TEXT_COLUMNS = [
  { name: 'row', type: 'INT64' },
  { name: 'text', type: 'STRING' },
  { name: 'domain', type: 'STRING' },
  { name: 'documents', type: 'STRING' },
] as const;

/** Collects one shard's rows, encoded as they come, and writes its three files. */
export class ShardWriter {
  rows = 0;
  /** Rows of each domain. */
  readonly domainRows = new Map<string, number>();
  private readonly tokenizer: Tokenizer;
  private readonly firstRow: number;
  private readonly domains: Map<string, number>;
  private readonly tokens: GrowingBytes;
  private readonly idBytes: 2 | 4;
  private readonly domainIds: number[] = [];
  private readonly text = new ParquetFileWriter(TEXT_COLUMNS);
  private readonly groupRows: number;
  private group: Row[] = [];

  /** @param domains index of each domain in the corpus's list. */
  constructor(
    tokenizer: Tokenizer,
    sequenceLength: number,
    idBytes: 2 | 4,
    firstRow: number,
    domains: Map<string, number>,
  ) {
    this.tokenizer = tokenizer;
    this.firstRow = firstRow;
    this.domains = domains;
    this.idBytes = idBytes;
    this.tokens = new GrowingBytes();
    this.groupRows = Math.max(1, Math.min(4096, Math.floor(GROUP_TOKENS / sequenceLength)));
  }

  add(row: Row): void {
    const at = this.tokens.grow(row.tokens.length * this.idBytes);
    const { view } = this.tokens;
    row.tokens.forEach((id, i) => {
      if (this.idBytes === 2) view.setUint16(at + 2 * i, id, true);
      else view.setUint32(at + 4 * i, id, true);
    });
    this.domainIds.push(this.domains.get(row.domain)!);
    this.domainRows.set(row.domain, (this.domainRows.get(row.domain) ?? 0) + 1);
    this.rows++;
    this.group.push(row);
    if (this.group.length === this.groupRows) this.flushGroup();
  }

  /** Writes `<name>.tokens.bin`, `<name>.parquet` and `<name>.domains.bin`. */
  async write(store: Store, name: string): Promise<CorpusShard> {
    this.flushGroup();
    const domains = new DataView(new ArrayBuffer(2 * this.rows));
    this.domainIds.forEach((id, i) => {
      domains.setUint16(2 * i, id, true);
    });
    return {
      firstRow: this.firstRow,
      rows: this.rows,
      tokens: await putFile(store, `${name}.tokens.bin`, this.tokens.bytes()),
      text: await putFile(store, `${name}.parquet`, this.text.finish()),
      domains: await putFile(store, `${name}.domains.bin`, new Uint8Array(domains.buffer)),
    };
  }

  private flushGroup(): void {
    const { group } = this;
    if (group.length === 0) return;
    const first = this.firstRow + this.rows - group.length;
    const data = [
      group.map((_, i) => first + i),
      group.map(({ tokens }) => this.tokenizer.decode(tokens)),
      group.map(({ domain }) => domain),
      group.map(({ documents }) => JSON.stringify(documents)),
    ];
    this.text.append(
      TEXT_COLUMNS.map((column, i) => ({ ...column, data: data[i]! })),
      group.length,
    );
    this.group = [];
  }
}

/** Bytes that are appended to, with room doubled as needed. */
class GrowingBytes {
  view = new DataView(new ArrayBuffer(1 << 16));
  private length = 0;

  /** Makes room for so many bytes more and returns where they start. */
  grow(bytes: number): number {
    const start = this.length;
    this.length += bytes;
    if (this.length > this.view.byteLength) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.view.byteLength));
      larger.set(new Uint8Array(this.view.buffer, 0, start));
      this.view = new DataView(larger.buffer);
    }
    return start;
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, 0, this.length);
  }
}

async function putFile(store: Store, key: string, bytes: Uint8Array): Promise<FileRecord> {
  await store.put(key, bytes);
  return { key, bytes: bytes.length, sha256: sha256(bytes) };
}
