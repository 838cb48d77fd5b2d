/**
 * Clusters of near-duplicate rows from their band keys (`minhash.ts`): rows that share a key of a band are joined,
 * directly or through any number of others. Bands are taken one after the other, so memory is that of one band: 8 bytes
 * a row for its keys, some 6 to 12 for looking them up, and 4 for the clusters.
 */
export class DuplicateClusters {
  /** A row of the same cluster with a lower number, or the row itself. */
  private readonly parents: Uint32Array;

  constructor(rows: number) {
    this.parents = Uint32Array.from({ length: rows }, (_, row) => row);
  }

  /**
   * Joins rows whose keys are equal.
   *
   * @param keys two words for each row, in order.
   */
  addBand(keys: Uint32Array): void {
    const rows = this.parents.length;
    if (keys.length !== 2 * rows)
      throw new RangeError(`${keys.length} words of keys for ${rows} rows: two are needed for each`);
    // Open addressing: a place holds the number of a row plus one, or 0.
    const places = new Uint32Array(2 ** Math.ceil(Math.log2(1.5 * rows + 1)));
    const mask = places.length - 1;
    for (let row = 0; row < rows; row++) {
      const [first, second] = [keys[2 * row]!, keys[2 * row + 1]!];
      let place = first & mask;
      let other = places[place]! - 1;
      while (other >= 0 && (keys[2 * other] !== first || keys[2 * other + 1] !== second)) {
        place = (place + 1) & mask;
        other = places[place]! - 1;
      }
      if (other < 0) places[place] = row + 1;
      else this.join(row, other);
    }
  }

  /** For each row, the lowest row of its cluster: the one to keep. */
  representatives(): Uint32Array {
    return this.parents.map((_, row) => this.lowest(row));
  }

  private join(a: number, b: number): void {
    const [x, y] = [this.lowest(a), this.lowest(b)];
    this.parents[Math.max(x, y)] = Math.min(x, y);
  }

  private lowest(row: number): number {
    const { parents } = this;
    while (parents[row] !== row) {
      parents[row] = parents[parents[row]!]!; // halves the way for the next time
      row = parents[row]!;
    }
    return row;
  }
}
