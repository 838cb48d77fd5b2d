/**
 * Ridge regression of one value a row on n-grams and dense blocks of features: the cheap influence model. The target is
 * standardised, columns are centred (`design.ts`), and
 *
 *   minimise |z - X w|^2 + penalty (|w_ngrams|^2 + sum over dense blocks of relative penalty x |w_block|^2).
 *
 * Penalties are chosen by Spearman's rho on rows that are held out in turn, and the model is then fitted to all rows. The
 * same features, targets and folds give the same model.
 */
import { RunError } from '../errors.ts';
import type { SparseRows } from '../features/sparse-rows.ts';
import { mean, spearman, standardise } from '../metrics/index.ts';
import { counted } from '../plural.ts';
import { Design, dot, type FeatureBlocks } from './design.ts';
import { solveShifted } from './shifted-cg.ts';

export type { DenseBlock, FeatureBlocks } from './design.ts';

export interface RidgeOptions {
  /** Candidates. For standardised columns of n rows, something of the order of n / 100 to n is usual. */
  penalties: readonly number[];
  /**
   * Candidates of dense blocks' penalties relative to the n-grams', by block name: 0.01 for a few scalars. Default 1.
   */
  relativePenalties?: Readonly<Record<string, readonly number[]>>;
  /** How many rows, from the first, penalties are chosen by; by default all. The others are only fitted. */
  chooseBy?: number;
  /**
   * Sets of rows, each of which is held out once while the others are fitted. All the models' predictions for the rows
   * that they were not fitted to are judged together. Needed where there is more than one candidate.
   */
  folds?: readonly ArrayLike<number>[];
  /**
   * Tolerance of the normal equations' residual: tighter than predictions need. Comparisons with a closed form set a
   * tighter one still.
   *
   * @default 1e-8, which makes coefficients good to some 10^-7
   */
  tolerance?: number;
}

export interface Candidate {
  penalty: number;
  relativePenalties: Record<string, number>;
  /** Spearman's rho on the rows that were held out; undefined when there was nothing to choose. */
  spearman?: number;
}

/** prediction = intercept + the sum of each feature's value times its weight. */
export interface RidgeModel {
  intercept: number;
  /** One weight for each n-gram column; absent without n-grams. */
  ngrams?: Float64Array;
  /** Weights of each dense block's columns, by name. */
  dense: Record<string, Float64Array>;
  chosen: Candidate;
  candidates: Candidate[];
}

/** A tighter tolerance does not change the order of predictions, and takes three times the iterations. */
const CHOOSING_TOLERANCE = 1e-4;
/** Guards against a fit that never ends. */
const MOST_ITERATIONS = 5000;
/** Fewer rows leave too few to choose by. */
const LEAST_ROWS = 20;

/**
 * Fits the model.
 *
 * @param blocks features of each row that has a target.
 * @throws RunError when a target or feature is not a number, or rows are too few to choose a penalty by.
 */
export function fitRidge(blocks: FeatureBlocks, targets: ArrayLike<number>, options: RidgeOptions): RidgeModel {
  const n = targets.length;
  checkFinite(blocks, targets);
  const all = Uint32Array.from({ length: n }, (_, i) => i);
  const candidates = candidatesOf(options);
  const { chooseBy = n, folds = [], tolerance = 1e-8 } = options;
  let chosen = candidates[0]!;
  if (candidates.length > 1) {
    if (chooseBy < LEAST_ROWS)
      throw new RunError(
        `${counted(chooseBy, 'label is', 'labels are')} too few to choose one of ${candidates.length} penalties by; probe more rows.`,
      );
    const predicted = candidates.map((): number[] => []);
    const wanted: number[] = [];
    for (const fold of folds) {
      const isHeld = new Set(Array.from(fold));
      const judged = Uint32Array.from(isHeld)
        .filter((row) => row < chooseBy)
        .sort();
      if (judged.length === 0) continue;
      const fitted = all.filter((row) => !isHeld.has(row));
      const models = fitAll(blocks, targets, fitted, candidates, Math.max(CHOOSING_TOLERANCE, tolerance));
      for (const [i, model] of models.entries())
        for (const value of predictRows(model, blocks, judged)) predicted[i]!.push(value);
      for (const row of judged) wanted.push(targets[row]!);
    }
    if (wanted.length === 0)
      throw new RangeError(`no fold holds out rows to choose one of ${candidates.length} penalties by`);
    for (const [i, candidate] of candidates.entries()) candidate.spearman = spearman(predicted[i]!, wanted);
    // Among equals the greatest penalty wins: candidates are in descending order of it.
    chosen = candidates.reduce((best, candidate) => (candidate.spearman! > best.spearman! ? candidate : best));
  }
  const [model] = fitAll(blocks, targets, all, [chosen], tolerance);
  return { ...model!, chosen, candidates };
}

/** The model's prediction for each row. */
export function predictRidge(model: LinearModel, blocks: FeatureBlocks): Float64Array {
  const rows = blocks.ngrams?.rows ?? rowCount(blocks);
  return predictRows(
    model,
    blocks,
    Uint32Array.from({ length: rows }, (_, i) => i),
  );
}

/** The part of a model that predicts: all but how the penalty was chosen. */
export type LinearModel = Pick<RidgeModel, 'intercept' | 'ngrams' | 'dense'>;

function predictRows(
  { intercept, ngrams, dense }: LinearModel,
  blocks: FeatureBlocks,
  rows: Uint32Array,
): Float64Array {
  const { starts, indices, values } = blocks.ngrams ?? ({} as SparseRows);
  return Float64Array.from(rows, (row) => {
    let prediction = intercept;
    if (ngrams)
      for (let at = starts[row]!; at < starts[row + 1]!; at++) prediction += values[at]! * ngrams[indices[at]!]!;
    for (const block of blocks.dense ?? []) prediction += dot(block, row, dense[block.name]!, 0);
    return prediction;
  });
}

/** The model of every candidate: one run of the solver for each set of relative penalties. */
function fitAll(
  blocks: FeatureBlocks,
  targets: ArrayLike<number>,
  rows: Uint32Array,
  candidates: readonly Candidate[],
  tolerance: number,
): LinearModel[] {
  const values = Array.from(rows, (row) => targets[row]!);
  const { mean: centre, std } = standardise(values);
  const z = Float64Array.from(values, (value) => (std > 0 ? (value - centre) / std : 0));
  return solve(blocks, z, rows, candidates, tolerance).map(({ intercept, ngrams, dense }) => ({
    intercept: centre + std * intercept,
    ngrams: ngrams?.map((weight) => std * weight),
    dense: Object.fromEntries(Object.entries(dense).map(([name, w]) => [name, w.map((weight) => std * weight)])),
  }));
}

/** Models of standardised targets. */
function solve(
  blocks: FeatureBlocks,
  z: Float64Array,
  rows: Uint32Array,
  candidates: readonly Candidate[],
  tolerance: number,
): LinearModel[] {
  const models = new Map<Candidate, LinearModel>();
  const keyOf = ({ relativePenalties }: Candidate) => JSON.stringify(relativePenalties);
  for (const key of new Set(candidates.map(keyOf))) {
    const group = candidates.filter((candidate) => keyOf(candidate) === key);
    const design = new Design(blocks, rows, group[0]!.relativePenalties);
    const { solutions } = solveShifted(
      (p, result) => design.gramTimes(p, result),
      design.transposeTimes(z),
      group.map(({ penalty }) => penalty),
      { tolerance, maxIterations: MOST_ITERATIONS },
    );
    for (const [i, candidate] of group.entries())
      models.set(candidate, unscaled(design, blocks, solutions[i]!, mean(z)));
  }
  return candidates.map((candidate) => models.get(candidate)!);
}

/** A solution for the design's columns as weights of the features themselves. */
function unscaled(
  { means, scales }: Design,
  blocks: FeatureBlocks,
  solution: Float64Array,
  centre: number,
): LinearModel {
  const weights = solution.map((weight, column) => weight * scales[column]!);
  const intercept = weights.reduce((sum, weight, column) => sum - weight * means[column]!, centre);
  let first = blocks.ngrams?.columns ?? 0;
  const dense: Record<string, Float64Array> = {};
  for (const { name, columns } of blocks.dense ?? []) {
    dense[name] = weights.slice(first, first + columns);
    first += columns;
  }
  return { intercept, ngrams: blocks.ngrams && weights.slice(0, blocks.ngrams.columns), dense };
}

/** Every combination, those of the greatest penalty first. */
function candidatesOf({ penalties, relativePenalties = {} }: RidgeOptions): Candidate[] {
  let combinations: Record<string, number>[] = [{}];
  for (const [name, values] of Object.entries(relativePenalties))
    combinations = combinations.flatMap((combination) => values.map((value) => ({ ...combination, [name]: value })));
  for (const value of [penalties, ...Object.values(relativePenalties)].flat())
    if (!(value > 0 && Number.isFinite(value)))
      throw new RangeError(`a penalty must be a positive number, not ${value}`);
  if (penalties.length === 0 || combinations.length === 0) throw new RangeError('ridge regression needs a penalty');
  return penalties
    .toSorted((a, b) => b - a)
    .flatMap((penalty) => combinations.map((combination) => ({ penalty, relativePenalties: combination })));
}

function checkFinite({ ngrams, dense = [] }: FeatureBlocks, targets: ArrayLike<number>): void {
  const n = targets.length;
  if (ngrams && ngrams.rows !== n) throw new RangeError(`${ngrams.rows} rows of n-grams for ${n} labels`);
  for (let i = 0; i < n; i++)
    if (!Number.isFinite(targets[i]!)) throw new RunError(`label ${i} is ${targets[i]}: a finite number is needed.`);
  for (const { name, columns, values } of dense) {
    if (values.length !== n * columns) throw new RangeError(`${name}: ${values.length} values for ${n} x ${columns}`);
    const at = values.findIndex((value) => !Number.isFinite(value));
    if (at >= 0)
      throw new RunError(`feature ${name}, row ${Math.floor(at / columns)}: ${values[at]} is not a finite number.`);
  }
}

function rowCount({ dense = [] }: FeatureBlocks): number {
  const [block] = dense;
  return block ? block.values.length / block.columns : 0;
}
