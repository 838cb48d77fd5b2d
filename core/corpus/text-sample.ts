/**
 * How much text trains the tokenizer: vocabularies of a few thousand tokens hardly change with more, and training on it
 * takes about a second.
 */
export const SAMPLE_BYTES = 12_000_000;

/**
 * A sample of bounded size that depends on the documents alone, not on their order: those of lowest rank, as many as
 * fit, and at least one.
 */
export class TextSample {
  private readonly capacity: number;
  /** Documents from this rank on do not fit. */
  private limit = Infinity;
  private bytes = 0;
  private entries: { rank: number; bytes: number; text: string }[] = [];

  constructor(capacity = SAMPLE_BYTES) {
    this.capacity = capacity;
  }

  /** @param rank a hash of the text. */
  add(rank: number, text: string): void {
    if (rank >= this.limit) return;
    const bytes = Buffer.byteLength(text);
    this.entries.push({ rank, bytes, text });
    this.bytes += bytes;
    if (this.bytes > 2 * this.capacity) this.prune(); // now and then, so that sorting stays cheap
  }

  texts(): string[] {
    this.prune();
    return this.entries.map(({ text }) => text);
  }

  private prune(): void {
    if (this.bytes <= this.capacity || this.entries.length < 2) return;
    this.entries.sort((a, b) => a.rank - b.rank);
    let kept = 1;
    let bytes = this.entries[0]!.bytes;
    while (bytes + this.entries[kept]!.bytes <= this.capacity) bytes += this.entries[kept++]!.bytes;
    this.limit = this.entries[kept]!.rank;
    this.entries.length = kept;
    this.bytes = bytes;
  }
}
