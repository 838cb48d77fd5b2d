/** Estimates what a run will do, from its configuration and, if there is one, its corpus; reads no file. */
import { rowTokens, textsOf } from '../config/corpus-schema.ts';
import { paddedVocabulary } from '../config/padded-vocabulary.ts';
import type { RunConfig } from '../config/schema.ts';
import type { CorpusIndex } from '../formats.ts';
import { CHECKED_ROWS } from '../plan/hold-out.ts';
import { guardPassages, guardReadings } from '../plan/lookahead.ts';
import { planStage } from '../plan/stage-plan.ts';
import { stageWork } from '../plan/stage-work.ts';
import { readsModel } from '../selection/methods.ts';
import { CALIBRATION_ROWS, measuresScale, weightedScores } from '../selection/weighted-scores.ts';
import type { StageTask } from '../tasks.ts';
import {
  decoderForwardFlops,
  decoderParameters,
  directionalFlops,
  encoderForwardFlops,
  lookaheadFlops,
  passageForwardFlops,
} from './flops.ts';

export interface CostEstimate {
  parameters: number;
  steps: number;
  tokens: number;
  /** Rows that the corpus must have at least: every pool, and the hold-out. */
  rowsNeeded: number;
  /** Hold-out rows probed over all stages. */
  probes: number;
  /** Rows of the pools; without a corpus, of pools as small as they may be. */
  scoredRows: number;
  /** Jobs over all stages. */
  jobs: number;
  flops: StageFlops;
  /** Selection's share of the main arm's pretraining. */
  selectionOverhead: number;
}

import { meanPassage, PASSAGE_TOKENS, type PassageSizes, type RunPassages } from './passages.ts';

/** Operations by what they are for; both arms are evaluated. */
export interface StageFlops {
  pretrain: number;
  control: number;
  evaluate: number;
  probe: number;
  fit: number;
  score: number;
}

/** The jobs of one kind in a stage; they are alike, and run side by side. */
export interface StageJobs {
  task: StageTask;
  part: keyof StageFlops;
  jobs: number;
  /** Operations of all of them together. */
  flops: number;
}

/** What one stage does. */
export interface StageEstimate {
  work: StageJobs[];
  probes: number;
  scoredRows: number;
}

/** What is known of a run's inputs. */
export interface KnownInputs {
  /** @default - not prepared: pools are the least that they must be */
  corpus?: CorpusIndex | undefined;
  /** @default - as many as the configuration asks for, of LAMBADA's mean length */
  passages?: RunPassages | undefined;
}

/**
 * Assumed size of a zero-shot task without a `limit`, as its file is not read: ARC-Easy has 2,376 items, PIQA 1,838, LAMBADA 5,153; up to
 * four choices, of some five tokens (PIQA's are of twenty, LAMBADA's words of two).
 */
const TASK = { items: 3000, requests: 4, targets: 5 };
/** Assumed domains of a corpus that is not there yet: the example has 13. */
const DOMAINS = 13;
/** Assumed vocabulary of a tokenizer's file, which is not read, and of a prepared corpus that is not there: Pythia's. */
export const FILE_VOCABULARY = 50_304;
/** Assumed shape of a pretrained encoder, whose directory is not read: BERT-base's. */
const BERT_BASE = { layers: 12, width: 768 };

/** @throws ConfigError when the corpus is too small for a stage. */
export function estimateCost(config: RunConfig, known: KnownInputs = {}): CostEstimate {
  const { pretrain } = config;
  const { corpus } = known;
  const stages = estimateStages(config, known);
  const work = stages.flatMap((stage) => stage.work);
  const total = sum(work);
  const steps = pretrain.stages * pretrain.stepsPerStage;
  return {
    parameters: decoderParameters(shapeOf(config, corpus)),
    steps,
    tokens: steps * pretrain.batchRows * rowTokens(config.corpus, corpus),
    rowsNeeded: rowsNeeded(config),
    probes: stages.reduce((count, { probes }) => count + probes, 0),
    scoredRows: stages.reduce((count, { scoredRows }) => count + scoredRows, 0),
    jobs: 1 + work.reduce((count, { jobs }) => count + jobs, 0),
    flops: total,
    selectionOverhead: (total.probe + total.fit + total.score) / total.pretrain,
  };
}

/**
 * Rows that a corpus must have for every stage's pool, and for a hold-out that can be probed and evaluated on; that of one domain, as
 * each more takes rows of its own. A single stage has all rows but the hold-out.
 */
function rowsNeeded(config: RunConfig): number {
  const { stages } = config.pretrain;
  const { holdOut, warmup } = config.pools;
  const each = Array.from({ length: stages }, (_, stage) => stage);
  const [first, ...later] = each.map((stage) => leastPool(config, stage));
  if (stages === 1) return Math.ceil(first! / (1 - holdOut));
  const candidates = later.reduce((rows, pool) => rows + pool, 0);
  const probes = Math.max(...each.map((stage) => stageWork(config, stage).probes));
  const heldOut = probes > 0 ? probes + config.evaluation.rowsPerDomain : 0;
  return Math.ceil(Math.max(candidates / (1 - holdOut - warmup), first! / warmup, heldOut / holdOut));
}

/** Rows of the smallest pool that gives a stage its rows: those alone, unless a share of the pool is selected by a score. */
function leastPool(config: RunConfig, stage: number): number {
  const { stepsPerStage, batchRows } = config.pretrain;
  const rows = stepsPerStage * batchRows;
  return stageWork(config, stage).score ? Math.ceil(rows / config.selection.fraction) : rows;
}

/**
 * Each stage's work, in the state machine's order. Without a corpus, the pools are taken to be as small as they may be.
 *
 * @param stages how many, from the first. @default all
 */
export function estimateStages(
  config: RunConfig,
  known: KnownInputs = {},
  stages = config.pretrain.stages,
): StageEstimate[] {
  return Array.from({ length: stages }, (_, stage) => estimateStage(config, stage, known));
}

/** The counterpart of planStage, which says how large the pool is where there is a corpus. */
function estimateStage(config: RunConfig, stage: number, known: KnownInputs): StageEstimate {
  const { corpus } = known;
  const { probe, selection, scoring } = config;
  const { score, once, probes, preparesProbe, arms } = stageWork(config, stage);
  const plan = corpus && planStage(config, corpus, stage);
  const poolRows = plan?.poolRows ?? leastPool(config, stage);
  const scoredRows = score ? poolRows : 0;
  const earlier = probes * Math.min(config.influenceModel.earlierStages, Math.max(0, stage - 1));
  const { row, evaluated, probed, prepared, labelled, again, predicted } = unitCosts(config, known);
  const perRow = { 'influence-model': predicted, probe: probed, loss: row, dsir: 0, classifier: 0 };
  const training = trainingFlops(config, corpus);

  const work: StageJobs[] = [];
  if (preparesProbe) work.push({ task: 'prepare-probe', part: 'probe', jobs: 1, flops: prepared });
  if (probes > 0)
    work.push({ task: 'probe', part: 'probe', jobs: Math.min(probe.jobs, probes), flops: probes * probed });
  if (score) {
    const measures = (stage === 1 || !once) && measuresScale(weightedScores(score, selection));
    const measured = measures ? Math.min(CALIBRATION_ROWS, plan?.holdOutRows ?? CALIBRATION_ROWS) : 0;
    const fit = probes * labelled + earlier * again + measured * perRow[score];
    work.push({ task: 'fit-influence', part: 'fit', jobs: 1, flops: fit });
    const jobs = Math.min(scoring.jobs, scoredRows);
    work.push({ task: 'score', part: 'score', jobs, flops: scoredRows * perRow[score] });
  }
  work.push({ task: 'pretrain', part: 'pretrain', jobs: 1, flops: training });
  if (arms.includes('control')) work.push({ task: 'pretrain', part: 'control', jobs: 1, flops: training });
  work.push({ task: 'evaluate', part: 'evaluate', jobs: arms.length, flops: arms.length * evaluated });
  return { work, probes, scoredRows };
}

/** Operations of a stage's training. */
export function trainingFlops(config: RunConfig, corpus?: CorpusIndex): number {
  const { stepsPerStage, batchRows } = config.pretrain;
  const length = rowTokens(config.corpus, corpus);
  return 3 * stepsPerStage * batchRows * length * decoderForwardFlops(shapeOf(config, corpus), length);
}

/**
 * Operations of one each of these: a row's forward pass, an evaluation, a probe, the preparation of probes, a label's
 * share of the fit, that of a label of an earlier stage, a prediction.
 */
function unitCosts(config: RunConfig, { corpus, passages }: KnownInputs) {
  const { evaluation, probe, pretrain, influenceModel } = config;
  const shape = shapeOf(config, corpus);
  const length = rowTokens(config.corpus, corpus);
  const row = length * decoderForwardFlops(shape, length);
  const reference = meanPassage(config.reference, length, passages?.reference);
  const heldOut = meanPassage(config.heldOut, length, passages?.heldOut);
  const whole = reference.tokens * decoderForwardFlops(shape, reference.tokens);
  const read = ({ tokens, targets }: PassageSizes) => passageForwardFlops(shape, tokens, targets);
  const passage = read(reference);
  const questionTokens = Math.min(PASSAGE_TOKENS, length);
  const { batchRows, steps } = probe.lookahead;
  const branch = 3 * pretrain.decaySteps * pretrain.batchRows * row;
  const domains = corpus?.domains.length ?? DOMAINS;
  const items = evaluation.tasks.reduce((count, { limit = TASK.items }) => count + limit, 0);
  const copies = {
    exact: 0,
    directional: directionalFlops({ passages: reference.passages * whole, checked: CHECKED_ROWS * row }),
    lookahead: lookaheadFlops(
      { steps, tried: steps, batchRows, guardReads: guardReadings(steps) * guardPassages(reference.passages) },
      { passage: whole, row, guard: passage },
    ),
  }[probe.method];
  const encoder = influenceModel.pretrained ? BERT_BASE : influenceModel;
  const chunk = Math.min(length, influenceModel.chunkTokens);
  const document =
    influenceModel.architecture === 'bert'
      ? Math.min(length, influenceModel.chunks * chunk) * encoderForwardFlops(encoder.layers, encoder.width, chunk)
      : 0;
  const features = readsModel(influenceModel.features) ? row : 0;
  const { epochs, validationFraction, testFraction } = influenceModel;
  const fitted = 1 - validationFraction - testFraction;
  return {
    row,
    evaluated:
      branch +
      reference.passages * passage +
      heldOut.passages * read(heldOut) +
      items * TASK.requests * passageForwardFlops(shape, questionTokens, TASK.targets) +
      domains * evaluation.rowsPerDomain * row,
    probed: probe.method === 'exact' ? 3 * row + reference.passages * passage : 2 * row,
    prepared: (probe.checkpoint === 'decayed' ? branch : 0) + copies,
    labelled: (fitted * 3 * epochs + validationFraction * epochs + testFraction) * document + features,
    again: 3 * epochs * document + features,
    predicted: document + features,
  };
}

/** The model's shape, as far as its cost goes. */
export function shapeOf({ model, corpus: given }: RunConfig, corpus?: CorpusIndex) {
  const { prepared } = given;
  const tokenizer = textsOf(given)?.tokenizer;
  const planned = model.vocabularySize ?? (tokenizer && 'train' in tokenizer ? tokenizer.train : FILE_VOCABULARY);
  const entries = corpus?.tokenizer.vocabularySize ?? planned;
  const vocabularySize = paddedVocabulary(entries, model, prepared && `the tokenizer of ${prepared}`);
  return { ...model, vocabularySize };
}

function sum(work: StageJobs[]): StageFlops {
  const total: StageFlops = { pretrain: 0, control: 0, evaluate: 0, probe: 0, fit: 0, score: 0 };
  for (const { part, flops } of work) total[part] += flops;
  return total;
}
