/** What a configuration need not say of a model that it goes on from. */
import { isDeepStrictEqual } from 'node:util';
import { corpusFields } from '../../core/config/corpus-schema.ts';
import { flagOf, type SetField } from '../../core/config/load.ts';
import { ConfigError, InputError } from '../../core/errors.ts';
import { isObject } from '../../core/objects.ts';
import { reachable, type Store } from '../../core/storage/index.ts';
import { comparable, readDescription } from './described-model.ts';
import { CONFIG_FILE, uriOf } from './hugging-face.ts';

/**
 * The fields of a configuration, before they are checked: what `model` leaves out is taken from the config.json of
 * `model.pretrained`, if it names one.
 *
 * @param open opens the folder that `model.pretrained` names; undefined if it cannot be read from here.
 * @param source what to call the configuration in messages.
 * @param fromFlags fields that flags have set, which messages name instead.
 * @throws ConfigError when a field says otherwise than config.json, or rows would be longer than the model reads;
 *   InputError when config.json is missing or of a model that cannot be trained.
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
  return { ...fields, model: { ...shape, ...model } };
}

/** Tokens in a row of a corpus that is yet to be prepared, where its description is valid so far. */
function rowLength(corpus: unknown): number | undefined {
  if (!isObject(corpus) || corpus.prepared !== undefined) return undefined;
  return corpusFields.shape.sequenceLength.safeParse(corpus.sequenceLength).data;
}
