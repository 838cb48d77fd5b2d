/** What a configuration need not say of a model that it goes on from. */
import { isDeepStrictEqual } from 'node:util';
import { corpusFields } from '../../core/config/corpus-schema.ts';
import { flagOf, type SetField } from '../../core/config/load.ts';
import { ConfigError, InputError } from '../../core/errors.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { CORPUS_FILE } from '../../core/layout.ts';
import { isObject } from '../../core/objects.ts';
import { getJsonIfPresent, reachable, type Store } from '../../core/storage/index.ts';
import { comparable, readDescription } from './described-model.ts';
import { CONFIG_FILE, uriOf } from './hugging-face.ts';

/**
 * The fields of a configuration, before they are checked: what `model` leaves out is taken from the config.json of
 * `model.pretrained`, if it names one.
 *
 * @param open opens a folder that the configuration names; undefined if it cannot be read from here.
 * @param source what to call the configuration in messages.
 * @param fromFlags fields that flags have set, which messages name instead.
 * @throws ConfigError when a field says otherwise than config.json, or rows would be longer than the model reads;
 *   InputError when config.json is missing or of a model that cannot be trained, or the rows of a prepared corpus are too long.
 */
export async function withPretrainedFields(
  fields: Record<string, unknown>,
  open: (folder: string) => Store | undefined,
  source: string,
  fromFlags: readonly SetField[] = [],
): Promise<Record<string, unknown>> {
  const { model } = fields;
  if (!isObject(model) || typeof model.pretrained !== 'string' || model.pretrained === '') return fields;
  const store = open(model.pretrained);
  if (!store) return fields;
  const file = uriOf(store, '', CONFIG_FILE);
  if ((await reachable(file, () => store.size(CONFIG_FILE))) === undefined)
    throw new InputError(`${file}: no such file; model.pretrained names a Hugging Face directory.`);
  const { shape, contextLength } = await readDescription(store, '');
  const said = (...path: string[]) => flagOf(path, fromFlags)?.flag ?? source;
  for (const [name, described] of Object.entries(comparable(shape))) {
    const given = model[name];
    if (given === undefined || isDeepStrictEqual(given, described)) continue;
    throw new ConfigError(
      `${said('model', name)}: model.${name} is ${JSON.stringify(given)}, but ${JSON.stringify(described) ?? 'none'} in ${file}: ` +
        'leave the field out, or name another model in model.pretrained.',
    );
  }
  const rows = rowLength(fields.corpus);
  if (rows !== undefined && rows > contextLength)
    throw new ConfigError(
      `${said('corpus', 'sequenceLength')}: corpus.sequenceLength is ${rows}, but the model of ${file} reads only ${contextLength} tokens: lower it.`,
    );
  const prepared = await preparedRows(fields.corpus, open);
  if (prepared && prepared.length > contextLength)
    throw new InputError(
      `${prepared.uri}: its rows have ${prepared.length} tokens, but the model of ${file} reads only ${contextLength}: prepare it with shorter rows.`,
    );
  return { ...fields, model: { ...shape, ...model } };
}

/** Tokens in a row of a corpus that has been prepared, where it is there and can be read from here. */
async function preparedRows(corpus: unknown, open: (folder: string) => Store | undefined) {
  if (!isObject(corpus) || typeof corpus.prepared !== 'string' || corpus.prepared === '') return undefined;
  const store = open(corpus.prepared);
  if (!store) return undefined;
  const uri = uriOf(store, '', CORPUS_FILE);
  const index = await reachable(uri, () => getJsonIfPresent<CorpusIndex>(store, CORPUS_FILE));
  return index && { uri, length: index.sequenceLength };
}

/** Tokens in a row of a corpus that is yet to be prepared, where its description is valid so far. */
function rowLength(corpus: unknown): number | undefined {
  if (!isObject(corpus) || corpus.prepared !== undefined) return undefined;
  return corpusFields.shape.sequenceLength.safeParse(corpus.sequenceLength).data;
}
