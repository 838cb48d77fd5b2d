import { InputError } from '../../core/errors.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import type { Run } from '../../core/run/open-run.ts';
import { decoderSpecs } from '../../engine/decoder/decoder.ts';
import { loadModel } from '../../engine/files/checkpoint.ts';
import { CONFIG_FILE } from '../../engine/files/hugging-face.ts';
import { initialParameters, type ParameterSet } from '../../engine/parameters.ts';
import { modelShape } from '../model.ts';
import { shapeDifference } from '../run-checkpoint.ts';

/**
 * What the first stage begins with: weights that are drawn, or those of `model.pretrained`.
 *
 * @throws InputError when that model is another than the configuration describes, or reads shorter rows.
 */
export async function firstWeights({ record, open }: Run, corpus: CorpusIndex): Promise<ParameterSet> {
  const { model, seed } = record.config;
  const shape = modelShape(record.config, corpus);
  if (!model.pretrained) return initialParameters(decoderSpecs(shape), seed);
  const found = await loadModel(open(model.pretrained), '');
  const difference = shapeDifference(found.shape, shape);
  const file = `${model.pretrained}/${CONFIG_FILE}`;
  if (difference !== undefined)
    throw new InputError(
      `${file}: ${difference}. model has to describe model.pretrained: correct its field` +
        (difference.startsWith('vocabularySize')
          ? ' vocabularyMultiple, to a multiple of which the size of the vocabulary is rounded up.'
          : '.'),
    );
  if (corpus.sequenceLength > found.contextLength)
    throw new InputError(
      `${file}: the model reads ${found.contextLength} tokens, fewer than a row of ${corpus.sequenceLength}: lower corpus.sequenceLength.`,
    );
  return found.parameters;
}
