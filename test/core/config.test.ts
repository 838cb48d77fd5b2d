import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { textsOf } from '../../core/config/corpus-schema.ts';
import { parseConfig, parseJson, setField } from '../../core/config/load.ts';
import { resolvePaths } from '../../core/config/paths.ts';
import { ConfigError } from '../../core/errors.ts';
import { localPaths } from '../../core/run/check-inputs.ts';

const minimal = { corpus: { input: ['a.jsonl'] }, reference: { input: 'r.jsonl' }, heldOut: { input: 'h.jsonl' } };

function messageOf(value: unknown): string {
  try {
    parseConfig(value, 'run.json');
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
}

describe('configuration', () => {
  it('fills in every default', () => {
    const config = parseConfig(minimal, 'run.json');
    expect(config.selection).toMatchObject({ method: 'influence', fraction: 0.2, temperature: 0.5, gumbel: 'exact' });
    expect(config.pretrain.clipNorm).toBe(1);
  });

  it('names an unknown field and the fields that exist there', () => {
    const message = messageOf({ ...minimal, pretrain: { learningrate: 1 } });
    expect(message).toContain('run.json: pretrain.learningrate: unknown field');
    expect(message).toContain('learningRate');
  });

  it('names a mistyped field with what was found', () => {
    expect(messageOf({ ...minimal, probe: { documents: 'many' } })).toMatch(/probe\.documents: .*number.*"many"/);
  });

  it('has upper limits of what is allocated by them', () => {
    for (const field of ['sequenceLength', 'shards']) {
      const corpus = { ...minimal.corpus, [field]: Number.MAX_SAFE_INTEGER };
      expect(messageOf({ ...minimal, corpus })).toMatch(new RegExp(`corpus\\.${field}: .*9007199254740991`));
    }
  });

  it('names a missing field', () => {
    expect(messageOf({ corpus: minimal.corpus, heldOut: minimal.heldOut })).toMatch(/reference: .*missing/);
  });

  it('lists every bad field at once', () => {
    const message = messageOf({ ...minimal, seed: -1, model: { layers: 0 } });
    expect(message).toContain('seed:');
    expect(message).toContain('model.layers:');
  });

  it('refuses fields that contradict each other', () => {
    expect(messageOf({ ...minimal, model: { width: 100, heads: 3 } })).toContain(
      'model.heads: must divide model.width',
    );
    expect(messageOf({ ...minimal, model: { vocabularySize: 2047 } })).toContain(
      'model.vocabularySize: is 2047, fewer than the 2048 entries of corpus.tokenizer.train',
    );
    expect(messageOf({ ...minimal, pretrain: { batchRows: 8, microBatchRows: 3 } })).toContain(
      'pretrain.microBatchRows',
    );
    expect(messageOf({ ...minimal, corpus: {} })).toContain('corpus.input: name at least one file');
    expect(messageOf({ ...minimal, influenceModel: { features: ['dsir', 'dsir'] } })).toContain(
      'influenceModel.features: names a feature twice',
    );
    expect(messageOf({ ...minimal, corpus: { input: ['a'], shards: 3 } })).toContain(
      'corpus.shards: is 3, too few for the pools of 3 stages and a hold-out: set it to at least 4',
    );
    expect(messageOf({ ...minimal, model: { width: 48, heads: 4 } })).toContain(
      'model.rotaryFraction: of a head of 12 dimensions 3 are rotated, which must be an even number',
    );
    expect(messageOf({ ...minimal, influenceModel: { pretrained: 'bert', warmStart: true } })).toMatch(
      /influenceModel\.pretrained: needs.*"bert".*\s+influenceModel\.warmStart: needs/,
    );
  });

  it("has a Llama's fields for a Llama, and GPT-NeoX's otherwise", () => {
    const modelOf = (model: object) => parseConfig({ ...minimal, model }, 'run.json').model;
    expect(modelOf({})).toMatchObject({ architecture: 'gpt-neox', attentionBias: true, rotaryFraction: 0.25 });
    const rotaryScaling = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: 8192 };
    const llama = { architecture: 'llama', width: 64, heads: 4 };
    expect(modelOf({ ...llama, keyValueHeads: 2, rotaryScaling })).toEqual({
      ...{ ...llama, layers: 2, keyValueHeads: 2, attentionBias: false, tiedEmbeddings: false, rotaryScaling },
      ...{ rotaryBase: 10_000, layerNormEpsilon: 1e-5, initializerStd: 0.02, vocabularyMultiple: 128 },
    });
    expect(modelOf({ ...llama, heads: 3, headWidth: 16, queryKeyNorm: true })).toMatchObject({
      heads: 3,
      headWidth: 16,
    });
    for (const [model, message] of [
      [{ architecture: 'llamma' }, 'model.architecture: expected "gpt-neox" or "llama" (found "llamma")'],
      [{ ...llama, rotaryFraction: 1 }, /model\.rotaryFraction: unknown field; the fields here are .*keyValueHeads/],
      [{ keyValueHeads: 2 }, /model\.keyValueHeads: unknown field; the fields here are .*rotaryFraction/],
      [{ ...llama, keyValueHeads: 3 }, 'model.keyValueHeads: must divide model.heads (4)'],
      [{ ...llama, width: 60 }, 'model.heads: of a head of 15 dimensions 15 are rotated, which must be an even number'],
      [{ ...llama, headWidth: 15 }, 'model.headWidth: of a head of 15 dimensions 15 are rotated'],
      [{ ...llama, queryKeyNorm: true, attentionBias: 'qkv' }, 'model.attentionBias: must be true or false with query'],
      [{ ...llama, attentionBias: 'q' }, 'model.attentionBias: expected true, false or "qkv" (found "q")'],
      [{ ...llama, rotaryScaling: { factor: 8 } }, /model\.rotaryScaling\.originalLength: .*missing/],
      [
        { ...llama, rotaryScaling: { ...rotaryScaling, highFrequencyFactor: 1 } },
        'model.rotaryScaling.highFrequencyFactor: must exceed lowFrequencyFactor (1)',
      ],
    ] as const)
      expect(messageOf({ ...minimal, model })).toMatch(message);
  });

  it('names a task by its file, and refuses two of one name', () => {
    const tasks = (...list: object[]) => ({ ...minimal, evaluation: { tasks: list } });
    const [a, b] = [{ file: 'one/arc_easy.jsonl' }, { file: 'two/arc_easy.jsonl' }];
    expect(messageOf(tasks(a, b))).toContain('evaluation.tasks: two tasks are called arc_easy');
    expect(parseConfig(tasks(a, { ...b, name: 'other' }), 'run.json').evaluation.tasks).toHaveLength(2);
    expect(messageOf(tasks({ path: 'x.jsonl' }))).toMatch(/evaluation\.tasks\.0/);
    expect(parseConfig(minimal, 'run.json').evaluation).toEqual({ rowsPerDomain: 24, tasks: [] });
  });

  it('refuses a single reference passage where lookahead has to keep some aside', () => {
    const single = (method: string) => ({
      ...minimal,
      reference: { ...minimal.reference, passages: 1 },
      probe: { method: 'lookahead' },
      selection: { method },
    });
    for (const method of ['influence', 'color-filter', 'oracle'])
      expect(messageOf(single(method))).toMatch(/reference\.passages: too few for .*at least 2, .*\(found 1\)/);
    expect(parseConfig(single('dsir'), 'run.json').reference.passages).toBe(1); // probes nothing
  });

  it('refuses labels that are too few to fit and test an influence model on', () => {
    const few = (method: string) => ({ ...minimal, selection: { method }, probe: { documents: 5 } });
    expect(messageOf(few('influence'))).toContain(
      'probe.documents: too few to fit an influence model to, stop early and test it: raise it (found 5)',
    );
    expect(parseConfig(few('oracle'), 'run.json').probe.documents).toBe(5); // needs none
  });

  it.each([
    [{ runtime: 'onnx', precision: 'tf32' }, 'engine.precision: "tf32" needs engine.runtime onnx-cuda or tfjs-gpu'],
    [{ runtime: 'tfjs-gpu', precision: 'mixed' }, 'engine.precision: "mixed" needs engine.runtime onnx or onnx-cuda'],
    [{ runtime: 'tfjs-gpu', workers: 2 }, 'engine.workers: must be 1 with engine.runtime tfjs-gpu'],
  ])('refuses the engine %j', (engine, message) => {
    expect(messageOf({ ...minimal, engine })).toContain(message);
  });

  it.each([
    [{ selection: { temperature: 1e-40 } }, 'selection.temperature: Too small'],
    [{ pretrain: { learningRate: Number.POSITIVE_INFINITY } }, 'found Infinity'],
  ])('refuses the number in %j', (over, message) => {
    expect(messageOf({ ...minimal, ...over })).toContain(message);
  });

  it('resolves the paths of every file that it names', () => {
    const config = parseConfig({ ...minimal, evaluation: { tasks: [{ file: 'a/t.jsonl' }] } }, 'run.json');
    const resolved = resolvePaths(config, (path) => `/base/${path}`);
    expect(resolved.evaluation.tasks).toEqual([{ file: '/base/a/t.jsonl' }]);
    expect(localPaths(resolved)).toContainEqual(['evaluation.tasks', '/base/a/t.jsonl']);
    const uris = { corpus: { input: ['file:///data/*.jsonl', 'file:/data/b.jsonl'] } };
    const named = resolvePaths(parseConfig({ ...minimal, ...uris }, 'run.json'), (path) => `/base/${path}`);
    expect(textsOf(named.corpus)?.input).toEqual(['/data/*.jsonl', '/data/b.jsonl']);
    const elsewhere = parseConfig({ ...minimal, corpus: { input: ['file://host/b.jsonl'] } }, 'run.json');
    expect(() => resolvePaths(elsewhere, (path) => path)).toThrow(/file:\/\/host\/b\.jsonl: no file of this machine/);
    const onS3 = parseConfig({ ...minimal, evaluation: { tasks: [{ file: 's3://b/t.jsonl' }] } }, 'run.json');
    expect(resolvePaths(onS3, (path) => `/base/${path}`).evaluation).toEqual(onS3.evaluation);
  });

  it('says where JSON is broken', () => {
    expect(() => parseJson('{"seed": 1,}', 'run.json')).toThrow(/run\.json, line 1: not valid JSON/);
    expect(parseJson('\uFEFF{"seed": 1}', 'run.json')).toEqual({ seed: 1 });
  });

  it('refuses fields of a corpus that has been prepared already, and records none', () => {
    expect(messageOf({ ...minimal, corpus: { prepared: 'c', input: ['a'], sequenceLength: 64 } })).toBe(
      'run.json: corpus.input: has no effect beside corpus.prepared, which brings its own: leave out one of the two.\n' +
        '  corpus.sequenceLength: has no effect beside corpus.prepared, which brings its own: leave out one of the two.',
    );
    expect(parseConfig({ ...minimal, corpus: { prepared: 'c' } }, 'run.json').corpus).toEqual({ prepared: 'c' });
  });

  it('sets a field that excludes others in their place', () => {
    const config: Record<string, unknown> = { corpus: { input: ['a'], tokenizer: { file: 'b', endOfText: 'c' } } };
    setField(config, 'corpus.tokenizer.train=512');
    expect(config).toEqual({ corpus: { input: ['a'], tokenizer: { train: 512 } } });
    setField(config, 'corpus.prepared=d');
    expect(config).toEqual({ corpus: { prepared: 'd' } });
  });

  it('sets nested fields from the command line, as JSON or as text', () => {
    const config: Record<string, unknown> = { pretrain: { stages: 3 } };
    setField(config, 'pretrain.stages=2');
    setField(config, 'engine.runtime=tfjs-cpu');
    setField(config, 'corpus.input=["x.txt"]');
    expect(config).toEqual({ pretrain: { stages: 2 }, engine: { runtime: 'tfjs-cpu' }, corpus: { input: ['x.txt'] } });
    expect(() => setField(config, 'pretrain')).toThrow(/FIELD=VALUE/);
    expect(() => setField(config, 'pretrain.stages.deep=1')).toThrow(/not a group/);
    for (const path of ['__proto__.foo', '__proto__', 'constructor.x', 'pretrain.toString'])
      expect(() => setField(config, `${path}=1`)).toThrow(
        /^--set \S+: unknown field (__proto__|constructor|toString); .*schema\.ts/,
      );
    expect(Object.hasOwn(Object.prototype, 'foo')).toBe(false);
  });

  it.each(['quickstart', 'small', 'paper-410m', 'paper-1b', 'paper-410m-reference-code'])(
    'accepts examples/%s.json',
    (name) => {
      const config = parseConfig(parseJson(readFileSync(`examples/${name}.json`, 'utf8'), name), name);
      expect(config.name).toBe(name);
    },
  );
});
