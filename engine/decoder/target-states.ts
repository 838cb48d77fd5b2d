/** Gathers the hidden states that predict targets, from any rows of any batches, so that the head reads no others. */
export class TargetStates<Owner> {
  private readonly width: number;
  private readonly hidden: Float32Array;
  private readonly targets: Int32Array;
  private readonly read: (hidden: Float32Array, targets: Int32Array, owners: readonly Owner[]) => Promise<void>;
  private owners: Owner[] = [];

  /**
   * @param rows number of states that are read at once; the last reading is filled up with states of earlier ones, so
   *   that it needs no other graph.
   * @param read receives `rows` states [rows * width] and their targets, of which the first `owners.length` count.
   */
  constructor(
    { rows, width }: { rows: number; width: number },
    read: (hidden: Float32Array, targets: Int32Array, owners: readonly Owner[]) => Promise<void>,
  ) {
    this.width = width;
    this.hidden = new Float32Array(rows * width);
    this.targets = new Int32Array(rows);
    this.read = read;
  }

  /** Takes state number `at` of `states`, which predicts `target`. */
  async add(states: Float32Array, at: number, target: number, owner: Owner): Promise<void> {
    const { width } = this;
    this.hidden.set(states.subarray(at * width, (at + 1) * width), this.owners.length * width);
    this.targets[this.owners.length] = target;
    this.owners.push(owner);
    if (this.owners.length === this.targets.length) await this.flush();
  }

  /** Reads what has been gathered. */
  async flush(): Promise<void> {
    if (this.owners.length === 0) return;
    await this.read(this.hidden, this.targets, this.owners);
    this.owners = [];
  }
}
