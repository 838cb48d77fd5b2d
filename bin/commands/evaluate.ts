import { resolve } from 'node:path';
import { lastTokens, loadPassages } from '../../core/corpus/passages.ts';
import { ConfigError, InputError } from '../../core/errors.ts';
import { NotFoundError, readPieces, splitUri, storeOpener } from '../../core/storage/index.ts';
import { loadTokenizer } from '../../core/tokenizer/index.ts';
import { loadModel } from '../../engine/checkpoint.ts';
import { LanguageModel } from '../../engine/language-model.ts';
import { PassageSet } from '../../engine/passage-set.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { wholeNumber } from './prepare.ts';

interface Options {
  task: string[];
  target: string;
  tokenizer?: string;
  limit?: string;
  json?: boolean;
}

/**
 * `mates evaluate CHECKPOINT --task FILE..`: the loss of each file in nats per token, as the mean over its tokens (`loss`)
 * and, as a run's reference loss, as the mean over its passages (`passageLoss`).
 */
export async function evaluate(checkpoint: string, options: Options): Promise<void> {
  const { target } = options;
  if (target !== 'passage' && target !== 'last-word')
    throw new ConfigError(`--target ${target}: expected passage or last-word.`);
  const limit = options.limit === undefined ? Number.MAX_SAFE_INTEGER : wholeNumber('--limit', options.limit, 1);
  const open = storeOpener();
  const store = open(checkpoint);
  const { shape, parameters, contextLength } = await loadModel(store, '');
  const tokenizerPath = options.tokenizer ?? `${checkpoint}/tokenizer.json`;
  const tokenizer = loadTokenizer(await readFile(open, tokenizerPath, 'name one with --tokenizer'), tokenizerPath);
  if (tokenizer.vocabularySize > shape.vocabularySize)
    throw new ConfigError(
      `${tokenizerPath}: ${tokenizer.vocabularySize} ids do not fit the model's ${shape.vocabularySize}; it is another model's tokenizer.`,
    );
  const model = new LanguageModel(await createRuntime('onnx', { threads: 0 }), shape);
  const results: { task: string; passages: number; loss: number; passageLoss: number }[] = [];
  for (const task of options.task) {
    const { folder, name } = splitUri(task);
    const pieces = readPieces(open(folder), name);
    const whole = await explained(task, 'expected a JSONL file', () =>
      loadPassages(pieces, task, limit, target, tokenizer, Number.MAX_SAFE_INTEGER),
    );
    const passages = whole.map((passage) => lastTokens(passage, contextLength));
    const cut = whole.filter(({ tokens }) => tokens.length > contextLength).length;
    if (cut > 0)
      process.stderr.write(
        `${task}: ${cut} of ${whole.length} passages are longer than the model's ${contextLength} tokens; only their ends count.\n`,
      );
    const set = new PassageSet(model, passages);
    const { perToken, perPassage } = await set.losses(parameters);
    results.push({ task, passages: set.passages, loss: perToken, passageLoss: perPassage });
    if (!options.json)
      console.log(
        `${task}: ${perToken.toFixed(4)} nats per token, ${perPassage.toFixed(4)} as a mean of ${set.passages} passages`,
      );
  }
  if (options.json) console.log(JSON.stringify({ checkpoint: resolve(checkpoint), results, loss: results[0]!.loss }));
}

async function readFile(open: ReturnType<typeof storeOpener>, path: string, remedy: string): Promise<Uint8Array> {
  const { folder, name } = splitUri(path);
  return explained(path, remedy, () => open(folder).get(name));
}

/** @throws InputError when the file is not there. */
async function explained<T>(path: string, remedy: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof NotFoundError) throw new InputError(`${path}: no such file; ${remedy}.`);
    throw error;
  }
}
