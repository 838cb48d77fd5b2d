/** What a configuration need not say of a model that it goes on from. */
import { isDeepStrictEqual } from 'node:util';
import { ConfigError, InputError } from '../../core/errors.ts';
import { isObject } from '../../core/objects.ts';
import { reachable, type Store } from '../../core/storage/index.ts';
import { readDescription } from './described-model.ts';
import { CONFIG_FILE, uriOf } from './hugging-face.ts';

/**
 * The fields of a configuration, before they are checked: what `model` leaves out is taken from the config.json of
 * `model.pretrained`, if it names one.
 *
 * @param open opens the folder that `model.pretrained` names; undefined if it cannot be read from here.
 * @param source what to call the configuration in messages.
 * @throws ConfigError when a field says otherwise than config.json, InputError when that is missing or of a model that
 *   cannot be trained.
 */
export async function withPretrainedFields(
  fields: Record<string, unknown>,
  open: (folder: string) => Store | undefined,
  source: string,
): Promise<Record<string, unknown>> {
  const { model } = fields;
  if (!isObject(model) || typeof model.pretrained !== 'string' || model.pretrained === '') return fields;
  const store = open(model.pretrained);
  if (!store) return fields;
  const file = uriOf(store, '', CONFIG_FILE);
  if ((await reachable(file, () => store.size(CONFIG_FILE))) === undefined)
    throw new InputError(`${file}: no such file; model.pretrained names a Hugging Face directory.`);
  const { shape } = await readDescription(store, '');
  for (const [name, described] of Object.entries(shape)) {
    const given = model[name];
    // How weights were drawn once does not matter to a model that has them.
    if (given === undefined || name === 'initializerStd' || isDeepStrictEqual(given, described)) continue;
    throw new ConfigError(
      `${source}: model.${name} is ${JSON.stringify(given)}, but ${JSON.stringify(described)} in ${file}: ` +
        'leave the field out, or name another model in model.pretrained.',
    );
  }
  return { ...fields, model: { ...shape, ...model } };
}
