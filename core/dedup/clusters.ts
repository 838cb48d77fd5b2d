import { DisjointSets } from '../disjoint-sets.ts';

/**
 * Clusters of near-duplicate rows from their band keys (`minhash.ts`): rows that share a key of a band are joined,
 * directly or through any number of others. Bands are taken one after the other, so memory is that of one band: 8 bytes
 * a row for its keys, some 6 to 12 for looking them up, and 4 for the clusters.
 */
export class DuplicateClusters {
  private readonly sets: DisjointSets;

  constructor(rows: number) {
    this.sets = new DisjointSets(rows);
  }

  /**
   * Joins rows whose keys are equal.
   *
   * @param keys two words for each row, in order.
   */
  addBand(keys: Uint32Array): void {
    const rows = this.sets.size;
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
      else this.sets.join(row, other);
    }
  }

  /** For each row, the lowest row of its cluster: the one to keep. */
  representatives(): Uint32Array {
    return Uint32Array.from({ length: this.sets.size }, (_, row) => this.sets.lowest(row));
  }
}
