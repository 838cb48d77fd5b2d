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

/** A corpus of few rows, and stages of a few steps, some of which save a checkpoint. */
export const TINY_CORPUS = { tokenizer: { train: 300 }, sequenceLength: 32, shards: 12 };
export const TINY_STAGE = {
  stepsPerStage: 8,
  batchRows: 4,
  microBatchRows: 2,
  warmupSteps: 4,
  decaySteps: 3,
  checkpointEverySteps: 3,
};
