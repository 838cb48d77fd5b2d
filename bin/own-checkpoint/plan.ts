/** What `mates select` does and costs, as pure functions. */

import { lookaheadForwards } from '../../containers/model.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { lookaheadFlops } from '../../core/cost/flops.ts';
import { ConfigError } from '../../core/errors.ts';
import type { CorpusIndex, StagePlan } from '../../core/formats.ts';
import { mostLabels } from '../../core/plan/hold-out.ts';
import { guardPassages, guardReadings } from '../../core/plan/lookahead.ts';
import { fractionOf } from '../../core/plan/stage-plan.ts';
import { counted } from '../../core/plural.ts';
import { methodTraits, ofTextAlone, readsModel } from '../../core/selection/methods.ts';
import type { Settings } from './settings.ts';

/** The stage that scores; its checkpoint is that of the stage before. */
export const STAGE = 1;

/** Rows that may be labelled, as a multiple of the labels, so that lookahead has other rows to compare with. */
const HOLD_OUT_LABELS = 2.5;
/**
 * Least share of the corpus: DSIR and the scales of scores are measured on these rows too. The default of
 * `pools.holdOut`.
 */
const HOLD_OUT_SHARE = 0.15;
/**
 * Most rows of a hold-out whose rows are not candidates: the 384 that lookahead's control copy learns from, and 1,024
 * others on which the scale of the scores is measured.
 */
const ORACLE_HOLD_OUT = 1_500;
/** The fewest labels of which some can be set aside for early stopping and for testing. */
const LEAST_LABELS = 20;

/**
 * Rows that are scored before their scores are written; an interruption loses no more. 50,000 rows of 512 tokens take
 * DSIR and n-grams some seconds a thousand; 1,000 rows take forward passes of a model of 100 million parameters some
 * minutes.
 */
const ROWS_AT_ONCE = { counted: 50_000, passed: 1_000 };
/** Most items: for each, an index of 300 kB at most is in memory when the cut is made. */
const MOST_ITEMS = 400;

/**
 * The whole corpus is the pool, and labels come from some of its shards: because nothing is trained, a labelled row is
 * a candidate like any other. If every row is scored by its own probe, the shards from which lookahead's control copy
 * learns are not candidates: it knows their rows, so they would look less helpful than they are.
 *
 * @throws ConfigError when the corpus has too few rows for the labels or for the share.
 */
export function planSelection({ method, features, fraction, labels }: Settings, index: CorpusIndex): StagePlan {
  const { rows, shards } = index;
  const { score } = methodTraits(method);
  const probes = score === 'influence-model' ? labels : 0;
  // One row of each domain is kept for evaluation, although nothing is evaluated here.
  const most = mostLabels(rows, index.domains, { rowsPerDomain: 1, control: true });
  if (probes > most) throw tooFewRows(labels, rows, most);
  const scoresByProbe = score === 'probe';
  const wanted = scoresByProbe
    ? Math.min(HOLD_OUT_SHARE * rows, ORACLE_HOLD_OUT)
    : Math.max(HOLD_OUT_SHARE * rows, HOLD_OUT_LABELS * probes + rows - most);
  let first = shards.length;
  let holdOutRows = 0;
  while (first > 0 && holdOutRows < wanted) holdOutRows += shards[--first]!.rows;
  const poolRows = scoresByProbe ? rows - holdOutRows : rows;
  if (poolRows === 0)
    throw new ConfigError(
      `--method ${method}: the rows that it compares with fill whole shards, and the corpus has no others; prepare it with more --shards.`,
    );
  const selectedRows = fractionOf(poolRows, fraction);
  if (selectedRows === 0)
    throw new ConfigError(
      `--fraction ${fraction}: this selects none of ${counted(poolRows, 'row')}; raise it, or prepare more text.`,
    );
  const passes = !ofTextAlone(score) && (score !== 'influence-model' || readsModel(features));
  const rowsAtOnce = passes ? ROWS_AT_ONCE.passed : ROWS_AT_ONCE.counted;
  const all = shards.map((_, shard) => shard);
  return {
    format: 'mates-stage-plan/1',
    stage: STAGE,
    scored: true,
    arms: ['main'],
    poolShards: scoresByProbe ? all.slice(0, first) : all,
    holdOutShards: all.slice(first),
    poolRows,
    holdOutRows,
    selectedRows,
    consumedRows: selectedRows,
    steps: 1,
    firstStep: 1,
    preparesProbe: probes > 0 || scoresByProbe,
    scorerStage: STAGE,
    probes,
    probeItems: Math.min(1, probes),
    scoreItems: Math.min(MOST_ITEMS, Math.ceil(poolRows / rowsAtOnce)),
  };
}

function tooFewRows(labels: number, rows: number, most: number): ConfigError {
  const remedy =
    most < LEAST_LABELS
      ? 'That is too little text for an influence model: prepare more, or choose --method dsir, classifier or perplexity'
      : `Set --labels to ${most} or less, or prepare more text`;
  return new ConfigError(
    `--labels ${labels}: the corpus has ${counted(rows, 'row')}, of which ${most} can be labelled (one of each domain is kept aside, and one to compare with). ` +
      `${remedy}.`,
  );
}

/** Operations for the parts of a selection, and for training once on the rows that it selects. */
export interface SelectionCost {
  labelling: number;
  scoring: number;
  training: number;
}

/** Operations as containers/ counts them, if lookahead makes all of its steps. */
export function selectionCost(
  config: RunConfig,
  index: CorpusIndex,
  plan: StagePlan,
  passages: readonly Passage[],
): SelectionCost {
  const forwards = lookaheadForwards(config, index, passages);
  const { row } = forwards;
  const { steps, batchRows } = config.probe.lookahead;
  const copies = lookaheadFlops(
    { steps, tried: steps, batchRows, guardReads: guardReadings(steps) * guardPassages(passages.length) },
    forwards,
  );
  const features = readsModel(config.influenceModel.features) ? row : 0;
  const { score } = methodTraits(config.selection.method);
  const scored = { 'influence-model': features, probe: 2 * row, loss: row, dsir: 0, classifier: 0 }[score ?? 'dsir'];
  return {
    labelling: (plan.preparesProbe ? copies : 0) + plan.probes * (2 * row + features),
    scoring: plan.poolRows * scored,
    training: 3 * plan.selectedRows * row,
  };
}

/** One line for people. */
export function costLine({ labelling, scoring, training }: SelectionCost): string {
  const part = (name: string, flops: number) =>
    flops > 0 ? `${name} ${flops.toExponential(1)} (${percent(flops / training)})` : `${name} none`;
  return (
    `Floating-point operations at most, and their share of training once on the selected rows: ` +
    `${part('labelling', labelling)}, ${part('scoring', scoring)}.`
  );
}

/** One line for people. */
export function planLine(name: string, index: CorpusIndex, { selectedRows, poolRows, probes }: StagePlan): string {
  const { rows, sequenceLength, documents } = index;
  const labels = probes > 0 ? `, and ${counted(probes, 'is', 'are')} labelled` : '';
  const kept =
    rows > poolRows
      ? ` ${counted(rows - poolRows, 'row is not a candidate', 'rows are not candidates')}: the others are compared with them.`
      : '';
  return (
    `${name}: ${counted(rows, 'row')} of ${sequenceLength} tokens, from ${counted(documents, 'document')}, of which ${counted(selectedRows, 'is', 'are')} selected` +
    `${labels}.${kept}`
  );
}

const percent = (share: number) => `${share < 0.1 ? (100 * share).toPrecision(2) : (100 * share).toFixed(0)} %`;
