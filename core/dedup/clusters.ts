/**
 * Clusters of near-duplicate rows from their band keys (`minhash.ts`): rows that share a key of a band are joined,
 * through however many others. One band after the other, so memory is that of one band: 8 bytes a row for its keys,
 * some 6 to 12 for looking them up, and 4 for the clusters. Where even that is too much, a band may come in parts, as
 * long as equal keys come together: by their first bits, say.
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
   * @param keys two words for each row.
   * @param rows the rows that the keys are of; by default all, in order.
   * @param verify whether two rows with one key are duplicates indeed, such as by {@link jaccard}; each row is held
   *   against the first one with its key.
   */
  addBand(keys: Uint32Array, rows?: Uint32Array, verify?: (row: number, other: number) => boolean): void {
    const count = keys.length / 2;
    if (count !== (rows ?? this.parents).length)
      throw new RangeError(
        `${keys.length} words of keys for ${(rows ?? this.parents).length} rows: two are needed for each`,
      );
    // Open addressing: a place has the number of a key and one more, or 0.
    const places = new Uint32Array(2 ** Math.ceil(Math.log2(1.5 * count + 1)));
    const mask = places.length - 1;
    for (let i = 0; i < count; i++) {
      const [first, second] = [keys[2 * i]!, keys[2 * i + 1]!];
      let place = first & mask;
      let other = places[place]! - 1;
      while (other >= 0 && (keys[2 * other] !== first || keys[2 * other + 1] !== second)) {
        place = (place + 1) & mask;
        other = places[place]! - 1;
      }
      if (other < 0) {
        places[place] = i + 1;
        continue;
      }
      const [row, firstRow] = rows ? [rows[i]!, rows[other]!] : [i, other];
      if (!verify || verify(row, firstRow)) this.join(row, firstRow);
    }
  }

  /** Of each row the lowest row of its cluster: the one to keep. */
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

/** Jaccard similarity of two rows' sets of shingles of so many tokens, exactly; 1 for two rows without any. */
export function jaccard(a: Int32Array, b: Int32Array, shingle: number): number {
  const [x, y] = [shinglesOf(a, shingle), shinglesOf(b, shingle)];
  let common = 0;
  for (const each of x) if (y.has(each)) common++;
  const all = x.size + y.size - common;
  return all === 0 ? 1 : common / all;
}

function shinglesOf(tokens: Int32Array, shingle: number): Set<string> {
  const shingles = new Set<string>();
  for (let i = 0; i + shingle <= tokens.length; i++) {
    const run = tokens.subarray(i, i + shingle);
    if (run.every((token) => token >= 0)) shingles.add(run.join(' '));
  }
  const known = tokens.filter((token) => token >= 0);
  if (shingles.size === 0 && known.length > 0) shingles.add(known.join(' '));
  return shingles;
}
