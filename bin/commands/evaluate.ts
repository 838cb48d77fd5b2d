import type { RunConfig } from '../../core/config/schema.ts';
import { loadPassages } from '../../core/corpus/passages.ts';
import { ConfigError } from '../../core/errors.ts';
import {
  type Beginning,
  type EncodedTask,
  encodeTask,
  meanScore,
  type PassageLosses,
  parseTask,
  type RequestResult,
  scoreTask,
  type TaskScore,
  taskName,
  textLosses,
} from '../../core/evaluation/index.ts';
import { counted, plural } from '../../core/plural.ts';
import { MODEL_FILES } from '../../core/run/inputs.ts';
import { absolute, readInput, type StoreOpener, splitUri, storeOpener } from '../../core/storage/index.ts';
import { loadTokenizer, type Tokenizer } from '../../core/tokenizer/index.ts';
import { textOf, tokenizerConfig } from '../../core/tokenizer/named-tokens.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { logLikelihoodsOf } from '../../engine/decoder/log-likelihood.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import { loadModel, type Model } from '../../engine/files/checkpoint.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { taskTable } from '../../report/task-table.ts';
import { terminalColumns } from '../format.ts';
import { namingFlags } from '../naming-flags.ts';
import { refuseRunAsModel } from '../other-folders.ts';
import { refuseInputs, requireFiles } from '../own-checkpoint/outputs.ts';
import { createProgressView } from '../progress-view.ts';

interface Options {
  task: string[];
  target?: 'passage' | 'last-word';
  delimiter?: string;
  tokenizer?: string;
  limit?: number;
  batch?: number;
  runtime: RunConfig['engine']['runtime'];
  threads: number;
  samples?: string;
  json?: boolean;
}

/** What `--json` prints for one file. */
type Result = { file: string; task: string } & Partial<PassageLosses> & Partial<TaskScore>;

/** What is measured on one file. */
interface Work {
  file: string;
  /** A zero-shot task, or texts. */
  task?: EncodedTask;
  /** Only with `--target`. */
  passages?: PassageSet;
}

/**
 * `mates evaluate CHECKPOINT --task FILE..`: zero-shot tasks by the conventions of lm-evaluation-harness, and losses of
 * `{"text"}` files. With `--target`, every file is read as passages, like a run's reference set.
 */
export function evaluate(checkpoint: string, options: Options): Promise<void> {
  return namingFlags(FIELD_FLAGS, () => evaluateFiles(checkpoint, options));
}

/** The flags that replace fields and other words in the messages of the code used here. */
const FIELD_FLAGS = {
  'corpus.tokenizer.endOfText': 'eos_token of the tokenizer_config.json beside it',
  'engine.runtime': '--runtime',
  'engine.threads': '--threads',
  'target "passage"': '--target passage',
};

async function evaluateFiles(checkpoint: string, options: Options): Promise<void> {
  const target = options.target;
  if (!target) refuseNamesakes(options.task);
  for (const flag of ['samples', 'delimiter'] as const)
    if (target && options[flag] !== undefined)
      throw new ConfigError(
        `--${flag} is for tasks: with --target, files are read as passages; leave one of them out.`,
      );
  const { limit, batch: rowsPerBatch } = options;
  if (options.samples) {
    const { name } = splitUri(options.samples);
    const samples = [{ flag: '--samples', path: options.samples }];
    refuseInputs(samples, [
      ...options.task.map((path) => ({ flag: '--task', path })),
      ...(options.tokenizer ? [{ flag: '--tokenizer', path: options.tokenizer }] : []),
      ...(MODEL_FILES.test(name) ? [{ flag: "the checkpoint's", path: `${checkpoint}/${name}` }] : []),
    ]);
    await requireFiles(samples);
  }
  const open = storeOpener();
  const source = open(checkpoint);
  await refuseRunAsModel(source, checkpoint);
  const loaded = await loadModel(source, '');
  const { tokenizer, beginning } = await openTokenizer(open, checkpoint, loaded, options.tokenizer);
  const model = new LanguageModel(await createRuntime(options.runtime, { threads: options.threads }), loaded.shape);
  const { parameters, contextLength } = loaded;

  // Everything is read before anything is measured, so that a bad line in the last file does not cost an hour.
  const works: Work[] = [];
  for (const file of options.task) {
    const bytes = await readFile(open, file, 'expected a JSONL file');
    if (!target) {
      const delimiter = options.delimiter?.replaceAll('\\n', '\n');
      const task = encodeTask(
        await parseTask([bytes], file, { limit, delimiter }),
        tokenizer,
        contextLength,
        beginning,
      );
      warnOfCuts(file, task.truncated, task.requests.length, 'context', contextLength);
      works.push({ file, task });
      continue;
    }
    const most = Number.MAX_SAFE_INTEGER;
    const passages = await loadPassages([bytes], file, limit ?? most, target, tokenizer, contextLength);
    warnOfCuts(file, passages.filter(({ dropped }) => dropped).length, passages.length, 'passage', contextLength);
    works.push({ file, passages: new PassageSet(model, passages) });
  }

  const tasks = works.flatMap(({ task }) => (task ? [task] : []));
  const requests = tasks.map((task) => task.requests);
  const total = requests.flat().length;
  const view = createProgressView();
  let likelihoods: RequestResult[][];
  try {
    likelihoods = await logLikelihoodsOf(model, parameters, requests, {
      rowsPerBatch,
      onProgress: (done) => view.update('evaluate', { step: 'Zero-shot tasks', done, total, unit: 'requests' }),
    });
  } finally {
    view.close();
  }
  const scores = tasks.map((task, i) => scoreTask(task, likelihoods[i]!));
  const results: Result[] = [];
  for (const { file, task, passages } of works) {
    const place = task ? tasks.indexOf(task) : -1;
    const texts = task?.layout === 'text' ? textLosses(task, likelihoods[place]!) : undefined;
    const losses = passages ? await passageLosses(passages, parameters) : texts;
    results.push({ file, task: taskName(file), ...losses, ...scores[place] });
  }
  // Printed before the samples are written: if that fails after all, hours of work are not lost.
  print(absolute(checkpoint), results, scores, options.json);
  if (options.samples) {
    const { folder, name } = splitUri(options.samples);
    await open(folder).put(name, tasks.flatMap((task, i) => sampleLines(task, likelihoods[i]!)).join(''));
  }
}

function print(checkpoint: string, results: readonly Result[], scores: readonly TaskScore[], json?: boolean): void {
  const mean = meanScore(scores);
  if (json) {
    console.log(JSON.stringify({ checkpoint, results, mean, loss: onlyLoss(results) }));
    return;
  }
  for (const { file, loss, passageLoss, passages } of results)
    if (passageLoss !== undefined)
      console.log(
        `${file}: ${loss!.toFixed(4)} nats per token, ${passageLoss.toFixed(4)} as a mean of ${passages} ${plural(passages ?? 0, 'passage')}`,
      );
  const terminal = { color: process.stdout.isTTY ?? false, columns: terminalColumns() };
  if (scores.length) console.log(taskTable(scores, terminal));
}

async function passageLosses(set: PassageSet, parameters: Model['parameters']): Promise<PassageLosses> {
  const { perToken, perPassage } = await set.losses(parameters);
  return { passages: set.passages, loss: perToken, passageLoss: perPassage };
}

/** The loss, if exactly one file has one: with several, none can stand for all. */
function onlyLoss(results: readonly Result[]): number | undefined {
  const losses = results.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  return losses.length === 1 ? losses[0] : undefined;
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
      `${file}: ${cut} of ${counted(of, what)} ${plural(cut, 'is', 'are')} longer than the model's ${contextLength} tokens; only the end counts.\n`,
    );
}

/**
 * A run's configuration refuses them too: a task would count twice in the mean, and the samples could not be told
 * apart.
 */
function refuseNamesakes(files: readonly string[]): void {
  const names = files.map(taskName);
  const second = names.findIndex((name, i) => names.indexOf(name) < i);
  if (second < 0) return;
  const name = names[second]!;
  throw new ConfigError(
    `--task ${files[names.indexOf(name)]} ${files[second]}: two tasks are called ${name}: leave one out, or rename its file.`,
  );
}

/** The tokenizer, and what it begins texts with. */
async function openTokenizer(
  open: StoreOpener,
  checkpoint: string,
  { shape }: Model,
  given?: string,
): Promise<{ tokenizer: Tokenizer; beginning: Beginning }> {
  const path = given ?? `${checkpoint}/tokenizer.json`;
  const bytes = await readFile(open, path, 'name one with --tokenizer');
  const config = await tokenizerConfig(open(splitUri(absolute(path)).folder));
  const tokenizer = loadTokenizer(bytes, path, { preferredEnd: textOf(config.eos_token) });
  const prefix = beginOfText(textOf(config.bos_token), tokenizer);
  const added = config.add_bos_token === false ? [] : addedBefore(bytes);
  if (tokenizer.vocabularySize <= shape.vocabularySize) return { tokenizer, beginning: { prefix, added } };
  throw new ConfigError(
    `${path}: ${tokenizer.vocabularySize} ids do not fit the model's ${shape.vocabularySize}; it is another model's tokenizer.`,
  );
}

/** The tokens that the template of a tokenizer.json, alone or among other processors, puts before a single text. */
function addedBefore(tokenizer: Uint8Array): number[] {
  type Piece = { SpecialToken: { id: string } } | { Sequence: object };
  type Processor = {
    processors?: Processor[];
    single?: Piece[];
    special_tokens?: Record<string, { ids: number[] }>;
  };
  const before = ({ processors = [], single = [], special_tokens = {} }: Processor): number[] => {
    const text = single.findIndex((piece) => 'Sequence' in piece);
    const pieces = single.slice(0, Math.max(0, text)) as { SpecialToken: { id: string } }[];
    return [
      ...processors.flatMap(before),
      ...pieces.flatMap(({ SpecialToken: { id } }) => special_tokens[id]?.ids ?? []),
    ];
  };
  return before(JSON.parse(new TextDecoder().decode(tokenizer)).post_processor ?? {});
}

/**
 * The token that the harness puts before a text without a context: the tokenizer's `bos_token` where it names one, as
 * Llama's does, else the one that ends documents.
 */
function beginOfText(begin: string | undefined, tokenizer: Tokenizer): number {
  const [id, ...more] = begin === undefined ? [] : tokenizer.encode(begin);
  return id === undefined || more.length > 0 ? tokenizer.endOfText : id;
}

/** @throws InputError when the file is not there. */
async function readFile(open: StoreOpener, path: string, remedy: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readInput(open, path, path, remedy)) pieces.push(piece);
  return Buffer.concat(pieces);
}
