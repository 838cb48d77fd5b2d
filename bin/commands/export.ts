import { ConfigError, InputError } from '../../core/errors.ts';
import type { Arm } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { corpusStore, openRun } from '../../core/run/open-run.ts';
import { copyObject, storeOpener } from '../../core/storage/index.ts';
import { hasCheckpoint } from '../../engine/files/checkpoint.ts';
import { runOrCorpus } from '../other-folders.ts';
import { absolute } from '../paths.ts';

interface Options {
  out: string;
  stage?: number;
  arm: string;
  json?: boolean;
}

/** `mates export RUN`: a stage's model as a directory that `transformers` reads. */
export async function exportModel(runPath: string, options: Options): Promise<void> {
  if (options.arm !== 'main' && options.arm !== 'control')
    throw new ConfigError(`--arm ${options.arm}: expected main or control.`);
  const arm: Arm = options.arm;
  const open = storeOpener();
  const run = await openRun(open, absolute(runPath));
  const last = run.record.config.pretrain.stages - 1;
  let stage = options.stage ?? last;
  if (options.stage === undefined)
    while (stage > 0 && !(await hasCheckpoint(run.store, armLayout(stage, arm).checkpoint))) stage--;
  const { checkpoint } = armLayout(stage, arm);
  if (!(await hasCheckpoint(run.store, checkpoint)))
    throw new InputError(
      `${runPath}: stage ${stage} has no finished ${arm} checkpoint; finish the run or name another --stage.`,
    );
  const target = open(options.out);
  const other = await runOrCorpus(target);
  if (other) throw new ConfigError(`--out ${options.out}: that is ${other.is}; name a folder of its own.`);
  for (const name of ['config.json', 'model.safetensors'])
    await copyObject(run.store, `${checkpoint}/${name}`, target, name);
  await copyObject(corpusStore(run), 'tokenizer.json', target, 'tokenizer.json');
  console.log(
    options.json
      ? JSON.stringify({ out: absolute(options.out), stage, arm })
      : `${options.out}: the ${arm} model after stage ${stage}.`,
  );
}
