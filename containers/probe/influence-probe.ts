/** How a document's influence on the current checkpoint is measured; each method is one implementation. */
export interface InfluenceProbe {
  /** Reference loss of the checkpoint itself: a constant of the probe. */
  readonly baseline: number;
  /**
   * @param tokens one row of the corpus.
   * @returns the reference loss after the document, and its difference to the baseline; lower is more helpful. A pure
   *   function of the checkpoint and the row: order, worker and earlier calls do not matter.
   */
  influence(tokens: Int32Array): Promise<{ loss: number; influence: number }>;
}
