import type { RunConfig } from '../config/schema.ts';
import { decoderForwardFlops, encoderForwardFlops, gptNeoxParameters } from './flops.ts';
import prices from './prices.json' with { type: 'json' };

/** What a run will do and cost, from its configuration alone. */
export interface CostEstimate {
  parameters: number;
  steps: number;
  tokens: number;
  /** Rows that the corpus must have at least: every pool, and the hold-out. */
  rowsNeeded: number;
  probes: number;
  scoredRows: number;
  flops: { pretrain: number; control: number; probe: number; fit: number; score: number };
  /** Selection's share of the main arm's pretraining. */
  selectionOverhead: number;
}

/** Tokens of a reference passage where the file is not read: LAMBADA's mean is about 85. */
const PASSAGE_TOKENS = 85;
/** Vocabulary where the tokenizer is a file that is not read: Pythia's. */
const FILE_VOCABULARY = 50_304;
/** Encoder where a pretrained directory is not read: BERT-base. */
const BERT_BASE = { layers: 12, width: 768 };

export function estimateCost(config: RunConfig): CostEstimate {
  const { model, pretrain, probe, influenceModel, selection, pools, corpus } = config;
  const vocabularySize = 'train' in corpus.tokenizer ? corpus.tokenizer.train : FILE_VOCABULARY;
  const shape = { layers: model.layers, width: model.width, vocabularySize };
  const length = corpus.sequenceLength;
  const perToken = decoderForwardFlops(shape, length);
  const steps = pretrain.stages * pretrain.stepsPerStage;
  const stageRows = pretrain.stepsPerStage * pretrain.batchRows;
  const tokens = steps * pretrain.batchRows * length;
  const scored = selection.method === 'influence' ? pretrain.stages - 1 : 0;

  const poolRows = Math.ceil(stageRows / selection.fraction);
  const candidates = pretrain.stages > 1 ? poolRows * (pretrain.stages - 1) : 0;
  const rowsNeeded = Math.ceil(Math.max(candidates / (1 - pools.holdOut - pools.warmup), stageRows / pools.warmup));

  const passage = PASSAGE_TOKENS * decoderForwardFlops(shape, PASSAGE_TOKENS);
  const oneProbe = 3 * length * perToken + config.reference.passages * passage;
  const encoder = influenceModel.pretrained ? BERT_BASE : influenceModel;
  const document =
    length * encoderForwardFlops(encoder.layers, encoder.width, Math.min(length, influenceModel.chunkTokens));
  const fitted = probe.documents * (1 - influenceModel.validationFraction - influenceModel.testFraction);
  const pretrainFlops = 3 * tokens * perToken;
  const controlSteps = config.control === 'random' ? scored * pretrain.stepsPerStage : 0;
  const flops = {
    pretrain: pretrainFlops,
    control: (pretrainFlops * controlSteps) / steps,
    probe: scored * probe.documents * oneProbe,
    fit: scored * influenceModel.epochs * fitted * 3 * document,
    score: scored * poolRows * document,
  };
  return {
    parameters: gptNeoxParameters(shape),
    steps,
    tokens,
    rowsNeeded,
    probes: scored * probe.documents,
    scoredRows: scored * poolRows,
    flops,
    selectionOverhead: (flops.probe + flops.fit + flops.score) / flops.pretrain,
  };
}

/** Hours and dollars on one instance type. */
export interface InstanceCost {
  instance: string;
  accelerators: string;
  hours: number;
  onDemandUsd: number;
  spotUsd: number;
}

/** Prices a number of operations on each instance type of the dated price file. */
export function instanceCosts(flops: number): InstanceCost[] {
  return prices.instances.map(({ instance, accelerators, count, teraflops, onDemandUsdPerHour }) => {
    const hours = flops / (count * teraflops * 1e12 * prices.utilisation) / 3600;
    const onDemandUsd = hours * onDemandUsdPerHour;
    return {
      instance,
      accelerators: `${count} x ${accelerators}`,
      hours,
      onDemandUsd,
      spotUsd: onDemandUsd * (1 - prices.spotDiscount),
    };
  });
}

/** What `mates plan` and a dry run answer: the estimate, and its price on each instance type. */
export interface PricedPlan extends CostEstimate {
  name: string;
  totalFlops: number;
  instances: InstanceCost[];
  /** Date of the price file. */
  pricesDated: string;
}

export function pricePlan(config: RunConfig): PricedPlan {
  const estimate = estimateCost(config);
  const totalFlops = Object.values(estimate.flops).reduce((sum, flops) => sum + flops, 0);
  return { name: config.name, ...estimate, totalFlops, instances: instanceCosts(totalFlops), pricesDated };
}

/**
 * Estimated dollars, on demand on the first instance type of the price file, from the start of a run to the end of a
 * stage: what `maxCostUsd` is held against.
 */
export function costThroughStage(config: RunConfig, stage: number): number {
  const { flops } = estimateCost(config);
  const { stages } = config.pretrain;
  const everyStage = flops.pretrain / stages;
  const laterStages = (flops.control + flops.probe + flops.fit + flops.score) / Math.max(1, stages - 1);
  return instanceCosts((stage + 1) * everyStage + stage * laterStages)[0]!.onDemandUsd;
}

export const pricesDated = prices.dated;
