/** Which of the flags of `mates select` a method goes by. */
import { ConfigError } from '../../core/errors.ts';
import { type Method, methodTraits } from '../../core/selection/methods.ts';
import type { Settings } from './settings.ts';

/** Those by which one selection for a given checkpoint makes sense. */
export const SELECT_METHODS = ['influence', 'hard-top-k', 'oracle', 'dsir', 'classifier', 'perplexity'] as const;

/**
 * A flag without effect lets a user think that it had one.
 *
 * @param given settings that were on the command line, in place of their defaults.
 * @param flags of the settings.
 * @throws ConfigError that names the first flag which the method does not use, and what does.
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
      `${flags[name]}: --method ${method} does not use it: leave it out, or choose what does (${users}${beside}).`,
    );
  }
}

function uses(method: Method, name: keyof Settings, classifierWeight: number): boolean {
  const { score, hard } = methodTraits(method);
  switch (name) {
    case 'labels':
    case 'features':
      return score === 'influence-model';
    case 'learningRate':
    case 'target':
      return score === 'influence-model' || score === 'probe';
    case 'temperature':
      // DSIR's log-weights compete as they are, unless something is added to them.
      return !hard && (score !== 'dsir' || classifierWeight > 0);
    case 'passages':
      return score !== 'loss' || classifierWeight > 0;
    case 'classifierWeight':
      return score !== 'classifier';
    default:
      return true;
  }
}
