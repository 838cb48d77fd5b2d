import { ConfigError, InputError } from '../../core/errors.ts';
import type { Arm } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { armLayout, TOKENIZER_FILE, TRAINING_FILE } from '../../core/layout.ts';
import { corpusStore, openRun, openRunCorpus, type Run } from '../../core/run/open-run.ts';
import { absolute, copyObject, hashObject, type Store, storeOpener } from '../../core/storage/index.ts';
import { hasCheckpoint, requireIntactFiles } from '../../engine/files/checkpoint.ts';
import { CONFIG_FILE, WEIGHTS_FILE } from '../../engine/files/hugging-face.ts';
import { runOrCorpus } from '../other-folders.ts';

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
  const { control, pretrain } = run.record.config;
  if (arm === 'control' && control === 'none')
    throw new ConfigError('--arm control: the run has none, as its configuration has control "none"; leave --arm out.');
  const last = pretrain.stages - 1;
  if (options.stage !== undefined && options.stage > last)
    throw new InputError(`${runPath}: there is no stage ${options.stage}; the run's last is ${last}.`);
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
  const tokenizer: ExportedFile[] = [
    { from: corpusStore(run), key: TOKENIZER_FILE, name: TOKENIZER_FILE },
    { text: await tokenizerConfig(run), name: 'tokenizer_config.json' },
  ];
  const model = (from: Store, folder: string) =>
    [CONFIG_FILE, WEIGHTS_FILE].map((name) => ({ from, key: `${folder}/${name}`, name }));
  if (options.decayed) {
    for (const file of tokenizer) await refuseOther(file, target, options.out);
    // Each checkpoint has its own place, so that no branch continues from another's.
    const { sha256: hash } = await hashObject(run.store, `${checkpoint}/${TRAINING_FILE}`);
    const branch = `.decay-branch-${hash.slice(0, 16)}`;
    const { writeDecayedModel } = await import('../decayed-model.ts'); // loads the engine
    await writeDecayedModel(run, { stage, arm }, target, branch);
    await writeAll([...model(target, branch), ...tokenizer], target, options.out);
    for (const { key } of model(target, branch)) await target.delete(key);
  } else {
    await requireIntactFiles(run.store, checkpoint, [CONFIG_FILE, WEIGHTS_FILE]);
    await writeAll([...model(run.store, checkpoint), ...tokenizer], target, options.out);
  }
  console.log(
    options.json
      ? JSON.stringify({ out: absolute(options.out), stage, arm, decayed: Boolean(options.decayed) })
      : `${options.out}: the ${arm} model after stage ${stage}${options.decayed ? ' and its decay branch' : ''}.`,
  );
}

/**
 * Without this file, Transformers 5 takes every tokenizer of a GPT-NeoX model for Pythia's: it cuts text into words as
 * that one does, whatever tokenizer.json says, and adds `<|endoftext|>` and a padding token, whose ids the model lacks.
 */
async function tokenizerConfig(run: Run): Promise<string> {
  const corpus = await openRunCorpus(run);
  const tokenizer = await corpus.tokenizer();
  const end = tokenizer.decode([tokenizer.endOfText]);
  const config = {
    bos_token: end,
    clean_up_tokenization_spaces: false,
    eos_token: end,
    model_max_length: corpus.index.sequenceLength,
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** A file of the folder that is written, and what is in it: that of another, or a text. */
type ExportedFile = { name: string } & ({ from: Store; key: string } | { text: string });

async function writeAll(files: ExportedFile[], target: Store, out: string): Promise<void> {
  for (const file of files) await refuseOther(file, target, out);
  for (const file of files)
    if ('text' in file) await target.put(file.name, file.text);
    else await copyObject(file.from, file.key, target, file.name);
}

/** Never replaces another model; the same export may be repeated, for example after an interruption. */
async function refuseOther(file: ExportedFile, target: Store, out: string): Promise<void> {
  const { name } = file;
  if ((await target.size(name)) === undefined) return;
  const { sha256: found } = await hashObject(target, name);
  const expected = 'text' in file ? sha256(file.text) : (await hashObject(file.from, file.key)).sha256;
  if (found !== expected)
    throw new ConfigError(`--out ${out}: another model's ${name} is there; name another folder, or delete that one.`);
}
