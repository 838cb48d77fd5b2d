/** Which flags of `mates select` a method uses. */
import { ConfigError } from '../../core/errors.ts';
import { type Method, methodTraits } from '../../core/selection/methods.ts';
import type { Settings } from './settings.ts';

/** The methods that make sense for a single selection for a given checkpoint. */
export const SELECT_METHODS = ['influence', 'hard-top-k', 'oracle', 'dsir', 'classifier', 'perplexity'] as const;

/**
 * Refuses flags that the method does not use: a user would think that they had an effect.
 *
 * @param given settings that were given on the command line.
 * @param flags the flag of each setting.
 * @throws ConfigError that names the first flag that the method does not use, and the methods that do.
 */
export function refuseUnusedFlags(
  { method, classifierWeight }: Pick<Settings, 'method' | 'classifierWeight'>,
  given: readonly string[],
  flags: Record<keyof Settings, string>,
): void {
  for (const name of Object.keys(flags) as (keyof Settings)[]) {
    if (!given.includes(name) || uses(method, name, classifierWeight)) continue;
    const users = SELECT_METHODS.filter((one) => uses(one, name, classifierWeight)).join(', ');
    const beside = uses(method, name, 1) ? `, and ${method} with a --classifier-weight` : '';
    throw new ConfigError(
      `${flags[name]}: --method ${method} does not use it: leave it out, or choose one that does (${users}${beside}).`,
    );
  }
}

/** Whether a method, with this weight of the classifier beside it, depends on a setting. */
export function uses(method: Method, name: keyof Settings, classifierWeight: number): boolean {
  const { score, hard } = methodTraits(method);
  switch (name) {
    case 'labels':
    case 'features':
      return score === 'influence-model';
    case 'learningRate':
    case 'target':
      return score === 'influence-model' || score === 'probe';
    case 'temperature':
      // DSIR's log-weights are used as they are, unless another score is added to them.
      return !hard && (score !== 'dsir' || classifierWeight > 0);
    case 'passages':
      return score !== 'loss' || classifierWeight > 0;
    case 'classifierWeight':
      return score !== 'classifier';
    default:
      return true;
  }
}
