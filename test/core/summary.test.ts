import { describe, expect, it } from 'vitest';
import { cells, configOf, SIZES, TRAINED } from '../../bench/study/grid.ts';
import { parseConfig } from '../../core/config/load.ts';
import { mergeFields } from '../../core/run/execution-input.ts';
import { settingsHash } from '../../core/run/summary.ts';

const config = (over: Record<string, unknown> = {}) => {
  const passages = { input: 'passages.jsonl' };
  return parseConfig(
    mergeFields({ corpus: { prepared: 'corpus' }, reference: passages, heldOut: passages }, over),
    'a test',
  );
};
const same = settingsHash(config());

describe('the hash of the settings that losses depend on', () => {
  it.each<Record<string, unknown>>([
    { seed: 2, name: 'other', control: 'none' },
    { selection: { method: 'random', fraction: 0.4, temperature: 0.2 } },
    { probe: { method: 'lookahead', documents: 10 }, influenceModel: { architecture: 'ngram' }, scoring: { jobs: 7 } },
    { pretrain: { stages: 5, microBatchRows: 4, checkpointEverySteps: 7 } },
    { evaluation: { tasks: [{ file: 'arc_easy.jsonl' }] } },
    { engine: { runtime: 'tfjs-cpu', threads: 1 } },
    { pools: { warmup: 0.15, holdOut: 0.15 }, model: { heads: 4, width: 128 } }, // the defaults, in another order
  ])('is the same with %j, in which compared runs may differ', (over) => {
    expect(settingsHash(config(over))).toBe(same);
  });

  it('stays what it was, so that runs can be compared with older ones', () => {
    expect(same).toBe('eb760d4550048497f2613e8cd075b1a37c4e99be3f6f95cee3015f4c0554b6c0');
  });

  it.each<Record<string, unknown>>([
    { model: { layers: 3 } },
    { model: { mlpWidth: 256 } },
    { model: { activation: 'gelu-tanh' } },
    { model: { attentionBias: false } },
    { model: { tiedEmbeddings: true } },
    { pretrain: { learningRate: 2e-3 } },
    { pretrain: { stepsPerStage: 50 } },
    { pretrain: { decaySteps: 10 } },
    { pools: { holdOut: 0.3 } },
    { evaluation: { rowsPerDomain: 8 } },
  ])('is different with %j', (over) => {
    expect(settingsHash(config(over))).not.toBe(same);
  });

  it('is one for all methods of the study, random runs that go on for more stages included', () => {
    const place = { corpus: 'corpus', passages: 'passages', runtime: 'onnx' } as const;
    const hashes = new Map<string, Set<string>>();
    for (const cell of cells()) {
      const seen = hashes.get(cell.size) ?? new Set<string>();
      hashes.set(cell.size, seen.add(settingsHash(parseConfig(configOf(cell, place), cell.id))));
    }
    expect([...hashes.keys()]).toEqual([...Object.keys(SIZES), ...Object.keys(TRAINED)]);
    expect([...hashes.values()].map(({ size }) => size)).toEqual([1, 1, 1, 1]);
    expect(new Set([...hashes.values()].flatMap((seen) => [...seen])).size).toBe(4); // the sizes are told apart
  });
});
