/**
 * How much text trains the tokenizer: vocabularies of a few thousand tokens hardly change with more, and training on it
 * takes about a second.
 */
const SAMPLE_BYTES = 12_000_000;

/**
 * A sample of bounded size that depends on the documents alone, not on their order: those of lowest rank, as many as
 * fit, and at least one. A document that is given twice counts once.
 */
export class TextSample {
  private readonly capacity: number;
  /** Documents from this rank on do not fit. */
  private limit = Infinity;
  private bytes = 0;
  private entries = new Map<string, { rank: number; bytes: number; text: string }>();

  constructor(capacity = SAMPLE_BYTES) {
    this.capacity = capacity;
  }

  /**
   * @param name the same for the same text.
   * @param rank a function of the name.
   */
  add(name: string, rank: number, text: string): void {
    if (rank >= this.limit || this.entries.has(name)) return;
    const bytes = Buffer.byteLength(text);
    this.entries.set(name, { rank, bytes, text });
    this.bytes += bytes;
    if (this.bytes > 2 * this.capacity) this.prune(); // now and then, so that sorting stays cheap
  }

  texts(): string[] {
    this.prune();
    return Array.from(this.entries.values(), ({ text }) => text);
  }

  private prune(): void {
    if (this.bytes <= this.capacity || this.entries.size < 2) return;
    const sorted = [...this.entries].sort(([, a], [, b]) => a.rank - b.rank);
    let kept = 1;
    let bytes = sorted[0]![1].bytes;
    while (bytes + sorted[kept]![1].bytes <= this.capacity) bytes += sorted[kept++]![1].bytes;
    this.limit = sorted[kept]![1].rank;
    this.entries = new Map(sorted.slice(0, kept));
    this.bytes = bytes;
  }
}
