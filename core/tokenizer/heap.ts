/** A binary heap of (priority, item) pairs of numbers; the least priority comes out first, ties by the least item. */
export class MinHeap {
  private readonly priorities: number[] = [];
  private readonly items: number[] = [];

  get size(): number {
    return this.items.length;
  }

  /** The first pair; undefined members when the heap is empty. */
  get priority(): number | undefined {
    return this.priorities[0];
  }

  get item(): number | undefined {
    return this.items[0];
  }

  push(priority: number, item: number): void {
    let at = this.items.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(priority, item, parent)) break;
      this.move(parent, at);
      at = parent;
    }
    this.priorities[at] = priority;
    this.items[at] = item;
  }

  /** Removes the first pair. */
  pop(): void {
    const priority = this.priorities.pop();
    const item = this.items.pop();
    const size = this.items.length;
    if (priority === undefined || item === undefined || size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.isBefore(this.priorities[child + 1]!, this.items[child + 1]!, child)) child++;
      if (this.isBefore(priority, item, child)) break;
      this.move(child, at);
      at = child;
    }
    this.priorities[at] = priority;
    this.items[at] = item;
  }

  private isBefore(priority: number, item: number, other: number): boolean {
    const than = this.priorities[other]!;
    return priority < than || (priority === than && item < this.items[other]!);
  }

  private move(from: number, to: number): void {
    this.priorities[to] = this.priorities[from]!;
    this.items[to] = this.items[from]!;
  }
}
