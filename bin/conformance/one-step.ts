/** One step of a trainer, compared with the same step of our own engine. */
import { openTrainer } from '../../containers/model.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { openCorpus } from '../../core/corpus/corpus.ts';
import type { TrainingMetrics } from '../../core/formats.ts';
import { armLayout, CORPUS_FOLDER } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { getJson, type StoreOpener } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { type Checkpoint, loadCheckpoint } from '../../engine/files/checkpoint.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import type { Scene } from './scene.ts';

/**
 * Stages of one step, whose rows are then known: all that are selected. Clipping and weight decay are strong enough to be seen,
 * and so are the weights for attention to depend on positions from the start.
 */
export const ONE_STEP = {
  pretrain: { stepsPerStage: 1, clipNorm: 0.5, weightDecay: 1 },
  model: { initializerStd: 0.3 },
};

/** Relative differences. Products in bfloat16 change the gradient by 0.6 %, another base of the rotary embedding by 21 %, other rows by 98 %. */
const GRADIENT_TOLERANCE = 0.05;
const LOSS_TOLERANCE = 0.01;
/** What follows from a trainer's own moments is float32 arithmetic. */
const ARITHMETIC_TOLERANCE = 0.005;

/**
 * How the step of the main arm's stage 1 differs from AdamW's on that stage's rows, from the trainer's own checkpoint of stage 0;
 * undefined if it does not.
 *
 * @throws InputError when a checkpoint or the selection cannot be read.
 */
export async function stepDifference(open: StoreOpener, { store, config }: Scene): Promise<string | undefined> {
  const [first, second] = [armLayout(0, 'main'), armLayout(1, 'main')];
  const corpus = await openCorpus(open(`${store.uri}/${CORPUS_FOLDER}`));
  const { row } = await readParquet({ store, key: second.selection }, { row: 'INT64' });
  const [before, after] = [
    await loadCheckpoint(store, first.checkpoint),
    await loadCheckpoint(store, second.checkpoint),
  ];
  const { loss } = await getJson<TrainingMetrics>(store, second.metrics);
  const rate = trunkLearningRate(config.pretrain, before.optimizer.step);

  const expected = { parameters: before.parameters.clone(), optimizer: optimizerOf(before, config) };
  const trainer = await openTrainer(config, corpus.index, expected);
  const own = await trainer.step(await corpus.tokenRows(row), corpus.index.sequenceLength, rate);
  trainer.collect();
  await trainer.close();

  if (!(Math.abs(loss[0]! - own.loss) <= LOSS_TOLERANCE * own.loss))
    return `its loss is ${loss[0]}, that of the ${row.length} selected rows is ${own.loss}`;
  return gradientDifference(before, after, expected.optimizer) ?? updateDifference(before, after, config, rate);
}

/** An optimizer that goes on from a checkpoint's moments, which stay as they are. */
function optimizerOf({ parameters, optimizer: { m, v, step } }: Checkpoint, { pretrain }: RunConfig): AdamW {
  return new AdamW(parameters.flat.length, pretrain, { m: m.slice(), v: v.slice(), step });
}

/** The clipped gradient of the step between two checkpoints, by their first moments. */
function gradientOf(before: Checkpoint, { m, options: { beta1 } }: AdamW): Float32Array {
  return m.map((value, i) => (value - beta1 * before.optimizer.m[i]!) / (1 - beta1));
}

function gradientDifference(before: Checkpoint, { optimizer }: Checkpoint, expected: AdamW): string | undefined {
  const { beta1 } = expected.options;
  const wanted = gradientOf(before, expected);
  const first = wanted.map((g) => (1 - beta1) * g); // exp_avg after a step from moments of zero
  if (relative(optimizer.m, first) <= GRADIENT_TOLERANCE)
    return 'exp_avg is that of a first step: it went on from the weights alone, not from the moments before';
  const difference = relative(gradientOf(before, optimizer), wanted);
  if (difference <= GRADIENT_TOLERANCE) return undefined;
  return `the clipped gradient, (exp_avg - beta1 x exp_avg before) / (1 - beta1), differs by ${percent(difference)} from that of the selected rows`;
}

/** What does not follow from the trainer's own gradient as AdamW has it. */
function updateDifference(before: Checkpoint, after: Checkpoint, config: RunConfig, rate: number): string | undefined {
  const [optimizer, parameters] = [optimizerOf(before, config), before.parameters.clone()];
  optimizer.apply(parameters.flat, gradientOf(before, after.optimizer), rate);
  const ofSquares = relative(after.optimizer.v, optimizer.v);
  if (!(ofSquares <= ARITHMETIC_TOLERANCE))
    return `exp_avg_sq differs by ${percent(ofSquares)} from what follows from the gradient in exp_avg, beta2 and exp_avg_sq before`;
  for (const { name } of parameters.specs) {
    const was = before.parameters.view(name);
    const changeOf = (set: ParameterSet) => set.view(name).map((w, i) => w - was[i]!);
    const difference = relative(changeOf(after.parameters), changeOf(parameters));
    if (!(difference <= ARITHMETIC_TOLERANCE))
      return `${name}: its change differs by ${percent(difference)} from AdamW's at the rate ${rate} and the weight decay ${config.pretrain.weightDecay}`;
  }
  return undefined;
}

/** The Euclidean norm of the difference, as a share of that of `wanted`. */
function relative(found: Float32Array, wanted: Float32Array): number {
  let [difference, size] = [0, 0];
  for (const [i, value] of wanted.entries()) {
    difference += (found[i]! - value) ** 2;
    size += value ** 2;
  }
  return size === 0 ? difference : Math.sqrt(difference / size);
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
