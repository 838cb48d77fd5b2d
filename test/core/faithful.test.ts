/** The presets of the paper against the numbers that it gives (arXiv 2406.06046 and its reference code). */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { rowTokens } from '../../core/config/corpus-schema.ts';
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { decayLearningRate, trunkLearningRate } from '../../core/schedule.ts';

const example = (name: string): RunConfig =>
  parseConfig(JSON.parse(readFileSync(`examples/${name}.json`, 'utf8')), name);

const paper = example('paper-410m');

describe('paper-410m', () => {
  it('trains five stages of 10,000 steps, 512 rows of 1,024 tokens each', () => {
    const { stages, stepsPerStage, batchRows, microBatchRows } = paper.pretrain;
    expect([stages, stepsPerStage, batchRows, rowTokens(paper.corpus)]).toEqual([5, 10_000, 512, 1024]);
    expect(batchRows % microBatchRows).toBe(0);
  });

  it('uses AdamW and WSD with the published constants', () => {
    expect(paper.pretrain).toMatchObject({
      learningRate: 1e-3,
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      weightDecay: 0.1,
      clipNorm: 1,
      warmupSteps: 2000,
      decaySteps: 200,
      decayHalvings: 4,
    });
    expect(trunkLearningRate(paper.pretrain, 1999)).toBe(1e-3);
    expect(trunkLearningRate(paper.pretrain, 49_999)).toBe(1e-3);
    for (const t of [1, 77, 200])
      expect(decayLearningRate(paper.pretrain, t)).toBeCloseTo(1e-3 * 0.5 ** ((4 * t) / 200), 12);
  });

  it('is the 410M Pythia model', () => {
    expect(paper.model).toEqual({
      architecture: 'gpt-neox',
      layers: 24,
      width: 1024,
      heads: 16,
      activation: 'gelu',
      attentionBias: true,
      tiedEmbeddings: false,
      rotaryFraction: 0.25,
      rotaryBase: 10_000,
      layerNormEpsilon: 1e-5,
      initializerStd: 0.02,
      parallelResidual: true,
      vocabularyMultiple: 128,
    });
    expect(Math.ceil(50_277 / paper.model.vocabularyMultiple) * paper.model.vocabularyMultiple).toBe(50_304);
  });

  it('probes 80,000 documents a stage by one step each, against the last words of 1,024 LAMBADA passages', () => {
    expect(paper.probe).toMatchObject({
      method: 'exact',
      documents: 80_000,
      checkpoint: 'trunk',
      learningRateScale: 1,
    });
    expect(paper.reference).toMatchObject({ passages: 1024, target: 'last-word' });
    expect(paper.reference.input).toMatch(/lambada-train/); // never the test split by default
  });

  it('fits BERT-base on two pieces of 512 wordpieces, with a tenth kept aside', () => {
    expect(paper.influenceModel).toMatchObject({
      architecture: 'bert',
      features: [],
      chunks: 2,
      chunkTokens: 512,
      dropout: 0.1,
      learningRate: 5e-5,
      weightDecay: 0.01,
      batchDocuments: 256,
      epochs: 5,
      warmStart: false,
      earlierStages: 0,
    });
    expect(paper.influenceModel.pretrained).toMatch(/bert-base-uncased$/);
    const { validationFraction, testFraction } = paper.influenceModel;
    expect(validationFraction + testFraction).toBeCloseTo(0.1, 12);
  });

  it("evaluates the paper's zero-shot tasks after each stage", () => {
    expect(paper.evaluation.tasks.map(({ file }) => file.replace(/^.*\//, ''))).toEqual([
      ...['sciq.jsonl', 'arc_easy.jsonl', 'arc_challenge.jsonl', 'logi_qa.jsonl', 'openbook_qa.jsonl', 'boolq.jsonl'],
      ...['hellaswag.jsonl', 'piqa.jsonl', 'winogrande.jsonl', 'lambada_openai.jsonl'],
    ]);
  });

  it('selects a fifth by exact Gumbel-top-k at a temperature of 0.5', () => {
    expect(paper.selection).toMatchObject({
      method: 'influence',
      fraction: 0.2,
      temperature: 0.5,
      gumbel: 'exact',
      dsirWeight: 0,
      classifierWeight: 0,
    });
  });
});

describe('paper-410m-reference-code', () => {
  const code = example('paper-410m-reference-code');

  it("differs in what the published code does otherwise, and says so in the file's names", () => {
    expect(code.selection).toMatchObject({ gumbel: 'reference-code', temperature: 1 });
    expect(code.reference.input).toMatch(/lambada-test/);
    expect(code.influenceModel.batchDocuments).toBe(64); // 16, over four accumulated steps
  });

  it('is the paper in everything else', () => {
    const { selection, reference, influenceModel } = code;
    expect({
      ...code,
      name: paper.name,
      selection: { ...selection, gumbel: 'exact', temperature: 0.5 },
      reference: { ...reference, input: paper.reference.input },
      influenceModel: { ...influenceModel, batchDocuments: 256 },
    }).toEqual(paper);
  });
});

it('paper-1b differs in the shape alone', () => {
  const large = example('paper-1b');
  expect(large.model).toMatchObject({ layers: 16, width: 2048, heads: 8 });
  expect({ ...large, name: paper.name, model: paper.model, pretrain: paper.pretrain }).toEqual(paper);
  expect({ ...large.pretrain, microBatchRows: paper.pretrain.microBatchRows }).toEqual(paper.pretrain);
});
