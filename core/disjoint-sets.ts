/** Sets of the numbers from 0 to `size` - 1, each at first on its own: union-find, at 4 bytes a number. */
export class DisjointSets {
  readonly size: number;
  /** A lower number of the same set, or the number itself. */
  private readonly parents: Uint32Array;

  constructor(size: number) {
    this.size = size;
    this.parents = Uint32Array.from({ length: size }, (_, number) => number);
  }

  /** Makes one set of those of two numbers. */
  join(a: number, b: number): void {
    const [x, y] = [this.lowest(a), this.lowest(b)];
    this.parents[Math.max(x, y)] = Math.min(x, y);
  }

  /** The lowest number of a number's set. */
  lowest(number: number): number {
    const { parents } = this;
    let at = number;
    while (parents[at] !== at) {
      parents[at] = parents[parents[at]!]!; // halves the way for the next time
      at = parents[at]!;
    }
    return at;
  }
}
