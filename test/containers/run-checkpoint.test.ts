import { beforeAll, describe, expect, it } from 'vitest';
import { modelShape } from '../../containers/model.ts';
import { loadRunCheckpoint } from '../../containers/run-checkpoint.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { AdamW } from '../../engine/adamw.ts';
import { type DecoderShape, decoderSpecs } from '../../engine/decoder/decoder.ts';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { TINY_LLAMA } from '../engine/support.ts';
import { TinyRun, tinyConfig } from './support.ts';

describe("a stage's checkpoint", () => {
  let tiny: TinyRun;
  let index: CorpusIndex;
  const key = armLayout(0, 'main').checkpoint;
  beforeAll(async () => {
    tiny = await TinyRun.create(tinyConfig({ pretrain: { stages: 1 } }));
    await tiny.prepare();
    await tiny.stage(0);
    ({ index } = await openRunCorpus(tiny.run));
  });

  it("is the run's model", async () => {
    const { shape } = await loadRunCheckpoint(tiny.run, index, key);
    expect(shape).toMatchObject(modelShape(tiny.run.record.config, index));
  });

  it.each<[string, Partial<DecoderShape>]>([
    ['activation is "gelu-tanh", the run\'s is "gelu"', { activation: 'gelu-tanh' }],
    ["parallelResidual is false, the run's is true", { parallelResidual: false }],
    ["rotaryFraction is 1, the run's is 0.25", { rotaryFraction: 1 }],
  ])('of another model is refused: %s', async (difference, change) => {
    const checkpoint = await loadCheckpoint(tiny.store, key);
    await expectRefusal({ ...checkpoint, shape: { ...checkpoint.shape, ...change } as DecoderShape }, difference);
  });

  it('of another architecture is refused', async () => {
    const checkpoint = await loadCheckpoint(tiny.store, key);
    const parameters = initialParameters(decoderSpecs(TINY_LLAMA), 1);
    const optimizer = new AdamW(parameters.flat.length, checkpoint.optimizer.options);
    await expectRefusal(
      { ...checkpoint, shape: TINY_LLAMA, parameters, optimizer },
      'architecture is "llama", the run\'s is "gpt-neox"',
    );
  });

  async function expectRefusal(checkpoint: Checkpoint, difference: string) {
    await saveCheckpoint(tiny.store, 'other', { ...checkpoint, endOfText: index.tokenizer.endOfText });
    await expect(loadRunCheckpoint(tiny.run, index, 'other')).rejects.toThrow(
      `other/config.json: ${difference}. A trainer has to make the run's own model`,
    );
  }
});
