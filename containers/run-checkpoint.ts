import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../core/errors.ts';
import type { CorpusIndex } from '../core/formats.ts';
import type { Run } from '../core/run/open-run.ts';
import type { DecoderShape } from '../engine/decoder/decoder.ts';
import { type Checkpoint, loadCheckpoint } from '../engine/files/checkpoint.ts';
import { comparable } from '../engine/files/described-model.ts';
import { CONFIG_FILE, uriOf } from '../engine/files/hugging-face.ts';
import { modelShape } from './model.ts';

/**
 * A stage's checkpoint, which a custom trainer may have made.
 *
 * @throws InputError when its model is another than the run's: the run's would compute with its weights all the same,
 *   and give losses of neither.
 */
export async function loadRunCheckpoint(
  { store, record }: Run,
  corpus: CorpusIndex,
  prefix: string,
): Promise<Checkpoint> {
  const checkpoint = await loadCheckpoint(store, prefix);
  const difference = shapeDifference(checkpoint.shape, modelShape(record.config, corpus));
  if (difference !== undefined)
    throw new InputError(
      `${uriOf(store, prefix, CONFIG_FILE)}: ${difference}. A trainer has to make the run's own model (docs/trainer-contract.md); correct it and train the stage again.`,
    );
  return checkpoint;
}

/** What the first difference of a model from the wanted one is; how it was initialised does not count. */
export function shapeDifference(found: DecoderShape, expected: DecoderShape): string | undefined {
  const [has, wanted] = [comparable(found), comparable(expected)];
  const name = Object.keys({ ...wanted, ...has }).find((name) => !isDeepStrictEqual(has[name], wanted[name]));
  const shown = (value: unknown) => JSON.stringify(value) ?? 'none';
  return name && `${name} is ${shown(has[name])}, the run's is ${shown(wanted[name])}`;
}
