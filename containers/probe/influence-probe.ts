/** How a row's influence on the current checkpoint is measured; each method is one implementation. */
export interface InfluenceProbe {
  /** Rows that are best measured in one call; more calls give the same numbers. */
  readonly rowsAtOnce: number;
  /**
   * One call at a time: an implementation may reuse its memory.
   *
   * @param tokens rows of the corpus, [rows x length].
   * @returns for each row two losses and their difference; the lower the influence, the more helpful the row. A pure
   *   function of the checkpoint and the row: order, worker, other rows and earlier calls do not matter.
   */
  influences(tokens: Int32Array, length: number): Promise<Influence[]>;
}

export interface Influence {
  /** What the method measures: the reference loss after the row, or the row's own loss after the references. */
  loss: number;
  /** The same without that. */
  baseline: number;
  /** Their difference, in the method's units. Only its order matters to the influence model, which standardises it. */
  influence: number;
}
