import type { RunConfig } from '../../core/config/schema.ts';
import { RunError } from '../../core/errors.ts';
import { spearman } from '../../core/metrics/index.ts';
import { endsOf } from '../../engine/decoder/decoder.ts';
import type { LanguageModel } from '../../engine/decoder/language-model.ts';
import type { PassageSet } from '../../engine/decoder/passage-set.ts';
import type { Checkpoint } from '../../engine/files/checkpoint.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { DifferenceProbe, type ProbeCopies } from './difference-probe.ts';

/**
 * The first-order part of the oracle, from two forward passes. Let G be the gradient of the reference loss and P the
 * diagonal AdamW preconditioner 1 / (sqrt(v_hat) + epsilon). The gradient of x has the weight
 * (1 - beta1) / (1 - beta1^t) in the mean that step t uses, so x changes the reference loss by about
 * `-lr (1 - beta1) / (1 - beta1^t) <P G, grad L(x)>` beyond what the step does without it. The inner product is a
 * central difference of L(x) along P G. A document thus needs no backward pass, no optimizer state and no forward pass
 * over the references.
 *
 * The direction leaves out an input embedding that is not the head too, and the clipping of the gradient is left out too. This works in float32
 * only: in half precision the difference drowns in rounding.
 */
export async function directionalCopies(
  { parameters, optimizer, shape }: Checkpoint,
  reference: PassageSet,
  config: RunConfig,
  learningRate: number,
): Promise<ProbeCopies> {
  const direction = parameters.sibling();
  await reference.gradient(parameters, direction);
  const { beta1, beta2, epsilon } = config.pretrain;
  const correction = 1 - beta2 ** Math.max(1, optimizer.step);
  for (let i = 0; i < direction.flat.length; i++)
    direction.flat[i] = direction.flat[i]! / (Math.sqrt(optimizer.v[i]! / correction) + epsilon);
  // The embedding's rows for rare tokens hold nearly all of |P G|^2 and would set the step for everything else. It stays
  // where it is the output head too: it then holds half, and without it labels agree less with the oracle.
  if (!shape.tiedEmbeddings) direction.view(endsOf(shape).embedding).fill(0);
  const step = (config.probe.directional.relativeStep * norm(parameters.flat)) / norm(direction.flat);
  const moved = (by: number) => {
    const copy = parameters.clone();
    for (let i = 0; i < copy.flat.length; i++) copy.flat[i] = copy.flat[i]! + by * direction.flat[i]!;
    return copy;
  };
  const shareOfMean = (1 - beta1) / (1 - beta1 ** (optimizer.step + 1));
  // Turns the difference of the two losses into a change of the reference loss.
  const scale = (-learningRate * shareOfMean) / (2 * step);
  return { first: moved(step), second: moved(-step), scale };
}

/**
 * If float32 resolves the difference, the two agree to 0.99; if it does not, the labels are noise that looks like
 * labels.
 */
const LEAST_AGREEMENT = 0.9;

/**
 * Spearman's correlation of the central differences with what they approximate: the product of the copies' difference
 * with each row's own gradient. Too small a step drowns in rounding, and too large a step leaves the first-order
 * regime.
 *
 * @param tokens rows of `length` tokens, one after the other.
 * @throws RunError when it is less than 0.9.
 */
export async function checkFirstOrder(
  model: LanguageModel,
  parameters: ParameterSet,
  copies: ProbeCopies,
  tokens: Int32Array,
  length: number,
): Promise<number> {
  const differences = await new DifferenceProbe(model, copies).influences(tokens, length);
  const gradient = parameters.sibling();
  const products: number[] = [];
  for (let at = 0; at < tokens.length; at += length) {
    const row = tokens.subarray(at, at + length);
    await model.lossAndGradient(parameters, { batch: 1, length, tokens: row }, gradient);
    products.push(copies.scale * alongDifference(gradient.flat, copies));
  }
  const measured = differences.map(({ influence }) => influence);
  const agreement = spearman(measured, products);
  if (!(agreement >= LEAST_AGREEMENT))
    throw new RunError(
      `Directional influences of ${products.length} rows have a rank correlation of ${agreement.toFixed(2)} with the products ` +
        `of gradients that they approximate, and ${LEAST_AGREEMENT} is the least that is worth selecting by. Change ` +
        'probe.directional.relativeStep (0.001 to 0.01 does for most models), or choose another probe.method.',
    );
  return agreement;
}

/** The inner product of a gradient with the first copy less the second. */
function alongDifference(gradient: Float32Array, { first, second }: ProbeCopies): number {
  let sum = 0;
  for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * (first.flat[i]! - second.flat[i]!);
  return sum;
}

function norm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
}
