/** The shape of a model and of an encoder that train in no time. */
export const TINY_SHAPE = { layers: 1, width: 16, heads: 2 };

/** An influence model as in the paper, fitted to the stage's own probes alone, of that size. */
export const TINY_BERT = {
  architecture: 'bert',
  features: [],
  earlierStages: 0,
  ...TINY_SHAPE,
  chunkTokens: 32,
  batchDocuments: 8,
};
