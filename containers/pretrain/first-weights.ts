import { InputError } from '../../core/errors.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { TOKENIZER_FILE } from '../../core/layout.ts';
import { getJsonIfPresent } from '../../core/storage/index.ts';
import { endsOfTexts, otherEnd } from '../../core/tokenizer/named-tokens.ts';
import type { TokenizerJson } from '../../core/tokenizer/tokenizer-json.ts';
import { type DecoderShape, decoderSpecs } from '../../engine/decoder/decoder.ts';
import { loadModel } from '../../engine/files/checkpoint.ts';
import { CONFIG_FILE } from '../../engine/files/hugging-face.ts';
import { initialParameters, type ParameterSet } from '../../engine/parameters.ts';
import type { Job } from '../job.ts';
import { shapeDifference } from '../run-checkpoint.ts';

/**
 * What the first stage begins with: weights that are drawn, or those of `model.pretrained`.
 *
 * @param shape the run's model.
 *
 * @throws InputError when that model is another than the configuration describes, or reads shorter rows.
 */
export async function firstWeights(
  { run: { record, open }, warn }: Job,
  corpus: CorpusIndex,
  shape: DecoderShape,
): Promise<ParameterSet> {
  const { model, seed } = record.config;
  if (!model.pretrained) return initialParameters(decoderSpecs(shape), seed);
  const store = open(model.pretrained);
  const found = await loadModel(store, '');
  const difference = shapeDifference(found.shape, shape);
  const file = `${model.pretrained}/${CONFIG_FILE}`;
  if (difference !== undefined)
    throw new InputError(
      `${file}: ${difference}. model has to describe model.pretrained: leave out the fields that it says.`,
    );
  if (corpus.sequenceLength > found.contextLength)
    throw new InputError(
      `${file}: the model reads ${found.contextLength} tokens, fewer than a row of ${corpus.sequenceLength}: lower corpus.sequenceLength.`,
    );
  const tokenizer = (await getJsonIfPresent<Pick<TokenizerJson, 'added_tokens'>>(store, TOKENIZER_FILE)) ?? {};
  const ends = await endsOfTexts(store, tokenizer, corpus.tokenizer.endOfText);
  const remedy = 'name it in corpus.tokenizer.endOfText, in another run';
  for (const warning of otherEnd(ends, model.pretrained, 'the corpus', remedy)) warn(warning);
  return found.parameters;
}
