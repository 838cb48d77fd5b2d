/**
 * The run that every test starts: two stages of the end-to-end tests' tiny configuration, some forty seconds of it. Its
 * probe is prepared by a job, so that each state of the machine is entered.
 */
import { MINI_CORPUS, TINY } from '../end-to-end/support.ts';

/** Where the corpus is: a folder of this machine, or a URI of the lake. */
export function tinyRun(corpus: string = MINI_CORPUS): typeof TINY {
  const config = structuredClone(TINY);
  const moved = (path: string) => path.replace(MINI_CORPUS, corpus);
  config.corpus.input = config.corpus.input.map(moved);
  config.reference.input = moved(config.reference.input);
  config.heldOut.input = moved(config.heldOut.input);
  config.pretrain.stages = 2;
  // Often enough for each job that keeps resumable checkpoints to write some and delete those before.
  Object.assign(config.pretrain, { checkpointEverySteps: 2 });
  Object.assign(config.probe, { checkpoint: 'decayed' });
  return config;
}
