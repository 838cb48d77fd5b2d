import type { RunConfig } from '../core/config/schema.ts';
import type { CorpusIndex } from '../core/formats.ts';
import type { GptNeoxShape } from '../engine/gpt-neox.ts';
import { LanguageModel } from '../engine/language-model.ts';
import { createRuntime, type Runtime } from '../engine/runtime/runtime.ts';

/** The shape of the model to pretrain: the configuration's, with the vocabulary of the corpus padded to a multiple. */
export function modelShape(config: RunConfig, corpus: CorpusIndex): GptNeoxShape {
  const { layers, width, heads, rotaryFraction, rotaryBase, layerNormEpsilon, initializerStd } = config.model;
  const multiple = config.model.vocabularyMultiple;
  return {
    layers,
    width,
    heads,
    rotaryFraction,
    rotaryBase,
    layerNormEpsilon,
    initializerStd,
    vocabularySize: Math.ceil(corpus.tokenizer.vocabularySize / multiple) * multiple,
  };
}

export function openRuntime(config: RunConfig): Promise<Runtime> {
  return createRuntime(config.engine.runtime, { threads: config.engine.threads });
}

export async function openLanguageModel(config: RunConfig, corpus: CorpusIndex): Promise<LanguageModel> {
  return new LanguageModel(await openRuntime(config), modelShape(config, corpus));
}
