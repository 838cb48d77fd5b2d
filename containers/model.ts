import { availableParallelism } from 'node:os';
import { paddedVocabulary } from '../core/config/padded-vocabulary.ts';
import type { RunConfig } from '../core/config/schema.ts';
import type { Passage } from '../core/corpus/passages.ts';
import { decoderForwardFlops, passageForwardFlops } from '../core/cost/flops.ts';
import { ConfigError } from '../core/errors.ts';
import type { CorpusIndex } from '../core/formats.ts';
import type { AdamW } from '../engine/adamw.ts';
import { DataParallelTrainer } from '../engine/data-parallel/data-parallel-trainer.ts';
import type { DecoderShape } from '../engine/decoder/decoder.ts';
import { LanguageModel } from '../engine/decoder/language-model.ts';
import type { ParameterSet } from '../engine/parameters.ts';
import { visibleGpus } from '../engine/runtime/cuda.ts';
import { createRuntime, type Runtime } from '../engine/runtime/runtime.ts';
import { Trainer, type TrainingSteps } from '../engine/trainer.ts';

/** The shape of the model to pretrain: the configuration's, with the vocabulary of the corpus padded to a multiple. */
export function modelShape(config: RunConfig, corpus: CorpusIndex): DecoderShape {
  const { vocabularyMultiple: _, pretrained: __, ...shape } = config.model;
  return { ...shape, vocabularySize: paddedVocabulary(corpus.tokenizer.vocabularySize, config.model) };
}

export function openRuntime(config: RunConfig): Promise<Runtime> {
  const { runtime, threads, precision } = config.engine;
  return createRuntime(runtime, { threads, precision });
}

export async function openLanguageModel(config: RunConfig, corpus: CorpusIndex): Promise<LanguageModel> {
  return new LanguageModel(await openRuntime(config), modelShape(config, corpus));
}

/**
 * The number of workers that share a training step: as configured, else one per GPU, but no more than micro-batches.
 *
 * @throws ConfigError for more workers than GPUs.
 */
export function trainingWorkers({ engine, pretrain }: RunConfig, gpus = visibleGpus().length): number {
  const onnxCuda = engine.runtime === 'onnx-cuda';
  if (onnxCuda && engine.workers > Math.max(1, gpus))
    throw new ConfigError(
      `engine.workers is ${engine.workers}, but this machine shows ${gpus} GPUs: give the job more of them, or set ` +
        'engine.workers to 0, which uses all that there are.',
    );
  const wanted = engine.workers || (onnxCuda ? gpus : 1) || 1;
  return Math.min(wanted, pretrain.batchRows / pretrain.microBatchRows);
}

/**
 * Opens a trainer of the parameters and the optimizer, with as many workers as {@link trainingWorkers} says.
 *
 * @param model the model that a single worker uses. @default - one is opened
 */
export async function openTrainer(
  config: RunConfig,
  corpus: CorpusIndex,
  { parameters, optimizer }: { parameters: ParameterSet; optimizer: AdamW },
  model?: LanguageModel,
): Promise<TrainingSteps> {
  const workers = trainingWorkers(config);
  if (workers === 1)
    return new Trainer(model ?? (await openLanguageModel(config, corpus)), config.pretrain, parameters, optimizer);
  const { runtime, precision, threads } = config.engine;
  const share = Math.max(1, Math.floor((threads || availableParallelism()) / workers));
  return DataParallelTrainer.open({
    shape: modelShape(config, corpus),
    workers,
    runtime: { name: runtime, options: { precision, threads: share } },
    config: config.pretrain,
    parameters,
    optimizer,
  });
}

/**
 * Operations of a forward pass over `rows` rows of `length` tokens; a forward and a backward pass take three times
 * that.
 */
export type ModelCost = (rows: number, length: number) => number;

export function modelCost(config: RunConfig, corpus: CorpusIndex): ModelCost {
  const shape = modelShape(config, corpus);
  return (rows, length) => rows * length * decoderForwardFlops(shape, length);
}

/** Operations to compute the loss of passages, without the padding. */
export function passagesLossCost(config: RunConfig, corpus: CorpusIndex, passages: readonly Passage[]): number {
  const shape = modelShape(config, corpus);
  return passages.reduce((sum, { tokens: { length }, firstTarget }) => {
    return sum + passageForwardFlops(shape, length, length - Math.max(1, firstTarget));
  }, 0);
}

/** Operations of a forward pass over one reference passage, one row and the loss of one guard passage, on average. */
export function lookaheadForwards(
  config: RunConfig,
  corpus: CorpusIndex,
  passages: readonly Passage[],
): Record<'passage' | 'row' | 'guard', number> {
  const cost = modelCost(config, corpus);
  return {
    passage: passagesCost(cost, passages) / passages.length,
    row: cost(1, corpus.sequenceLength),
    guard: passagesLossCost(config, corpus, passages) / passages.length,
  };
}

/** Operations of a forward pass over all tokens of passages, as in training on them, without the padding. */
export function passagesCost(cost: ModelCost, passages: readonly Passage[]): number {
  return passages.reduce((sum, { tokens }) => sum + cost(1, tokens.length), 0);
}
