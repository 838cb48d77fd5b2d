import { ConfigError, InputError } from '../../core/errors.ts';
import type { Arm } from '../../core/formats.ts';
import { armLayout, TRAINING_FILE } from '../../core/layout.ts';
import { corpusStore, openRun } from '../../core/run/open-run.ts';
import { copyObject, hashObject, type Store, storeOpener } from '../../core/storage/index.ts';
import { hasCheckpoint } from '../../engine/files/checkpoint.ts';
import { CONFIG_FILE, WEIGHTS_FILE } from '../../engine/files/hugging-face.ts';
import { runOrCorpus } from '../other-folders.ts';
import { absolute } from '../paths.ts';

interface Options {
  out: string;
  stage?: number;
  arm: Arm;
  decayed?: boolean;
  json?: boolean;
}

/**
 * `mates export RUN`: writes a stage's model, or with `--decayed` the one at the end of its decay branch, as a
 * directory that `transformers` reads.
 */
export async function exportModel(runPath: string, options: Options): Promise<void> {
  const { arm } = options;
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
  if (other) throw new ConfigError(`--out ${options.out}: that is ${other.is}; name another folder.`);
  const tokenizer: ExportedFile = { from: corpusStore(run), key: 'tokenizer.json', name: 'tokenizer.json' };
  const model = (from: Store, folder: string): ExportedFile[] =>
    [CONFIG_FILE, WEIGHTS_FILE].map((name) => ({ from, key: `${folder}/${name}`, name }));
  if (options.decayed) {
    await refuseOther(tokenizer, target, options.out);
    // Each checkpoint has its own place, so that no branch continues from another's.
    const { sha256 } = await hashObject(run.store, `${checkpoint}/${TRAINING_FILE}`);
    const branch = `.decay-branch-${sha256.slice(0, 16)}`;
    const { writeDecayedModel } = await import('../decayed-model.ts'); // loads the engine
    await writeDecayedModel(run, { stage, arm }, target, branch);
    await copyAll([...model(target, branch), tokenizer], target, options.out);
    for (const { key } of model(target, branch)) await target.delete(key);
  } else await copyAll([...model(run.store, checkpoint), tokenizer], target, options.out);
  console.log(
    options.json
      ? JSON.stringify({ out: absolute(options.out), stage, arm, decayed: Boolean(options.decayed) })
      : `${options.out}: the ${arm} model after stage ${stage}${options.decayed ? ' and its decay branch' : ''}.`,
  );
}

interface ExportedFile {
  from: Store;
  key: string;
  /** Its name in the folder that is written. */
  name: string;
}

async function copyAll(files: ExportedFile[], target: Store, out: string): Promise<void> {
  for (const file of files) await refuseOther(file, target, out);
  for (const { from, key, name } of files) await copyObject(from, key, target, name);
}

/** Never replaces another model; the same export may be repeated, for example after an interruption. */
async function refuseOther({ from, key, name }: ExportedFile, target: Store, out: string): Promise<void> {
  const size = await target.size(name);
  if (size === undefined) return;
  const isSame =
    size === (await from.size(key)) && (await hashObject(target, name)).sha256 === (await hashObject(from, key)).sha256;
  if (!isSame)
    throw new ConfigError(`--out ${out}: another model's ${name} is there; name another folder, or delete that one.`);
}
