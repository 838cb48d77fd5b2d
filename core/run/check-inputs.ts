/**
 * Whether a run's inputs are there, from listings, sizes and descriptions: problems are reported before anything is
 * paid for.
 */
import { textsOf } from '../config/corpus-schema.ts';
import { paddedVocabulary } from '../config/padded-vocabulary.ts';
import { withPaths } from '../config/paths.ts';
import type { RunConfig } from '../config/schema.ts';
import { preparedIndex } from '../corpus/corpus.ts';
import { type MeasuredPassages, measurePassages, readPassageFile } from '../corpus/passages.ts';
import type { InputFile } from '../corpus/reading/input-file.ts';
import { findInputs } from '../corpus/reading/inputs.ts';
import { ConfigError, InputError, MatesError } from '../errors.ts';
import { readTask } from '../evaluation/index.ts';
import { CORPUS_FILE, TOKENIZER_FILE } from '../layout.ts';
import {
  getJson,
  getJsonIfPresent,
  isLocalPath,
  noSuchFile,
  reachable,
  type Store,
  type StoreOpener,
  splitUri,
} from '../storage/index.ts';
import { readWordPieceFiles, wordPieceEncoderInput } from '../tokenizer/encoder-input.ts';
import { loadTokenizer } from '../tokenizer/index.ts';
import { sameIds } from '../tokenizer/same-ids.ts';
import type { TokenizerJson } from '../tokenizer/tokenizer-json.ts';

/** What was found of a run's inputs. */
export interface FoundInputs {
  /** The corpus's input files; none where it was prepared beforehand. */
  files: InputFile[];
  reference?: MeasuredPassages;
  heldOut?: MeasuredPassages;
}

/**
 * Looks for every file that the configuration names, and reads only passages, tokenizers and what describes a pretrained
 * encoder.
 *
 * @throws InputError naming the first that is missing, empty, malformed or out of reach, and its field.
 */
export async function checkInputs(config: RunConfig, open: StoreOpener): Promise<FoundInputs> {
  const found: FoundInputs = { files: [] };
  for (const { check } of checks(config, open, found)) await check();
  return found;
}

/**
 * The same for all inputs, each by itself: what is there, and what is wrong with the others, in sentences. What is on S3
 * is not looked for.
 */
export async function inputProblems(
  config: RunConfig,
  open: StoreOpener,
): Promise<FoundInputs & { problems: string[] }> {
  const found: FoundInputs = { files: [] };
  const problems = new Set<string>(); // reference.input and heldOut.input may be one file
  for (const { paths, check } of checks(config, open, found))
    try {
      if (!paths.some((path) => path?.startsWith('s3://'))) await check();
    } catch (error) {
      if (!(error instanceof MatesError)) throw error;
      problems.add(error.message);
    }
  return { ...found, problems: [...problems] };
}

interface Check {
  /** What it looks at. */
  paths: (string | undefined)[];
  /** Throws when something is wrong; otherwise it writes down what it has found. */
  check(): Promise<void>;
}

function checks(config: RunConfig, open: StoreOpener, found: FoundInputs): Check[] {
  const { corpus, model, influenceModel, evaluation } = config;
  const { prepared } = corpus;
  const given = textsOf(corpus)?.tokenizer;
  const tokenizer = given && 'file' in given ? given : undefined;
  const passages = (name: 'reference' | 'heldOut'): Check => {
    const { input, passages } = config[name];
    const measure = () => measurePassages(readPassageFile(open, input), input, passages);
    return {
      paths: [input],
      check: async () => {
        found[name] = await reachable(input, measure);
      },
    };
  };
  return [
    prepared !== undefined
      ? {
          paths: [prepared],
          check: async () => {
            await requireFile(
              open,
              `${prepared}/${CORPUS_FILE}`,
              'corpus.prepared names the folder that mates prepare has written',
            );
            const index = await preparedIndex(config, open);
            if (index) paddedVocabulary(index.tokenizer.vocabularySize, model, `the tokenizer of ${prepared}`);
          },
        }
      : {
          paths: corpus.input,
          check: async () => {
            const inputs = `corpus.input (${corpus.input.join(', ')})`;
            found.files = await reachable(inputs, () => findInputs(corpus.input, open));
          },
        },
    {
      paths: [tokenizer?.file],
      check: async () => {
        if (tokenizer) await checkTokenizer(open, tokenizer.file, tokenizer.endOfText, model);
      },
    },
    passages('reference'),
    passages('heldOut'),
    ...evaluation.tasks.map((task) => ({
      paths: [task.file],
      check: async () => {
        await requireFile(open, task.file, 'evaluation.tasks names JSON Lines files');
        await readTask(open, task);
      },
    })),
    {
      paths: [model.pretrained, prepared, tokenizer?.file],
      check: async () => {
        if (model.pretrained) await checkPretrained(open, model.pretrained, corpus);
      },
    },
    {
      paths: [influenceModel.pretrained],
      check: async () => {
        if (influenceModel.pretrained) await checkEncoder(open, influenceModel.pretrained, influenceModel);
      },
    },
  ];
}

/** Checks that a tokenizer is of a kind that is read, and has the token that ends documents and no id without a row. */
async function checkTokenizer(
  open: StoreOpener,
  uri: string,
  end: string | undefined,
  model: RunConfig['model'],
): Promise<void> {
  await requireFile(open, uri, 'corpus.tokenizer.file names a tokenizer.json');
  const { folder, name } = splitUri(uri);
  const { vocabularySize } = loadTokenizer(await open(folder).get(name), uri, { end });
  paddedVocabulary(vocabularySize, model, uri);
}

/**
 * Checks a pretrained encoder except for its weights' bytes, as it is first used after a stage of training and the
 * probes.
 */
async function checkEncoder(open: StoreOpener, folder: string, shape: RunConfig['influenceModel']): Promise<void> {
  const remedy = 'influenceModel.pretrained names a Hugging Face directory';
  for (const name of ['config.json', TOKENIZER_FILE]) await requireFile(open, `${folder}/${name}`, remedy);
  const store = open(folder);
  const { model_type: type } = await getJson<{ model_type?: string }>(store, 'config.json');
  if (type !== 'bert')
    throw new InputError(
      `${store.uri}/config.json: model_type is ${JSON.stringify(type)}; influenceModel.pretrained needs a "bert".`,
    );
  wordPieceEncoderInput(await readWordPieceFiles(store), shape);
  await requireWeights(store, remedy);
}

/**
 * Checks a model to go on from except for its shape, which the first stage compares with the configured one.
 *
 * @throws InputError when the corpus has another tokenizer than the model.
 */
async function checkPretrained(open: StoreOpener, folder: string, corpus: RunConfig['corpus']): Promise<void> {
  const remedy = 'model.pretrained names a Hugging Face directory';
  await requireFile(open, `${folder}/config.json`, remedy);
  const store = open(folder);
  await requireWeights(store, remedy);
  const theirs = await getJsonIfPresent<TokenizerJson>(store, TOKENIZER_FILE);
  const uri =
    corpus.prepared !== undefined
      ? `${corpus.prepared}/${TOKENIZER_FILE}`
      : 'file' in corpus.tokenizer
        ? corpus.tokenizer.file
        : undefined;
  if (!theirs || uri === undefined) return;
  const ours = splitUri(uri);
  if (!sameIds(theirs, await getJson<TokenizerJson>(open(ours.folder), ours.name)))
    throw new InputError(
      `${uri}: it is not the tokenizer of model.pretrained, ${store.uri}/${TOKENIZER_FILE}; ` +
        'name that one in corpus.tokenizer.file, or prepare the corpus with it.',
    );
}

async function requireWeights(store: Store, remedy: string): Promise<void> {
  const weights = await Promise.all(WEIGHT_FILES.map((name) => store.size(name)));
  if (!weights.some((bytes) => bytes))
    throw new InputError(`${store.uri} has neither ${WEIGHT_FILES.join(' nor ')}; ${remedy} with its weights.`);
}

const WEIGHT_FILES = ['model.safetensors', 'model.safetensors.index.json'];

/** The configuration's paths that are on the machine that reads it, and are used, each with its field. */
export function localPaths(config: RunConfig): [field: string, path: string][] {
  const paths: [field: string, path: string][] = [];
  withPaths(config, (path, field) => {
    paths.push([field, path]);
    return path;
  });
  const tokenizer = 'corpus.tokenizer.file';
  return paths
    .filter(([, path]) => isLocalPath(path))
    .sort(([a], [b]) => Number(a === tokenizer) - Number(b === tokenizer)); // after model.pretrained, as nobody need name it
}

/** @throws ConfigError when the configuration names a path that no job on AWS could read. */
export function refuseLocalPaths(config: RunConfig, source: string): void {
  const [first] = localPaths(config);
  if (!first) return;
  const [field, path] = first;
  throw new ConfigError(
    `${source}: ${field}: ${path} is a path of one machine, which jobs on AWS cannot read. ` +
      'Copy it to S3 (aws s3 cp) and name it there, as s3://BUCKET/KEY.',
  );
}

async function requireFile(open: StoreOpener, uri: string, remedy: string): Promise<void> {
  const { folder, name } = splitUri(uri);
  const bytes = await reachable(uri, () => open(folder).size(name));
  if (bytes === undefined) throw await reachable(uri, () => noSuchFile(open, uri, uri, remedy));
  if (bytes === 0) throw new InputError(`${uri}: the file is empty; ${remedy}.`);
}
