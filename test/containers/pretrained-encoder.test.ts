/** An influence model that begins with the weights and the tokenizer of a Hugging Face directory. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { wordPieces } from '../../bench/word-pieces.ts';
import { openEncoder, rowPieces } from '../../containers/influence-model/encoder.ts';
import { loadPredictorOf } from '../../containers/influence-model/influence-model.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { InputHashes } from '../../core/formats.ts';
import { INPUTS_FILE, stageLayout } from '../../core/layout.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { DirectoryStore, getJson, hashObject, putJson } from '../../core/storage/index.ts';
import { readWordPieceFiles, wordPieceEncoderInput } from '../../core/tokenizer/encoder-input.ts';
import { bertSpecs } from '../../engine/bert/bert.ts';
import { loadInfluenceModel } from '../../engine/files/bert-checkpoint.ts';
import { encodeSafetensors } from '../../engine/files/safetensors.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { temporaryFolder } from '../support.ts';
import { TinyRun, tinyConfig } from './support.ts';

const texts = [
  'It is a truth universally acknowledged, that a single man in possession of a good fortune.',
  'error 404',
];
const tokenizer = wordPieces(texts, 200) as { model: { vocab: object } };
const shape = {
  layers: 1,
  width: 16,
  heads: 2,
  intermediateWidth: 24,
  maxPositions: 32,
  typeVocabularySize: 2,
  vocabularySize: Object.keys(tokenizer.model.vocab).length,
  layerNormEpsilon: 1e-12,
  initializerStd: 0.05,
};
const weights = initialParameters(bertSpecs(shape), 41);
const isHead = (name: string) => name.startsWith('regressor.');

let folder: string;
let encoder: DirectoryStore;
let tiny: TinyRun;
let corpus: Corpus;
beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  folder = await temporaryFolder();
  encoder = new DirectoryStore(folder);
  await putJson(encoder, 'config.json', {
    model_type: 'bert',
    num_hidden_layers: shape.layers,
    hidden_size: shape.width,
    num_attention_heads: shape.heads,
    intermediate_size: shape.intermediateWidth,
    type_vocab_size: 2,
    vocab_size: shape.vocabularySize,
    max_position_embeddings: shape.maxPositions,
    initializer_range: 0.05,
  });
  await putJson(encoder, 'tokenizer.json', tokenizer);
  const tensors = bertSpecs(shape).filter(({ name }) => !isHead(name));
  await encoder.put(
    'model.safetensors',
    encodeSafetensors(tensors.map(({ name, shape }) => [name, { shape, data: weights.view(name) }] as const)),
  );
  await encoder.put('README.md', 'This is not read.');
  tiny = await TinyRun.create(
    tinyConfig({
      influenceModel: { pretrained: folder, epochs: 1, learningRate: 1e-9 },
      probe: { method: 'directional', documents: 40, jobs: 1 },
    }),
  );
  await tiny.prepare();
  for (const stage of [0, 1]) await tiny.stage(stage);
  corpus = await openRunCorpus(tiny.run);
});
afterAll(() => vi.restoreAllMocks());

it('starts from the encoder of the directory', async () => {
  const { influenceModel: prefix } = stageLayout(1);
  const fitted = await loadInfluenceModel(tiny.store, prefix);
  expect(fitted.shape).toEqual(shape);
  for (const { name } of bertSpecs(shape)) {
    if (isHead(name)) continue;
    const [found, given] = [fitted.parameters.view(name), weights.view(name)];
    found.forEach((value, i) => {
      expect(Math.abs(value - given[i]!), name).toBeLessThan(1e-6); // all that so low a rate can move it
    });
  }
  const predicted = await (await loadPredictorOf(tiny.job(1), corpus, 1, 8)).predict([0, 3, 9, 20]);
  expect(new Set(predicted).size).toBe(4);
});

it('reads the text of rows with its own tokenizer, with a space between two documents', async () => {
  const opened = await openEncoder(tiny.run, corpus);
  const rows = Array.from({ length: 300 }, (_, row) => row);
  const plain = wordPieceEncoderInput(await readWordPieceFiles(encoder), tiny.run.record.config.influenceModel);
  const passages = await corpus.documentTexts(rows);
  const idsOf = (documents: readonly (readonly ArrayLike<number>[])[]) =>
    documents.map((pieces) => pieces.map((ids) => Array.from(ids)));
  const by = (separator: string) => idsOf(passages.map((parts) => plain.pieces({ text: parts.join(separator) })));
  const found = idsOf(await rowPieces(opened, rows));
  expect(found).toEqual(by(' '));
  expect(found).not.toEqual(by('')); // otherwise no document would end in a letter
});

it('is recorded among the inputs of the run by the files that are read, and no others of the directory', async () => {
  const { files } = await getJson<InputHashes>(tiny.store, INPUTS_FILE);
  const own = files.filter(({ uri }) => uri.startsWith(folder));
  const wanted = ['config.json', 'model.safetensors', 'tokenizer.json'];
  expect(own.map(({ uri }) => uri)).toEqual(wanted.map((name) => `${folder}/${name}`));
  for (const [i, name] of wanted.entries()) expect(own[i]!.sha256).toBe((await hashObject(encoder, name)).sha256);
});
