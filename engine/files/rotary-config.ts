import { isDeepStrictEqual } from 'node:util';
import { isObject } from '../../core/objects.ts';
import type { RotaryScaling } from '../decoder/causal-attention.ts';
import type { ModelConfig } from './hugging-face.ts';

/** What a config.json says of rotary positions; what it leaves out depends on the architecture. */
export interface RotaryConfig {
  base: number | undefined;
  /** Share of each head that is rotated. */
  fraction: number | undefined;
  scaling: RotaryScaling | undefined;
}

/**
 * Transformers 5 writes one object, `rope_parameters`; earlier versions write fields of their own, and call the object
 * rope_scaling.
 *
 * @param scalings the ways of scaling, by `rope_type`, that the architecture is read with.
 */
export function rotaryConfig(config: ModelConfig, scalings: readonly 'llama3'[]): RotaryConfig {
  const [older, written] = [config.object('rope_scaling'), config.object('rope_parameters')];
  if (Object.keys(older).length > 0 && Object.keys(written).length > 0 && !isDeepStrictEqual(older, written))
    config.refuse('rope_scaling', 'rope_parameters says something else; remove one of the two');
  const rope: Record<string, unknown> = { ...older, ...written };
  const within = Object.keys(written).length > 0 ? 'rope_parameters' : 'rope_scaling';
  const number = (field: string) => {
    const value = rope[field];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number' && value > 0) return value;
    throw config.refusal(`${within}.${field}`, value, 'a number above 0 was expected');
  };
  const positive = (field: string) => {
    const value = number(field);
    if (value !== undefined) return value;
    throw config.refusal(`${within}.${field}`, value, 'a number above 0 was expected');
  };
  const ofSome = Object.keys(rope).find((field) => isObject(rope[field]));
  if (ofSome !== undefined)
    throw config.refusal(
      `${within}.${ofSome}`,
      rope[ofSome],
      'only positions that are the same in all layers are supported',
      'Use another model',
    );
  const kind = rope.rope_type ?? rope.type ?? 'default';
  const known = ['default', ...scalings];
  if (!known.includes(kind as string))
    throw config.refusal(
      `${within}.${rope.rope_type === undefined ? 'type' : 'rope_type'}`,
      kind,
      `only ${known.map((name) => JSON.stringify(name)).join(' and ')} ${known.length > 1 ? 'are' : 'is'} supported: rotary positions cannot be scaled${known.length > 1 ? ' otherwise' : ''}`,
      'Use another model',
    );
  const scaling = kind === 'llama3' && {
    factor: positive('factor'),
    lowFrequencyFactor: positive('low_freq_factor'),
    highFrequencyFactor: positive('high_freq_factor'),
    originalLength: positive('original_max_position_embeddings'),
  };
  // Of the two, Transformers 5 reads the outer one.
  const outer = scaling && config.number('original_max_position_embeddings', scaling.originalLength);
  if (scaling && outer !== scaling.originalLength)
    throw config.refusal('original_max_position_embeddings', outer, `that in ${within} was expected`);
  if (scaling && scaling.highFrequencyFactor <= scaling.lowFrequencyFactor)
    throw config.refusal(
      `${within}.high_freq_factor`,
      scaling.highFrequencyFactor,
      'a number above low_freq_factor was expected',
    );
  return { base: number('rope_theta'), fraction: number('partial_rotary_factor'), scaling: scaling || undefined };
}
