import type { RunConfig } from './schema.ts';

/** The configuration with every path and URI in it changed. */
export function mapPaths(config: RunConfig, change: (path: string) => string): RunConfig {
  const { corpus, reference, heldOut, influenceModel } = config;
  return {
    ...config,
    corpus: {
      ...corpus,
      input: corpus.input.map(change),
      prepared: corpus.prepared && change(corpus.prepared),
      tokenizer: 'file' in corpus.tokenizer ? { file: change(corpus.tokenizer.file) } : corpus.tokenizer,
    },
    reference: { ...reference, input: change(reference.input) },
    heldOut: { ...heldOut, input: change(heldOut.input) },
    influenceModel: { ...influenceModel, pretrained: influenceModel.pretrained && change(influenceModel.pretrained) },
  };
}
