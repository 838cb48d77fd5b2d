/** A run that goes on from a model of the user's. */

import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { modelShape } from '../../containers/model.ts';
import { firstWeights } from '../../containers/pretrain/first-weights.ts';
import { openTrainingRows } from '../../containers/pretrain/training-rows.ts';
import { textsOf } from '../../core/config/corpus-schema.ts';
import { parseConfig } from '../../core/config/load.ts';
import { shapeOf } from '../../core/cost/estimate.ts';
import { ConfigError } from '../../core/errors.ts';
import type { CorpusIndex, TrainingMetrics } from '../../core/formats.ts';
import { armLayout, TOKENIZER_FILE } from '../../core/layout.ts';
import { checkInputs } from '../../core/run/check-inputs.ts';
import { inputsOf } from '../../core/run/inputs.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { DirectoryStore, getJson, putJson, storeOpener } from '../../core/storage/index.ts';
import { decoderSpecs } from '../../engine/decoder/decoder.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { loadCheckpoint, loadModel, saveModel } from '../../engine/files/checkpoint.ts';
import { withPretrainedFields } from '../../engine/files/pretrained-fields.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { temporaryFolder } from '../support.ts';
import { TinyRun, tinyConfig } from './support.ts';

const PASSAGES = { reference: { input: 'r.jsonl' }, heldOut: { input: 'h.jsonl' } };
const LLAMA = { architecture: 'llama', keyValueHeads: 1 };

describe('a run that goes on from a model', () => {
  let folder: string;
  let prepared: string;
  let index: CorpusIndex;
  const at = (name: string) => join(folder, name);
  const config = (model: object = {}, corpus: Record<string, unknown> = { prepared }) =>
    tinyConfig({ corpus, model: { pretrained: at('model'), ...LLAMA, ...model } });

  beforeAll(async () => {
    folder = await temporaryFolder();
    const first = await TinyRun.create();
    await first.prepare();
    prepared = join(first.directory, 'corpus');
    index = (await openRunCorpus(first.run)).index;
    const shape = modelShape(config(), index);
    const parameters = initialParameters(decoderSpecs({ ...shape, initializerStd: 0.2 }), 77);
    const { endOfText } = index.tokenizer;
    const store = new DirectoryStore(at('model'));
    await saveModel(store, '', { shape, parameters, contextLength: index.sequenceLength, endOfText });
    await store.put(TOKENIZER_FILE, await readFile(join(prepared, TOKENIZER_FILE)));
  });

  it('begins its first stage with those weights, and its optimizer anew', async () => {
    const run = await TinyRun.create(config());
    await run.prepare();
    expect((await inputsOf(run.run)).map(({ uri }) => uri)).toEqual(
      expect.arrayContaining(
        ['config.json', 'model.safetensors', TOKENIZER_FILE].map((name) => `${at('model')}/${name}`),
      ),
    );
    await run.stage(0);
    const layout = armLayout(0, 'main');
    const { loss } = await getJson<TrainingMetrics>(run.store, layout.metrics);
    const { shape, optimizer } = await loadCheckpoint(run.store, layout.checkpoint);
    expect(optimizer.step).toBe(loss.length);
    // The same first rows by the model as it is.
    const other = await TinyRun.create(tinyConfig({ corpus: { prepared }, model: LLAMA }));
    await other.prepare();
    await other.stage(0);
    const drawn = await getJson<TrainingMetrics>(other.store, layout.metrics);
    expect(Math.abs(drawn.loss[0]! - loss[0]!)).toBeGreaterThan(0.01);
    const model = new LanguageModel(await createRuntime('onnx', { threads: 1 }), shape);
    const corpus = await openRunCorpus(run.run);
    const rows = await openTrainingRows(run.job(0), corpus, await run.plan(0));
    const length = index.sequenceLength;
    const tokens = await rows(0);
    const given = initialParameters(decoderSpecs({ ...shape, initializerStd: 0.2 }), 77);
    const losses = await model.tokenLosses(given, { batch: tokens.length / length, length, tokens });
    expect(loss[0]).toBeCloseTo(
      losses.reduce((sum, value) => sum + value / losses.length, 0),
      4,
    );
  });

  it.each([
    [{ layers: 2 }, /model\/config\.json: layers is 1, the run's is 2\. model has to describe model\.pretrained/],
    [{ keyValueHeads: undefined }, /keyValueHeads is 1, the run's is 2/],
    [{ mlpWidth: 40 }, /mlpWidth is 64, the run's is 40/],
    [{ vocabularyMultiple: 1000 }, /vocabularySize is 384, the run's is 1000/],
  ])('is refused where the configuration describes another, %j', async (model, message) => {
    const run = await TinyRun.create(config(model));
    await run.prepare();
    await expect(run.stage(0)).rejects.toThrow(message);
  });

  it('describes what a configuration leaves out of model, and brings its tokenizer', async () => {
    const open = (name: string) => storeOpener()(at(name));
    const filled = (model: object, corpus: object = { input: ['a.txt'], sequenceLength: 16 }) =>
      withPretrainedFields({ name: 'run', corpus, model }, open, 'run.json');
    const fields = await filled({ pretrained: 'model' });
    const { model, corpus } = parseConfig({ ...PASSAGES, ...fields }, 'run.json');
    expect(textsOf(corpus)?.tokenizer).toEqual({ file: 'model/tokenizer.json' });
    const ending = { corpus: { input: ['a.txt'], tokenizer: { endOfText: '<end>' } } };
    expect(textsOf(parseConfig({ ...PASSAGES, ...fields, ...ending }, '').corpus)?.tokenizer).toEqual({
      file: 'model/tokenizer.json',
      endOfText: '<end>',
    });
    expect(
      parseConfig({ ...PASSAGES, ...(await filled({ pretrained: 'model' }, { prepared: 'c' })) }, '').corpus,
    ).toEqual({ prepared: 'c' });
    const { shape } = await loadModel(open('model'), '');
    expect({ ...modelShape({ ...config(), model }, index) }).toEqual(shape);
    expect(shapeOf({ ...config(), model }).vocabularySize).toBe(shape.vocabularySize); // for plans, without a corpus
    // What is given must agree.
    const given = { architecture: 'llama', layers: 1, keyValueHeads: 1, initializerStd: 0.5 };
    expect((await filled({ pretrained: 'model', ...given })).model).toMatchObject({ ...shape, ...given });
    for (const [wrong, message] of [
      [{ layers: 2 }, /^run\.json: model\.layers is 2, but 1 in .*model\/config\.json: leave the field out, or name/],
      [{ architecture: 'gpt-neox', layers: 2 }, /model\.architecture is "gpt-neox", but "llama"/],
      [{ vocabularySize: 1000 }, /model\.vocabularySize is 1000, but 384/],
      [{ headWidth: 2 }, /model\.headWidth is 2, but 8 in/],
      [{ queryKeyNorm: true }, /model\.queryKeyNorm is true, but false in/],
      [{ rotaryScaling: { factor: 8 } }, /model\.rotaryScaling is \{"factor":8\}, but none in/],
    ] as const)
      await expect(filled({ pretrained: 'model', ...wrong })).rejects.toThrow(message);
    for (const path of [['model', 'layers'], ['model']])
      await expect(
        withPretrainedFields({ model: { pretrained: 'model', layers: 2 } }, open, 'run.json', [
          { flag: '--set', path },
        ]),
      ).rejects.toThrow(/^--set: model\.layers is 2, but 1/);
    await expect(filled({ pretrained: 'none' })).rejects.toThrow(/none\/config\.json: no such file; model\.pretrained/);
    // Whatever is no folder's name is left to the checks of the configuration.
    for (const model of [undefined, 7, {}, { pretrained: '' }, { pretrained: 7 }])
      expect((await withPretrainedFields({ model }, open, 'run.json')).model).toBe(model);
  });

  it('must read the rows of a prepared corpus', async () => {
    const parameters = initialParameters(decoderSpecs(modelShape(config(), index)), 1);
    const shape = modelShape(config(), index);
    const contextLength = index.sequenceLength - 1;
    const { endOfText } = index.tokenizer;
    await saveModel(new DirectoryStore(at('short')), '', { shape, parameters, contextLength, endOfText });
    const refused = withPretrainedFields(
      { corpus: { prepared }, model: { pretrained: at('short') } },
      storeOpener(),
      'run.json',
    );
    await expect(refused).rejects.toThrow(
      `corpus.json: its rows have ${index.sequenceLength} tokens, but the model of ${at('short')}/config.json reads only ${contextLength}:`,
    );
  });

  it('must have a row of the embedding for every entry of the tokenizer', () => {
    const { vocabularySize } = index.tokenizer;
    const refused = () => modelShape(config({ vocabularySize: vocabularySize - 1 }), index);
    expect(refused).toThrow(ConfigError);
    expect(refused).toThrow(/^model\.vocabularySize is \d+, but the tokenizer has \d+ entries: name the tokenizer of/);
    expect(() => shapeOf(config({ vocabularySize: vocabularySize - 1 }), index)).toThrow(
      `but the tokenizer of ${prepared} has ${vocabularySize} entries`,
    );
    const drawn = { ...config().model, pretrained: undefined, vocabularySize };
    expect(modelShape({ ...config(), model: drawn }, index).vocabularySize).toBe(vocabularySize);
  });

  it('is told from one that ends texts by another token than the corpus has between documents', async () => {
    const run = await TinyRun.create(config());
    await run.prepare();
    const warnings: string[] = [];
    const job = run.job(0, { warn: (warning) => warnings.push(warning) });
    const shape = modelShape(config(), index);
    await firstWeights(job, index, shape);
    expect(warnings).toEqual([]);
    const store = new DirectoryStore(at('model'));
    await putJson(store, 'tokenizer_config.json', { eos_token: { content: '<|im_end|>' } });
    await firstWeights(job, index, shape);
    expect(warnings).toEqual([
      expect.stringMatching(
        /model has <\|im_end\|> as its eos_token, but documents of the corpus end with <\|endoftext\|>/,
      ),
    ]);
    await store.delete('tokenizer_config.json');
  });

  it('is refused where the configuration leaves out how its positions are stretched', async () => {
    const store = new DirectoryStore(at('model'));
    const before = await getJson<object>(store, 'config.json');
    const stretched = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    const rope_scaling = { ...stretched, original_max_position_embeddings: 64 };
    await putJson(store, 'config.json', { ...before, rope_scaling });
    const run = await TinyRun.create(config());
    await run.prepare();
    await expect(run.stage(0)).rejects.toThrow(/rotaryScaling is \{"factor":8,.*\}, the run's is none\. model has to/);
    await putJson(store, 'config.json', before);
  });

  it('is refused with rows that are longer than the model reads', async () => {
    const store = new DirectoryStore(at('model'));
    const before = await getJson<object>(store, 'config.json');
    await putJson(store, 'config.json', { ...before, max_position_embeddings: 16 });
    const unprepared = (corpus: object) =>
      withPretrainedFields({ corpus, model: { pretrained: at('model') } }, storeOpener(), 'run.json');
    await expect(unprepared({})).rejects.toThrow(
      /^run\.json: corpus\.sequenceLength is 128, but the model of .*config\.json reads only 16 tokens: lower it/,
    );
    await unprepared({ sequenceLength: 16 });
    const run = await TinyRun.create(config());
    await run.prepare();
    await expect(run.stage(0)).rejects.toThrow(/the model reads 16 tokens, fewer than a row of 32: lower corpus/);
    await putJson(store, 'config.json', before);
  });

  it('needs its files and its tokenizer', async () => {
    const open = storeOpener();
    await expect(checkInputs(config(), open)).resolves.toMatchObject({ files: [] });
    await expect(checkInputs(config({ pretrained: at('none') }), open)).rejects.toThrow(
      /none\/config\.json: no such file; model\.pretrained names a Hugging Face directory/,
    );
    const store = new DirectoryStore(at('other'));
    await putJson(store, 'config.json', {});
    await expect(checkInputs(config({ pretrained: at('other') }), open)).rejects.toThrow(
      /other has neither model\.safetensors nor .*; model\.pretrained names/,
    );
    await store.put('model.safetensors', 'x');
    const tokenizer = JSON.parse(await readFile(join(prepared, TOKENIZER_FILE), 'utf8'));
    await putJson(store, TOKENIZER_FILE, tokenizer);
    await expect(checkInputs(config({ pretrained: at('other') }), open)).resolves.toMatchObject({ files: [] });
    tokenizer.model.merges.pop();
    await putJson(store, TOKENIZER_FILE, tokenizer);
    await expect(checkInputs(config({ pretrained: at('other') }), open)).rejects.toThrow(
      /corpus\/tokenizer\.json: it is not the tokenizer of model\.pretrained, .*other\/tokenizer\.json/,
    );
    const { vocabularySize } = index.tokenizer;
    const short = { vocabularySize: vocabularySize - 1 };
    const file = join(prepared, TOKENIZER_FILE);
    const files = join(resolve('test/fixtures/mini-corpus'), '*.jsonl');
    const unprepared = config(short, { input: [files], tokenizer: { file } });
    await expect(checkInputs(unprepared, open)).rejects.toThrow(`but ${file} has ${vocabularySize} entries: name`);
    await expect(checkInputs(config(short), open)).rejects.toThrow(`but the tokenizer of ${prepared} has`);
    expect(() => config({}, { input: ['a'] })).toThrow(
      /corpus\.tokenizer: must be \{"file": the tokenizer\.json of model\.pretrained\}/,
    );
  });
});
