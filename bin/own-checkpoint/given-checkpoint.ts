/** The checkpoint that rows are selected for. */
import type { RunConfig } from '../../core/config/schema.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import { ConfigError, InputError } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import { armLayout, TOKENIZER_FILE } from '../../core/layout.ts';
import type { Run } from '../../core/run/open-run.ts';
import { absolute, getJson, type Store, type StoreOpener } from '../../core/storage/index.ts';
import { endsOfTexts, otherEnd } from '../../core/tokenizer/named-tokens.ts';
import { sameIds } from '../../core/tokenizer/same-ids.ts';
import type { TokenizerJson } from '../../core/tokenizer/tokenizer-json.ts';
import { AdamW } from '../../engine/adamw.ts';
import { hasCheckpoint, loadModel, type Model, saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { CONFIG_FILE } from '../../engine/files/hugging-face.ts';
import { refuseRunAsModel } from '../other-folders.ts';
import { STAGE } from './plan.ts';
import { configOf, type Options, type Settings } from './settings.ts';

export interface GivenCheckpoint {
  model: Model;
  /** SHA-256 of its files. */
  hashes: Record<string, string>;
  config: RunConfig;
  /** Warnings about it, in sentences. */
  warnings: string[];
}

/** Reads the checkpoint, and checks that it belongs to the corpus. */
export async function readCheckpoint(
  open: StoreOpener,
  options: Options,
  settings: Settings,
  corpus: Corpus,
): Promise<GivenCheckpoint> {
  const source = open(absolute(options.checkpoint));
  await refuseRunAsModel(source, options.checkpoint);
  const warnings = await requireTokenizer(source, options, corpus);
  const hashes: Record<string, string> = {};
  const model = await loadModel(source, '', (file, hash) => {
    hashes[file] = hash;
  });
  requireFinite(model, options.checkpoint);
  hashes[CONFIG_FILE] = sha256(await source.get(CONFIG_FILE));
  return { model, hashes, warnings, config: configOf(options, settings, corpus.index, model) };
}

/** @returns warnings if the checkpoint has no tokenizer to compare with, or ends documents by another token. */
async function requireTokenizer(checkpoint: Store, options: Options, { store, index }: Corpus): Promise<string[]> {
  const has = (await checkpoint.size(TOKENIZER_FILE)) !== undefined;
  if (!has)
    return [
      `${options.checkpoint} has no tokenizer.json, so nothing shows that the corpus was prepared with its tokenizer. If it was not, the selection ` +
        'is no better than chance: save the tokenizer there (in Transformers, tokenizer.save_pretrained).',
    ];
  const isSame = sha256(await checkpoint.get(TOKENIZER_FILE)) === index.tokenizer.sha256;
  const tokenizer = await getJson<TokenizerJson>(checkpoint, TOKENIZER_FILE);
  const ends = await endsOfTexts(checkpoint, tokenizer, index.tokenizer.endOfText);
  const flag = `--end-of-text '${ends.theirs}'`;
  if (!isSame && !sameIds(tokenizer, await getJson(store, index.tokenizer.key)))
    throw new ConfigError(
      `${options.corpus}: it was prepared with another tokenizer than the checkpoint's; prepare it with --tokenizer ${options.checkpoint}/tokenizer.json` +
        `${ends.theirs === undefined ? '' : ` ${flag}`}.`,
    );
  return otherEnd(ends, options.checkpoint, options.corpus, `prepare the corpus with ${flag}`);
}

/** @throws InputError for weights that are not finite numbers, which would give losses that are none. */
function requireFinite({ parameters }: Model, checkpoint: string): void {
  const broken = parameters.specs.find(({ name }) => !parameters.view(name).every(Number.isFinite));
  if (broken)
    throw new InputError(
      `${checkpoint}: ${broken.name} has values that are not finite: download or export the model again.`,
    );
}

/** Writes the checkpoint as that of a first stage, with an optimizer that has not taken a step. */
export async function importCheckpoint({ store, record }: Run, { index }: Corpus, model: Model): Promise<void> {
  const { checkpoint } = armLayout(STAGE - 1, 'main');
  if (await hasCheckpoint(store, checkpoint)) return;
  const { shape, parameters, contextLength } = model;
  const optimizer = AdamW.beside(parameters.flat, record.config.pretrain);
  const state = { step: 0, tokens: 0 };
  await saveCheckpoint(store, checkpoint, {
    shape,
    parameters,
    optimizer,
    state,
    contextLength,
    endOfText: index.tokenizer.endOfText,
  });
}
