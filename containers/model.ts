import type { RunConfig } from '../core/config/schema.ts';
import type { Passage } from '../core/corpus/passages.ts';
import { decoderForwardFlops } from '../core/cost/flops.ts';
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

/** Operations of a forward pass over so many rows of so many tokens; with its backward pass it is three times that. */
export type ModelCost = (rows: number, length: number) => number;

export function modelCost(config: RunConfig, corpus: CorpusIndex): ModelCost {
  const shape = modelShape(config, corpus);
  return (rows, length) => rows * length * decoderForwardFlops(shape, length);
}

/** Operations of a forward pass over passages, without the padding. */
export function passagesCost(cost: ModelCost, passages: readonly Passage[]): number {
  return passages.reduce((sum, { tokens }) => sum + cost(1, tokens.length), 0);
}
