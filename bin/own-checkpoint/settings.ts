/** What the flags of `mates select` say, checked, and the configuration that they stand for. */
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { ConfigError } from '../../core/errors.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import type { Method } from '../../core/selection/methods.ts';
import type { Model } from '../../engine/checkpoint.ts';
import { wholeNumber } from '../commands/prepare.ts';
import { absolute } from '../paths.ts';

export interface Options {
  corpus: string;
  checkpoint: string;
  reference: string;
  fraction: string;
  out: string;
  text?: string;
  work: string;
  passages: string;
  labels: string;
  learningRate: string;
  method: string;
  features: string;
  runtime: string;
  threads: string;
  seed: string;
  json?: boolean;
}

type Feature = RunConfig['influenceModel']['features'][number];
const FEATURES: readonly Feature[] = ['dsir', 'loss', 'hidden'];

/** All that the selection depends on beside its files. */
export interface Settings {
  fraction: number;
  passages: number;
  labels: number;
  learningRate: number;
  method: Method;
  features: Feature[];
  seed: number;
  runtime: RunConfig['engine']['runtime'];
  threads: number;
}

/** The flag of each setting. */
export const SETTING_FLAGS: Record<keyof Settings, string> = {
  fraction: '--fraction',
  passages: '--passages',
  labels: '--labels',
  learningRate: '--learning-rate',
  method: '--method',
  features: '--features',
  seed: '--seed',
  runtime: '--runtime',
  threads: '--threads',
};

/** The flags in place of the fields and words by which jobs name what is wrong. */
export const FIELD_FLAGS: Record<string, string> = {
  'probe.learningRateScale (now 1)': '--learning-rate',
  'probe.learningRateScale': '--learning-rate',
  'probe.documents': '--labels',
  'reference.passages': '--passages',
  'reference.input and heldOut.input name files': '--reference names a file',
  'pretrain.learningRate': '--learning-rate',
  'probe.method': '--method',
  'influenceModel.features': '--features',
  'engine.runtime': '--runtime',
  'engine.threads': '--threads',
};

/** @throws ConfigError that names the first flag with a bad value. */
export function readSettings(options: Options): Settings {
  const fraction = Number(options.fraction);
  if (!(fraction > 0 && fraction <= 1))
    throw new ConfigError(`--fraction ${options.fraction}: expected a share of the rows, above 0 and up to 1.`);
  const learningRate = Number(options.learningRate);
  if (!(learningRate > 0 && learningRate < Infinity))
    throw new ConfigError(`--learning-rate ${options.learningRate}: expected a number above 0, such as 1e-4.`);
  if (options.text !== undefined && absolute(options.text) === absolute(options.out))
    throw new ConfigError(`--text ${options.text}: --out writes that file; name another.`);
  return {
    fraction,
    passages: wholeNumber('--passages', options.passages, 2),
    labels: wholeNumber('--labels', options.labels, 20),
    learningRate,
    method: options.method as Method, // the command line knows the methods
    features: readFeatures(options.features),
    seed: wholeNumber('--seed', options.seed, 0),
    runtime: options.runtime as Settings['runtime'], // as the methods
    threads: wholeNumber('--threads', options.threads, 0),
  };
}

/** In one order, so that the order on the command line makes no other selection. */
function readFeatures(text: string): Feature[] {
  if (text === 'none') return [];
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !FEATURES.includes(name as Feature));
  if (unknown !== undefined)
    throw new ConfigError(`--features ${text}: expected none, or names of ${FEATURES.join(', ')} with commas between.`);
  return FEATURES.filter((feature) => names.includes(feature));
}

/**
 * The flags as a configuration, of which the jobs of a stage read what they need.
 *
 * @throws ConfigError when the corpus and the checkpoint do not belong together.
 */
export function configOf(
  options: Options,
  settings: Settings,
  { sequenceLength, tokenizer }: CorpusIndex,
  { shape, contextLength }: Pick<Model, 'shape' | 'contextLength'>,
): RunConfig {
  if (sequenceLength > contextLength)
    throw new ConfigError(
      `${options.corpus}: rows of ${sequenceLength} tokens are longer than the ${contextLength} that the checkpoint reads; prepare it with a smaller --sequence-length.`,
    );
  if (tokenizer.vocabularySize > shape.vocabularySize)
    throw new ConfigError(
      `${options.corpus}: its tokenizer has ${tokenizer.vocabularySize} ids, the checkpoint ${shape.vocabularySize}; prepare it with the checkpoint's tokenizer.json.`,
    );
  if ((shape.mlpWidth ?? 4 * shape.width) !== 4 * shape.width)
    throw new ConfigError(`${options.checkpoint}: intermediate_size is not four times hidden_size; use another model.`);
  const { layers, width, heads, rotaryFraction, rotaryBase, layerNormEpsilon, initializerStd, parallelResidual } =
    shape;
  const { method, fraction, features, runtime, threads } = settings;
  const reference = absolute(options.reference);
  return parseConfig(
    {
      name: 'select',
      seed: settings.seed,
      corpus: { prepared: absolute(options.corpus) },
      reference: { input: reference, passages: settings.passages },
      heldOut: { input: reference },
      model: {
        ...{ layers, width, heads, rotaryFraction, rotaryBase, layerNormEpsilon, initializerStd, parallelResidual },
        vocabularyMultiple: shape.vocabularySize,
      },
      pretrain: { stages: 2, learningRate: settings.learningRate, warmupSteps: 0 },
      probe: { method: 'lookahead', documents: settings.labels, jobs: 1 },
      influenceModel: { architecture: 'ngram', features, testFraction: 0.15 },
      selection: { method, fraction },
      control: 'none',
      evaluation: { rowsPerDomain: 1 }, // the least: nothing is evaluated, and these rows cannot be labelled
      engine: { runtime, threads },
    },
    'mates select',
  );
}
