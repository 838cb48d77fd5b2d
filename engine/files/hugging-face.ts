/** Reads and writes the files of a Hugging Face model directory in a store: config.json and safetensors weights. */

import { InputError } from '../../core/errors.ts';
import { isObject } from '../../core/objects.ts';
import { counted, plural } from '../../core/plural.ts';
import { getJsonIfPresent, NotFoundError, type Store } from '../../core/storage/index.ts';
import type { ParameterSet, ParameterSpec } from '../parameters.ts';
import {
  checkSafetensors,
  type EncodedSafetensors,
  type ExpectShape,
  encodeSafetensors,
  readSafetensors,
  type Tensor,
} from './safetensors.ts';

export const CONFIG_FILE = 'config.json';
export const WEIGHTS_FILE = 'model.safetensors';
const WEIGHTS_INDEX_FILE = 'model.safetensors.index.json';

export function keyOf(prefix: string, file: string): string {
  return prefix === '' ? file : `${prefix}/${file}`;
}

/** The name that error messages use for a file: its whole URI. */
export function uriOf(store: Store, prefix: string, file: string): string {
  return `${store.uri}/${keyOf(prefix, file)}`;
}

/**
 * The fields of a `config.json`.
 *
 * @param modelTypes the values that its `model_type` may have.
 */
export async function readModelConfig(
  store: Store,
  prefix: string,
  modelTypes: readonly string[],
): Promise<ModelConfig> {
  const file = uriOf(store, prefix, CONFIG_FILE);
  const json = await getJsonIfPresent<unknown>(store, keyOf(prefix, CONFIG_FILE));
  if (json === undefined)
    throw new InputError(`${file} does not exist; name a Hugging Face model directory (config.json, ${WEIGHTS_FILE}).`);
  if (!isObject(json)) throw new InputError(`${file} is no JSON object.`);
  return new ModelConfig(json, file, modelTypes);
}

/** Typed access to a config.json; every refusal names the file and the field. */
export class ModelConfig {
  /** One of those that it may have. */
  readonly modelType: string;
  private readonly json: Record<string, unknown>;
  private readonly file: string;

  constructor(json: Record<string, unknown>, file: string, modelTypes: readonly string[]) {
    this.json = json;
    this.file = file;
    this.modelType = json.model_type as string;
    if (!modelTypes.includes(this.modelType)) throw this.unsupported('model_type', json.model_type, modelTypes);
  }

  /** A number; without `fallback`, the field is required. */
  number(field: string, fallback?: number): number {
    const value = this.json[field] ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.refusal(field, value, 'a number was expected');
  }

  positive(field: string, fallback?: number): number {
    const value = this.number(field, fallback);
    if (value > 0) return value;
    throw this.refusal(field, value, 'a number above 0 was expected');
  }

  /** A whole number from 1 to `most`, a limit above the value of any real model. */
  count(field: string, most: number, fallback?: number): number {
    const value = this.number(field, fallback);
    if (Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw this.refusal(field, value, `a whole number from 1 to ${most} was expected`);
  }

  /** The same for a field that null turns off; `absent` is the value that a missing field means. */
  countOrNone(field: string, most: number, absent: number): number | undefined {
    return this.json[field] === null ? undefined : this.count(field, most, absent);
  }

  /** The heads that share a layer's width, none of them of a width of its own. */
  heads(width: number): number {
    const heads = this.count('num_attention_heads', width);
    if (width % heads !== 0)
      throw this.refusal('num_attention_heads', heads, `a divisor of hidden_size (${width}) was expected`);
    const own = this.number('head_dim', width / heads);
    if (own === width / heads) return heads;
    throw this.refusal(
      'head_dim',
      own,
      `only hidden_size / num_attention_heads, ${width / heads}, is supported`,
      'Use another model',
    );
  }

  boolean(field: string, fallback: boolean): boolean {
    const value = this.json[field] ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.refusal(field, value, 'true or false was expected');
  }

  /** What a name stands for. */
  choice<T>(field: string, choices: Readonly<Record<string, T>>, fallback: string): T {
    const value = this.json[field] ?? fallback;
    if (typeof value === 'string' && Object.hasOwn(choices, value)) return choices[value]!;
    throw this.unsupported(field, value, Object.keys(choices));
  }

  /** The fields of an object; none if the field is missing, null or false. */
  object(field: string): Record<string, unknown> {
    const value = this.json[field] ?? false;
    if (value === false) return {};
    if (isObject(value)) return value;
    throw this.refusal(field, value, 'an object was expected');
  }

  /** Refuses a list, if there is one, in which anything else stands. */
  requireEach(field: string, only: string): void {
    const value = this.json[field] ?? [];
    if (!Array.isArray(value) || value.some((one) => one !== only))
      throw this.unsupported(field, value, [[only, '...']]);
  }

  /** Refuses any value of a field but the one that is implemented; `absent` is the value that a missing field means. */
  require(field: string, only: unknown, absent?: unknown): void {
    const value = this.json[field] ?? absent;
    if (value !== only) throw this.unsupported(field, value, [only]);
  }

  private unsupported(field: string, value: unknown, supported: readonly unknown[]): InputError {
    const names = supported.map((one) => JSON.stringify(one)).join(', ');
    const are = plural(supported.length, 'is', 'are');
    return new InputError(
      `${this.file}: ${field} is ${JSON.stringify(value)}; only ${names} ${are} supported. Use another model.`,
    );
  }

  /** Refuses a field that has any value. */
  refuse(field: string, why: string): void {
    const value = this.json[field];
    if (value !== undefined && value !== null) throw new InputError(`${this.file} has ${field}: ${why}.`);
  }

  /** @param value what was found, or what a missing field means. */
  refusal(field: string, value: unknown, expected: string, remedy = 'Download or export the model again'): InputError {
    const shown = JSON.stringify(value);
    const isMissing = value === undefined || (!field.includes('.') && (this.json[field] ?? undefined) === undefined);
    const found = !isMissing
      ? `is ${shown},`
      : value === undefined
        ? 'is missing:'
        : `is missing, which means ${shown}:`;
    return new InputError(`${this.file}: ${field} ${found} ${expected}. ${remedy}.`);
  }
}

/**
 * Limits above the sizes of any real model. Without them, memory for a mistyped or damaged field would be allocated
 * first.
 */
export const MOST = { layers: 10_000, width: 1 << 20, vocabulary: 1 << 24, positions: 1 << 24 };

/** Checks a file's hash once the file has been read; throws to refuse it. */
export type FileCheck = (file: string, sha256: string) => void;

/** How the tensors of a file map to the parameters of a model. */
export interface NameRules {
  /** Turns a tensor's name into its parameter's. */
  rename?(tensor: string): string;
  /** Whether a tensor, by its new name, is not a parameter: a buffer, or a head that is not used. */
  ignore(name: string): boolean;
  /** Where a tensor is read to, by its new name, that is not a parameter but has to be looked at. */
  aside?(name: string): Tensor | undefined;
  /** Whether a parameter may be missing from the files; it then keeps its value. */
  optional?(name: string): boolean;
  check?: FileCheck | undefined;
}

/**
 * Fills `parameters` from the directory's safetensors, one file or sharded.
 *
 * @throws InputError naming the file and tensor when one is missing, unknown or of another shape.
 */
export async function loadWeights(
  store: Store,
  prefix: string,
  parameters: ParameterSet,
  rules: NameRules,
): Promise<void> {
  const { rename = (name) => name, aside = () => undefined, check } = rules;
  await eachPart(store, prefix, parameters.specs, rules, (file, expect) =>
    readSafetensors(
      store,
      keyOf(prefix, file),
      (tensor, shape) => {
        const expected = expect(tensor, shape);
        const name = rename(tensor);
        return expected && { ...expected, data: aside(name)?.data ?? parameters.view(name) };
      },
      check && ((sha256) => check(file, sha256)),
    ),
  );
}

/** Refuses what {@link loadWeights} does, by the headers of the files: memory and time go by their sizes alone. */
export async function checkWeights(
  store: Store,
  prefix: string,
  specs: readonly ParameterSpec[],
  rules: Omit<NameRules, 'check'>,
): Promise<void> {
  await eachPart(store, prefix, specs, rules, (file, expect) => checkSafetensors(store, keyOf(prefix, file), expect));
}

/** Reads the directory's safetensors one after the other, and compares their tensors' names with the parameters'. */
async function eachPart(
  store: Store,
  prefix: string,
  specs: readonly ParameterSpec[],
  { rename = (name) => name, ignore, aside = () => undefined, optional = () => false }: NameRules,
  read: (file: string, expect: ExpectShape) => Promise<void>,
): Promise<void> {
  const missing = new Map(specs.map(({ name, shape }) => [name, shape]));
  const known = new Set(missing.keys());
  const files = await weightFiles(store, prefix);
  for (const file of files) {
    const uri = uriOf(store, prefix, file);
    const expect: ExpectShape = (tensor) => {
      const name = rename(tensor);
      const shape = missing.get(name);
      if (shape) {
        missing.delete(name);
        return { shape };
      }
      if (known.has(name)) throw new InputError(`${uri}: ${tensor} is given twice.`);
      const other = aside(name);
      if (other) known.add(name);
      else if (!ignore(name))
        throw new InputError(
          `${uri}: ${tensor} is no part of the model that ${CONFIG_FILE} describes${hintAt(tensor, specs)}.`,
        );
      return other && { shape: other.shape };
    };
    await namedByIndex(read(file, expect));
  }
  const absent = [...missing.keys()].filter((name) => !optional(name));
  if (absent.length > 0)
    throw new InputError(
      `${files.map((file) => uriOf(store, prefix, file)).join(', ')}: ${counted(absent.length, 'tensor')} of the model that ${CONFIG_FILE} describes ${plural(absent.length, 'is', 'are')} ` +
        `missing, the first is ${absent[0]}. ${isHead(absent) ? `Set tie_word_embeddings to true in ${CONFIG_FILE} if the embedding is its head; otherwise download` : 'Download'} or export the model again.`,
    );
}

/** Whether the output head is all that is missing, as where it is the embedding and only the configuration does not say so. */
const isHead = (absent: readonly string[]) => absent.length === 1 && /^(lm_head|embed_out)\.weight$/.test(absent[0]!);

/** Weights that were saved from a compiled model, or from one without its head, have other names throughout. */
function hintAt(tensor: string, specs: readonly ParameterSpec[]): string {
  const [module] = tensor.split('.');
  if (specs.some(({ name }) => name.startsWith(`${module}.`))) return '';
  return `, whose tensors are named like ${specs[0]!.name}; save the whole model again, not a compiled one and not a part of it`;
}

/** A model's parameters, or arrays of the same layout, as a safetensors file. */
export function encodeParameters(
  parameters: ParameterSet,
  parts: Record<string, Float32Array> = { '': parameters.flat },
): EncodedSafetensors {
  const tensors = Object.entries(parts).flatMap(([before, flat]) => {
    let offset = 0;
    return parameters.specs.map(({ name, shape }) => {
      const size = parameters.view(name).length;
      offset += size;
      return [before + name, { shape, data: flat.subarray(offset - size, offset) }] as const;
    });
  });
  return encodeSafetensors(tensors);
}

/** The names of the directory's weight files. */
async function weightFiles(store: Store, prefix: string): Promise<string[]> {
  if ((await store.size(keyOf(prefix, WEIGHTS_FILE))) !== undefined) return [WEIGHTS_FILE];
  const index = await getJsonIfPresent<unknown>(store, keyOf(prefix, WEIGHTS_INDEX_FILE));
  if (index !== undefined) {
    const named = isObject(index) && isObject(index.weight_map) ? Object.values(index.weight_map) : [];
    const files = named.filter((file) => typeof file === 'string' && file !== '');
    if (files.length > 0 && files.length === named.length) return [...new Set(files as string[])].sort();
    throw new InputError(
      `${uriOf(store, prefix, WEIGHTS_INDEX_FILE)}: its weight_map does not name a file for each tensor. Download the model again.`,
    );
  }
  throw new InputError(
    `${uriOf(store, prefix, WEIGHTS_FILE)} does not exist, nor does ${WEIGHTS_INDEX_FILE}; a model in another format ` +
      '(pytorch_model.bin) can be saved again with Transformers: model.save_pretrained(directory).',
  );
}

/** Says which file names a weight file that is not there. */
async function namedByIndex(reading: Promise<void>): Promise<void> {
  try {
    await reading;
  } catch (error) {
    if (error instanceof NotFoundError)
      throw new InputError(
        `${error.uri} does not exist, but ${WEIGHTS_INDEX_FILE} names it. Download the model again.`,
      );
    throw error;
  }
}
