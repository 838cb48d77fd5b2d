/** The files under /opt/ml that a SageMaker training job has instead of arguments. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const OPT_ML = '/opt/ml';

/**
 * The training job's hyperparameters named MATES_*, which serve as environment variables; none outside SageMaker.
 *
 * @throws SyntaxError when the file is not JSON.
 */
export function hyperparameters(folder = OPT_ML): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(join(folder, 'input/config/hyperparameters.json'), 'utf8');
  } catch {
    return {};
  }
  const all = Object.entries(JSON.parse(text) as Record<string, unknown>);
  return Object.fromEntries(
    all.filter(([name]) => name.startsWith('MATES_')).map(([name, value]) => [name, `${value}`]),
  );
}

/** Writes the message, up to 1,024 characters of it, to the file from which SageMaker takes the job's FailureReason. */
export function reportFailure(message: string, folder = OPT_ML): void {
  try {
    writeFileSync(join(folder, 'output/failure'), message.slice(0, 1024));
  } catch {
    // Not on SageMaker, or its folder is not this user's: the log has the message as well.
  }
}
