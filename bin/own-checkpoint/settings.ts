/** The flags of `mates select`, and the configuration that they stand for. */

import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { ConfigError } from '../../core/errors.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import type { Method } from '../../core/selection/methods.ts';
import { absolute } from '../../core/storage/index.ts';
import type { Model } from '../../engine/files/checkpoint.ts';
import { refuseInputs } from './outputs.ts';

/** Everything that the selection depends on besides its files. */
export interface Settings {
  fraction: number;
  temperature: number;
  target: RunConfig['reference']['target'];
  passages: number;
  labels: number;
  learningRate: number;
  method: Method;
  features: RunConfig['influenceModel']['features'];
  classifierWeight: number;
  seed: number;
  runtime: RunConfig['engine']['runtime'];
  threads: number;
}

/** The values of the flags as their parsers return them. */
export interface Options extends Settings {
  corpus: string;
  checkpoint: string;
  reference: string;
  out: string;
  text?: string;
  documents?: string;
  work: string;
  dryRun?: boolean;
  json?: boolean;
}

/** The flag of each setting. */
export const SETTING_FLAGS: Record<keyof Settings, string> = {
  fraction: '--fraction',
  temperature: '--temperature',
  target: '--target',
  passages: '--passages',
  labels: '--labels',
  learningRate: '--learning-rate',
  method: '--method',
  features: '--features',
  classifierWeight: '--classifier-weight',
  seed: '--seed',
  runtime: '--runtime',
  threads: '--threads',
};

/** The flags that replace fields and other words in the messages of jobs, the longer first. Stages are left out: there are none here. */
export const FIELD_FLAGS: Record<string, string> = {
  ' stage 1:': '',
  'stage 1: all': 'all',
  'the probe of stage 1': 'the labelling',
  'probing of stage 1': 'labelling',
  'The stage selects': 'Rows are selected',
  'below influenceModel.minimumSpearman': 'below',
  'In another run,': 'With another --work,',
  'raise pools.holdOut, or add': 'or add',
  'probe.method or influenceModel.architecture': '--method',
  'probe.learningRateScale (now 1)': '--learning-rate',
  'probe.learningRateScale': '--learning-rate',
  'probe.documents': '--labels',
  'reference.passages': '--passages',
  'corpus.sequenceLength.': 'the corpus (mates prepare --sequence-length).',
  'target "passage"': '--target passage',
  'reference.input and heldOut.input name files': '--reference names a file',
  'reference.input': '--reference',
  'pretrain.learningRate': '--learning-rate',
  'probe.method': '--method',
  'influenceModel.features': '--features',
  'selection.classifierWeight': '--classifier-weight',
  'engine.runtime': '--runtime',
  'engine.threads': '--threads',
};

/** File names that end like those of other formats than Parquet. */
const OTHER_FORMAT = /\.(jsonl?|csv|txt|gz|zst)$/i;

/** @throws ConfigError when two outputs are one file, or one has another format's name or would replace an input. */
export function settingsOf(options: Options): Settings {
  const outputs = outputsOf(options);
  for (const [i, { flag, path }] of outputs.entries()) {
    const other = outputs.slice(0, i).find((before) => absolute(before.path) === absolute(path));
    if (other) throw new ConfigError(`${flag} ${path}: ${other.flag} writes that file; name another.`);
  }
  refuseInputs(outputs, [
    { flag: '--reference', path: options.reference },
    { flag: '--corpus', path: options.corpus, isFolder: true },
    { flag: '--checkpoint', path: options.checkpoint, isFolder: true },
  ]);
  if (OTHER_FORMAT.test(options.out))
    throw new ConfigError(
      `--out ${options.out}: a Parquet file is written there; give it another name, such as best.parquet. --text writes JSON Lines.`,
    );
  const { fraction, temperature, target, passages, labels, learningRate } = options;
  const { method, features, classifierWeight, seed, runtime, threads } = options;
  const scored = { target, passages, labels, learningRate, method, features, classifierWeight };
  return { fraction, temperature, ...scored, seed, runtime, threads };
}

/** The files that the command is told to write. */
export function outputsOf({ out, text, documents }: Options): { flag: string; path: string }[] {
  const named = [
    { flag: '--out', path: out },
    { flag: '--text', path: text },
    { flag: '--documents', path: documents },
  ];
  return named.filter((output): output is { flag: string; path: string } => output.path !== undefined);
}

/**
 * The flags as a configuration, from which the jobs of a stage read what they need.
 *
 * @throws ConfigError when the corpus and the checkpoint do not belong together.
 */
export function configOf(
  options: Options,
  settings: Settings,
  { sequenceLength, tokenizer }: CorpusIndex,
  { shape, contextLength }: Pick<Model, 'shape' | 'contextLength'>,
): RunConfig {
  const { vocabularySize, initializerStd: _, ...model } = shape;
  if (sequenceLength > contextLength)
    throw new ConfigError(
      `${options.corpus}: rows of ${sequenceLength} tokens are longer than the ${contextLength} that the checkpoint reads; prepare it with a smaller --sequence-length.`,
    );
  if (tokenizer.vocabularySize > vocabularySize)
    throw new ConfigError(
      `${options.corpus}: its tokenizer has ${tokenizer.vocabularySize} ids, but the checkpoint has ${vocabularySize}; prepare it with the checkpoint's tokenizer.json.`,
    );
  const { method, fraction, temperature, classifierWeight, target, passages, features, runtime, threads } = settings;
  const reference = absolute(options.reference);
  return parseConfig(
    {
      name: 'select',
      seed: settings.seed,
      corpus: { prepared: absolute(options.corpus) },
      reference: { input: reference, passages, target },
      heldOut: { input: reference },
      model: { ...model, vocabularySize },
      pretrain: { stages: 2, learningRate: settings.learningRate, warmupSteps: 0 },
      probe: { method: 'lookahead', documents: settings.labels, jobs: 1 },
      influenceModel: { architecture: 'ngram', features, testFraction: 0.15 },
      selection: { method, fraction, temperature, classifierWeight },
      control: 'none',
      evaluation: { rowsPerDomain: 1 }, // the minimum: nothing is evaluated, and these rows cannot be labelled
      engine: { runtime, threads },
    },
    'mates select',
  );
}
