import { resolve } from 'node:path';
import { lastTokens, loadPassages } from '../../core/corpus/passages.ts';
import { ConfigError, InputError } from '../../core/errors.ts';
import {
  type EncodedTask,
  encodeTask,
  meanScore,
  parseTask,
  type RequestResult,
  scoreTask,
  type TaskScore,
} from '../../core/evaluation/index.ts';
import { NotFoundError, splitUri, storeOpener } from '../../core/storage/index.ts';
import { loadTokenizer, type Tokenizer } from '../../core/tokenizer/index.ts';
import { loadModel, type Model } from '../../engine/checkpoint.ts';
import { LanguageModel } from '../../engine/language-model.ts';
import { logLikelihoods } from '../../engine/log-likelihood.ts';
import { PassageSet } from '../../engine/passage-set.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { taskTable } from '../../report/task-table.ts';
import { wholeNumber } from './prepare.ts';
import { createProgressView } from './progress-view.ts';

interface Options {
  task: string[];
  target?: string;
  delimiter?: string;
  tokenizer?: string;
  limit?: string;
  batch?: string;
  samples?: string;
  json?: boolean;
}

/** The mean loss of a file's passages, in nats per token. */
interface PassageLosses {
  task: string;
  passages: number;
  /** The mean over all target tokens. */
  loss: number;
  /** The mean over passages, as a run's reference loss. */
  passageLoss: number;
}

/** What is measured of one file. */
interface Work {
  file: string;
  /** How a zero-shot task, or a text's bits per byte, is scored. */
  task?: EncodedTask;
  /** Passages whose loss is measured. */
  passages?: PassageSet;
}

/**
 * `mates evaluate CHECKPOINT --task FILE..`: zero-shot tasks by the conventions of lm-evaluation-harness, and losses of
 * `{"text"}` files. With `--target` every file is passages, as a run's reference set is.
 */
export async function evaluate(checkpoint: string, options: Options): Promise<void> {
  const target = options.target;
  if (target !== undefined && target !== 'passage' && target !== 'last-word')
    throw new ConfigError(`--target ${target}: expected passage or last-word.`);
  const number = (flag: 'limit' | 'batch') => {
    const value = options[flag];
    return value === undefined ? undefined : wholeNumber(`--${flag}`, value, 1);
  };
  const [limit, rowsPerBatch] = [number('limit'), number('batch')];
  const open = storeOpener();
  const loaded = await loadModel(open(checkpoint), '');
  const tokenizer = await openTokenizer(open, checkpoint, loaded, options.tokenizer);
  const model = new LanguageModel(await createRuntime('onnx', { threads: 0 }), loaded.shape);
  const { parameters, contextLength } = loaded;

  /** Everything is read before anything is measured: a bad line in the last file costs no hour. */
  const works: Work[] = [];
  for (const file of options.task) {
    const bytes = await readFile(open, file, 'expected a JSONL file');
    const work: Work = { file };
    if (target === undefined) {
      const delimiter = options.delimiter?.replaceAll('\\n', '\n');
      work.task = encodeTask(parseTask(bytes, file, { limit, delimiter }), tokenizer, contextLength);
      warnOfCuts(file, work.task.truncated, work.task.requests.length, 'contexts', contextLength);
    }
    if (target !== undefined || work.task?.layout === 'text') {
      const all = limit ?? Number.MAX_SAFE_INTEGER;
      const whole = loadPassages(bytes, file, all, target ?? 'passage', tokenizer, Number.MAX_SAFE_INTEGER);
      const cut = whole.filter(({ tokens }) => tokens.length > contextLength).length;
      warnOfCuts(file, cut, whole.length, 'passages', contextLength);
      work.passages = new PassageSet(
        model,
        whole.map((passage) => lastTokens(passage, contextLength)),
      );
    }
    works.push(work);
  }

  const view = createProgressView();
  const scores: TaskScore[] = [];
  const results: ({ file: string } & Partial<PassageLosses> & Partial<TaskScore>)[] = [];
  const samples: string[] = [];
  try {
    for (const { file, task, passages } of works) {
      const losses = passages && { task: file, ...(await passageLosses(passages, parameters)) };
      let score: TaskScore | undefined;
      if (task) {
        const total = task.requests.length;
        const onProgress = (done: number) => view.update(file, { step: task.name, done, total, unit: 'requests' });
        const found = await logLikelihoods(model, parameters, task.requests, { rowsPerBatch, onProgress });
        score = scoreTask(task, found);
        if (options.samples) samples.push(...sampleLines(task, found));
        scores.push(score);
      }
      results.push({ file, ...losses, ...score });
    }
  } finally {
    view.close();
  }
  if (options.samples) {
    const { folder, name } = splitUri(options.samples);
    await open(folder).put(name, samples.join(''));
  }
  const mean = meanScore(scores);
  if (options.json) {
    const loss = results[0]!.loss;
    console.log(JSON.stringify({ checkpoint: resolve(checkpoint), results, mean, loss }));
    return;
  }
  for (const { file, loss, passageLoss, passages } of results)
    if (passageLoss !== undefined)
      console.log(
        `${file}: ${loss!.toFixed(4)} nats per token, ${passageLoss.toFixed(4)} as a mean of ${passages} passages`,
      );
  if (scores.length) console.log(taskTable(scores, { color: process.stdout.isTTY ?? false }));
}

async function passageLosses(set: PassageSet, parameters: Model['parameters']): Promise<Omit<PassageLosses, 'task'>> {
  const { perToken, perPassage } = await set.losses(parameters);
  return { passages: set.passages, loss: perToken, passageLoss: perPassage };
}

/** One JSON line for each likelihood that was measured. */
function sampleLines(task: EncodedTask, results: readonly RequestResult[]): string[] {
  return task.requests.map(({ item, option, tokens, firstTarget }, i) => {
    const { line, gold } = task.items[item]!;
    const { logLikelihood, greedy } = results[i]!;
    const targets = tokens.length - firstTarget;
    return `${JSON.stringify({ task: task.name, line, option, gold, logLikelihood, greedy, targets })}\n`;
  });
}

function warnOfCuts(file: string, cut: number, of: number, what: string, contextLength: number): void {
  if (cut > 0)
    process.stderr.write(
      `${file}: ${cut} of ${of} ${what} are longer than the model's ${contextLength} tokens; only their ends count.\n`,
    );
}

type Open = ReturnType<typeof storeOpener>;

async function openTokenizer(open: Open, checkpoint: string, { shape }: Model, given?: string): Promise<Tokenizer> {
  const path = given ?? `${checkpoint}/tokenizer.json`;
  const tokenizer = loadTokenizer(await readFile(open, path, 'name one with --tokenizer'), path);
  if (tokenizer.vocabularySize <= shape.vocabularySize) return tokenizer;
  throw new ConfigError(
    `${path}: ${tokenizer.vocabularySize} ids do not fit the model's ${shape.vocabularySize}; it is another model's tokenizer.`,
  );
}

async function readFile(open: Open, path: string, remedy: string): Promise<Uint8Array> {
  const { folder, name } = splitUri(path);
  try {
    return await open(folder).get(name);
  } catch (error) {
    if (error instanceof NotFoundError) throw new InputError(`${path}: no such file; ${remedy}.`);
    throw error;
  }
}
