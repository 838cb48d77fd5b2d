/** How a document's influence on the current checkpoint is measured; each method is one implementation. */
export interface InfluenceProbe {
  /**
   * One call at a time: an implementation may reuse its memory.
   *
   * @param tokens one row of the corpus.
   * @returns two losses and their difference; the lower the influence, the more helpful the row. A pure function of the
   *   checkpoint and the row: order, worker and earlier calls do not matter.
   */
  influence(tokens: Int32Array): Promise<Influence>;
}

export interface Influence {
  /** What the method measures: the reference loss after the row, or the row's own loss after the references. */
  loss: number;
  /** The same without that. */
  baseline: number;
  /** Their difference, in the method's units. Only its order matters to the influence model, which standardises it. */
  influence: number;
}
