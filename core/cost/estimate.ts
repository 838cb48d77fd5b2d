/** What a run will do and cost, from its configuration alone: no file is read. */
import type { RunConfig } from '../config/schema.ts';
import { methodTraits } from '../selection/methods.ts';
import { decoderForwardFlops, encoderForwardFlops, gptNeoxParameters } from './flops.ts';
import prices from './prices.json' with { type: 'json' };

export interface CostEstimate {
  parameters: number;
  steps: number;
  tokens: number;
  /** Rows that the corpus must have at least: every pool, and the hold-out. */
  rowsNeeded: number;
  /** Hold-out rows probed over all stages. */
  probes: number;
  scoredRows: number;
  /** Jobs over all stages. */
  jobs: number;
  flops: StageFlops;
  /** Selection's share of the main arm's pretraining. */
  selectionOverhead: number;
}

/** Operations by what they are for. */
export interface StageFlops {
  pretrain: number;
  control: number;
  probe: number;
  fit: number;
  score: number;
}

/** Tokens of a reference passage where the file is not read: LAMBADA's mean is about 85. */
const PASSAGE_TOKENS = 85;
/** Vocabulary where the tokenizer is a file that is not read: Pythia's. */
const FILE_VOCABULARY = 50_304;
/** Encoder where a pretrained directory is not read: BERT-base. */
const BERT_BASE = { layers: 12, width: 768 };

export function estimateCost(config: RunConfig): CostEstimate {
  const { pretrain, selection, pools, corpus } = config;
  const stages = Array.from({ length: pretrain.stages }, (_, stage) => estimateStage(config, stage));
  const total = sum(stages.map(({ flops }) => flops));
  const stageRows = pretrain.stepsPerStage * pretrain.batchRows;
  const candidates = Math.ceil(stageRows / selection.fraction) * (pretrain.stages - 1);
  const steps = pretrain.stages * pretrain.stepsPerStage;
  return {
    parameters: gptNeoxParameters(shapeOf(config)),
    steps,
    tokens: steps * pretrain.batchRows * corpus.sequenceLength,
    rowsNeeded: Math.ceil(Math.max(candidates / (1 - pools.holdOut - pools.warmup), stageRows / pools.warmup)),
    probes: stages.reduce((count, { probes }) => count + probes, 0),
    scoredRows: stages.reduce((count, { scoredRows }) => count + scoredRows, 0),
    jobs: 1 + stages.reduce((count, { jobs }) => count + jobs, 0),
    flops: total,
    selectionOverhead: (total.probe + total.fit + total.score) / total.pretrain,
  };
}

interface StageEstimate {
  flops: StageFlops;
  probes: number;
  scoredRows: number;
  jobs: number;
  /** Steps of the machine that bring up instances. */
  steps: number;
}

/** What one stage does; the counterpart of planStage without a corpus. */
function estimateStage(config: RunConfig, stage: number): StageEstimate {
  const { pretrain, probe, selection, scoring } = config;
  const { score, once } = methodTraits(selection.method);
  const scored = stage > 0 && score !== undefined;
  const measures = scored && (stage === 1 || !once);
  const probes = measures && score === 'influence-model' ? probe.documents : 0;
  const compared = config.control === 'random' && stage > 0 && selection.method !== 'random';
  const arms = compared ? 2 : 1;
  const stageRows = pretrain.stepsPerStage * pretrain.batchRows;
  const scoredRows = scored ? Math.ceil(stageRows / selection.fraction) : 0;
  const { row, probed, prepared, labelled, predicted } = unitCosts(config);
  const perRow = { 'influence-model': predicted, probe: probed, loss: row, dsir: 0 };
  const prepares = measures && (probes > 0 || score === 'probe') && prepared > 0;
  const training = 3 * stageRows * row;
  return {
    flops: {
      pretrain: training,
      control: (arms - 1) * training,
      probe: probes * probed + (prepares ? prepared : 0),
      fit: probes * labelled,
      score: score ? scoredRows * perRow[score] : 0,
    },
    probes,
    scoredRows,
    jobs: 2 * arms + (prepares ? 1 : 0) + (probes > 0 ? probe.jobs : 0) + (scored ? 1 + scoring.jobs : 0),
    steps: 2 + (prepares ? 1 : 0) + (probes > 0 ? 1 : 0) + (scored ? 2 : 0),
  };
}

/** Operations of one of each: a row's forward pass, a probe, the preparation of probes, a label's part in the fit, a prediction. */
function unitCosts(config: RunConfig) {
  const { reference, model, probe, pretrain, influenceModel, corpus } = config;
  const shape = shapeOf(config);
  const length = corpus.sequenceLength;
  const row = length * decoderForwardFlops(shape, length);
  const whole = PASSAGE_TOKENS * decoderForwardFlops(shape, PASSAGE_TOKENS);
  // Where the last word alone counts, the output head is needed for its one or two tokens only.
  const head = 2 * model.width * shape.vocabularySize * PASSAGE_TOKENS;
  const passage = reference.target === 'last-word' ? whole - head : whole;
  const references = reference.passages * passage;
  const { batchRows, steps } = probe.lookahead;
  const branch = probe.checkpoint === 'decayed' ? 3 * pretrain.decaySteps * pretrain.batchRows * row : 0;
  const copies = {
    exact: 0,
    directional: 3 * reference.passages * whole,
    lookahead: 3 * steps * batchRows * (row + whole),
  }[probe.method];
  const encoder = influenceModel.pretrained ? BERT_BASE : influenceModel;
  const document =
    influenceModel.architecture === 'bert'
      ? length * encoderForwardFlops(encoder.layers, encoder.width, Math.min(length, influenceModel.chunkTokens))
      : 0;
  const features = influenceModel.features.some((feature) => feature !== 'dsir') ? row : 0;
  const { epochs, validationFraction, testFraction } = influenceModel;
  const fitted = 1 - validationFraction - testFraction;
  return {
    row,
    probed: probe.method === 'exact' ? 3 * row + references : 2 * row,
    prepared: branch + copies,
    labelled: (fitted * 3 * epochs + validationFraction * epochs + testFraction) * document + features,
    predicted: document + features,
  };
}

/** The model's shape, as far as its cost goes. */
function shapeOf({ model, corpus }: RunConfig) {
  const vocabularySize = 'train' in corpus.tokenizer ? corpus.tokenizer.train : FILE_VOCABULARY;
  return { layers: model.layers, width: model.width, vocabularySize };
}

function sum(parts: StageFlops[]): StageFlops {
  const total: StageFlops = { pretrain: 0, control: 0, probe: 0, fit: 0, score: 0 };
  for (const part of parts) for (const name of Object.keys(total) as (keyof StageFlops)[]) total[name] += part[name];
  return total;
}

const operations = (flops: StageFlops) => Object.values(flops).reduce((total, part) => total + part, 0);

/** Hours and dollars on one instance type. */
export interface InstanceCost {
  instance: string;
  accelerators: string;
  /** Of instance time, all jobs added up; jobs side by side make a run shorter and not cheaper. */
  hours: number;
  onDemandUsd: number;
  spotUsd: number;
}

/** Prices so many operations in so many jobs and steps on each instance type of the dated price file. */
function instanceCosts(flops: number, jobs: number, steps: number): InstanceCost[] {
  // A container starts and loads its inputs in about a minute; a step brings up instances, which boot and pull the image.
  const overhead = (jobs * prices.minutesPerJob + steps * prices.minutesPerStep) / 60;
  return prices.instances.map(({ instance, accelerators, count, teraflops, onDemandUsdPerHour }) => {
    const hours = flops / (count * teraflops * 1e12 * prices.utilisation) / 3600 + overhead;
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
  const totalFlops = operations(estimate.flops);
  const instances = costsThrough(config, config.pretrain.stages - 1);
  return { name: config.name, ...estimate, totalFlops, instances, pricesDated };
}

/** From the start of a run to the end of a stage. */
function costsThrough(config: RunConfig, last: number): InstanceCost[] {
  const stages = Array.from({ length: last + 1 }, (_, stage) => estimateStage(config, stage));
  const count = (of: (stage: StageEstimate) => number) => stages.reduce((total, stage) => total + of(stage), 0);
  // The corpus is prepared before the first stage.
  return instanceCosts(
    count(({ flops }) => operations(flops)),
    1 + count(({ jobs }) => jobs),
    1 + count(({ steps }) => steps),
  );
}

/**
 * Estimated dollars, on demand on the first instance type of the price file, from the start of a run to the end of a
 * stage: what `maxCostUsd` is held against.
 */
export function costThroughStage(config: RunConfig, stage: number): number {
  return costsThrough(config, stage)[0]!.onDemandUsd;
}

/** What the deployed stacks cost a month while nothing runs, by their `network` setting, without stored data. */
export function idleUsdPerMonth(network: 'nat' | 'endpoints'): number {
  const { hoursPerMonth, interfaceEndpointUsdPerHour, interfaceEndpoints, alarms } = prices.idle;
  const nat = prices.idle.natGatewayUsdPerHour + prices.idle.publicAddressUsdPerHour;
  const perHour = network === 'nat' ? nat : interfaceEndpoints * interfaceEndpointUsdPerHour;
  return hoursPerMonth * perHour + alarms * prices.idle.alarmUsdPerMonth;
}

export const pricesDated = prices.dated;
export const priceAssumptions = prices;
