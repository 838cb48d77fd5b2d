import type { RunConfig } from '../../core/config/schema.ts';
import type { Checkpoint } from '../../engine/checkpoint.ts';
import type { PassageSet } from '../../engine/passage-set.ts';
import type { ProbeCopies } from './difference-probe.ts';

/** Rows of rare tokens hold nearly all of |P G|^2 and would set the step for everything else. */
const LEFT_OUT = 'gpt_neox.embed_in.weight';

/**
 * The first-order part of the oracle from two forward passes: with G the gradient of the reference loss and P the
 * diagonal AdamW preconditioner 1 / (sqrt(v_hat) + epsilon), one step on x changes the reference loss by about
 * `-lr * <P G, grad L(x)>`, and that product is a central difference of L(x) along P G. No backward pass a document, no
 * optimizer state, no reference forward.
 *
 * The input embedding is left out of the direction. Float32 only: in half precision the difference drowns.
 */
export async function directionalCopies(
  { parameters, optimizer }: Checkpoint,
  reference: PassageSet,
  config: RunConfig,
  learningRate: number,
): Promise<ProbeCopies> {
  const direction = parameters.sibling();
  await reference.gradient(parameters, direction);
  const { beta2, epsilon } = config.pretrain;
  const correction = 1 - beta2 ** Math.max(1, optimizer.step);
  for (let i = 0; i < direction.flat.length; i++)
    direction.flat[i] = direction.flat[i]! / (Math.sqrt(optimizer.v[i]! / correction) + epsilon);
  direction.view(LEFT_OUT).fill(0);
  const step = (config.probe.directional.relativeStep * norm(parameters.flat)) / norm(direction.flat);
  const moved = (by: number) => {
    const copy = parameters.clone();
    for (let i = 0; i < copy.flat.length; i++) copy.flat[i] = copy.flat[i]! + by * direction.flat[i]!;
    return copy;
  };
  // Turns the difference of the two losses into a change of the reference loss.
  const scale = -learningRate / (2 * step);
  return { first: moved(step), second: moved(-step), scale };
}

function norm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
}
