/** A set of 128-bit digests in flat memory, 16 bytes a place, half of the places free: a sixth of a Set of strings. */
export class DigestSet {
  private readonly words: Uint32Array;
  private readonly places: number;

  /** @param most how many digests it has room for. */
  constructor(most: number) {
    this.places = 2 * most + 1; // so that a search ends at a free one
    this.words = new Uint32Array(4 * this.places);
  }

  /** Adds 16 bytes; false when they were there already. */
  add(digest: Buffer): boolean {
    const { words, places } = this;
    const [a, b] = [digest.readUInt32LE(0), digest.readUInt32LE(4)];
    const [c, d] = [digest.readUInt32LE(8), digest.readUInt32LE(12)];
    for (let place = a % places; ; place = (place + 1) % places) {
      const at = 4 * place;
      // all zeros marks a free place; a digest of zeros is as likely as a collision
      if ((words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0) {
        words.set([a, b, c, d], at);
        return true;
      }
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return false;
    }
  }
}
