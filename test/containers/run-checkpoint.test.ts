import { beforeAll, describe, expect, it } from 'vitest';
import { modelShape } from '../../containers/model.ts';
import { loadRunCheckpoint } from '../../containers/run-checkpoint.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import type { GptNeoxShape } from '../../engine/decoder/gpt-neox.ts';
import { loadCheckpoint, saveCheckpoint } from '../../engine/files/checkpoint.ts';
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

  it.each<[string, Partial<GptNeoxShape>]>([
    ['activation is "gelu-tanh", the run\'s is "gelu"', { activation: 'gelu-tanh' }],
    ["parallelResidual is false, the run's is true", { parallelResidual: false }],
    ["rotaryFraction is 1, the run's is 0.25", { rotaryFraction: 1 }],
  ])('of another model is refused: %s', async (difference, change) => {
    const checkpoint = await loadCheckpoint(tiny.store, key);
    const shape = { ...checkpoint.shape, ...change } as GptNeoxShape;
    await saveCheckpoint(tiny.store, 'other', { ...checkpoint, shape, endOfText: index.tokenizer.endOfText });
    await expect(loadRunCheckpoint(tiny.run, index, 'other')).rejects.toThrow(
      `other/config.json: ${difference}. A trainer has to make the run's own model`,
    );
  });
});
