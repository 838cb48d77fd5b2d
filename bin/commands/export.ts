import { ConfigError, InputError } from '../../core/errors.ts';
import type { Arm } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { corpusStore, openRun } from '../../core/run/open-run.ts';
import { copyObject, hashObject, type Store, storeOpener } from '../../core/storage/index.ts';
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
  const files: ExportedFile[] = [
    { from: run.store, key: `${checkpoint}/config.json`, name: 'config.json' },
    { from: run.store, key: `${checkpoint}/model.safetensors`, name: 'model.safetensors' },
    { from: corpusStore(run), key: 'tokenizer.json', name: 'tokenizer.json' },
  ];
  for (const file of files) await refuseOther(file, target, options.out);
  for (const { from, key, name } of files) await copyObject(from, key, target, name);
  console.log(
    options.json
      ? JSON.stringify({ out: absolute(options.out), stage, arm })
      : `${options.out}: the ${arm} model after stage ${stage}.`,
  );
}

interface ExportedFile {
  from: Store;
  key: string;
  /** In the folder that is written. */
  name: string;
}

/** Another model is not replaced; the same export may be made again, as after an interruption. */
async function refuseOther({ from, key, name }: ExportedFile, target: Store, out: string): Promise<void> {
  const size = await target.size(name);
  if (size === undefined) return;
  const isSame =
    size === (await from.size(key)) && (await hashObject(target, name)).sha256 === (await hashObject(from, key)).sha256;
  if (!isSame)
    throw new ConfigError(`--out ${out}: another model's ${name} is there; name another folder, or delete that one.`);
}
