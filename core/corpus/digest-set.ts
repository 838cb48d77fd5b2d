/** A set of 128-bit digests in flat memory: 16 bytes a place, half of them free; a sixth of a Set of strings. */
export class DigestSet {
  private words: Uint32Array;
  private capacity: number;
  private count = 0;

  /** @param capacity places to begin with: at least twice the digests that are expected. */
  constructor(capacity = 1 << 12) {
    this.capacity = capacity;
    this.words = new Uint32Array(4 * capacity);
  }

  get size(): number {
    return this.count;
  }

  /** Adds 16 bytes; false when they were there already. */
  add(digest: Buffer): boolean {
    if (this.count * 2 >= this.capacity) this.grow();
    // all zeros marks an empty place; a digest of zeros is as likely as a collision
    const added = this.insert(
      digest.readUInt32LE(0),
      digest.readUInt32LE(4),
      digest.readUInt32LE(8),
      digest.readUInt32LE(12),
    );
    if (added) this.count++;
    return added;
  }

  private insert(a: number, b: number, c: number, d: number): boolean {
    const { words } = this;
    for (let slot = a % this.capacity; ; slot = (slot + 1) % this.capacity) {
      const at = 4 * slot;
      if ((words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0) {
        words.set([a, b, c, d], at);
        return true;
      }
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return false;
    }
  }

  private grow(): void {
    const old = this.words;
    this.capacity *= 2;
    this.words = new Uint32Array(4 * this.capacity);
    for (let at = 0; at < old.length; at += 4) {
      if ((old[at]! | old[at + 1]! | old[at + 2]! | old[at + 3]!) !== 0)
        this.insert(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
    }
  }
}
