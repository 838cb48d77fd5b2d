/** What `mates select` decides before it computes anything. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { refuseUnusedFlags } from '../../bin/own-checkpoint/flags-of-methods.ts';
import { costLine, planLine, planSelection } from '../../bin/own-checkpoint/plan.ts';
import { domainLines } from '../../bin/own-checkpoint/results.ts';
import { configOf, type Options, SETTING_FLAGS, type Settings, settingsOf } from '../../bin/own-checkpoint/settings.ts';
import { claimWorkFolder, type WorkRecord } from '../../bin/own-checkpoint/work-folder.ts';
import { modelShape } from '../../containers/model.ts';
import type { CorpusIndex, SelectionSummary } from '../../core/formats.ts';
import { scoreItems } from '../../core/plan/stage-plan.ts';
import type { DecoderShape } from '../../engine/decoder/decoder.ts';
import { MemoryStore } from '../memory-store.ts';
import { temporaryFolder } from '../support.ts';

const OPTIONS: Options = {
  corpus: 'corpus',
  checkpoint: 'model',
  reference: 'reference.jsonl',
  out: 'best.parquet',
  work: 'work',
  fraction: 0.2,
  temperature: 0.5,
  target: 'passage',
  passages: 256,
  labels: 3000,
  learningRate: 1e-4,
  method: 'influence',
  features: ['dsir'],
  classifierWeight: 0,
  runtime: 'onnx',
  threads: 0,
  seed: 1,
};
const settings = (over: Partial<Options> = {}) => settingsOf({ ...OPTIONS, ...over });

/** Shards of one size; of each domain as many rows. */
function corpus(rows: number, shards: number, domains = 3): CorpusIndex {
  const size = rows / shards;
  const index = {
    rows,
    sequenceLength: 32,
    tokenizer: { vocabularySize: 300 },
    shards: Array.from({ length: shards }, (_, shard) => ({ firstRow: shard * size, rows: size })),
    domains: Array.from({ length: domains }, (_, i) => ({ name: `domain-${i}`, rows: rows / domains })),
  };
  return index as CorpusIndex;
}

describe('the flags of a selection', () => {
  const check = (given: string[], method: Settings['method'], classifierWeight = 0) =>
    refuseUnusedFlags({ method, classifierWeight }, given, SETTING_FLAGS);

  it.each<[keyof Settings, Settings['method'], RegExp]>([
    ['labels', 'dsir', /^--labels: --method dsir does not use it: .* one that does \(influence, hard-top-k\)\.$/],
    ['features', 'oracle', /^--features: .*\(influence, hard-top-k\)/],
    ['learningRate', 'classifier', /^--learning-rate: .*\(influence, hard-top-k, oracle\)/],
    ['target', 'perplexity', /^--target: .*\(influence, hard-top-k, oracle\)/],
    ['temperature', 'hard-top-k', /^--temperature: .*\(influence, oracle\)/],
    ['temperature', 'dsir', /^--temperature: .*\(influence, oracle, and dsir with a --classifier-weight\)/],
    ['passages', 'perplexity', /^--passages: .*dsir, classifier, and perplexity with a --classifier-weight\)/],
    ['classifierWeight', 'classifier', /^--classifier-weight: .*dsir, perplexity\)/],
  ])('are refused where they do nothing: %s of %s', (name, method, message) => {
    expect(() => check(['method', name], method)).toThrow(message);
    expect(() => check(['method'], method)).not.toThrow();
  });

  it('are taken where they do something', () => {
    check([...Object.keys(SETTING_FLAGS), 'out'], 'influence', 1);
    check(['temperature', 'passages', 'classifierWeight'], 'dsir', 1);
    check(['passages', 'classifierWeight'], 'perplexity', 1);
    check(['learningRate', 'target', 'temperature'], 'oracle');
  });

  it('do not give a Parquet file the name of another format', () => {
    for (const out of ['best.jsonl', 'a.parquet/b.JSON', 'best.csv', 'best.txt', 'best.parquet.gz', 's3://b/best.zst'])
      expect(() => settings({ out })).toThrow(
        /^--out \S+: a Parquet file is written there; .* --text writes JSON Lines/,
      );
    for (const out of ['best', 'best.parquet', 'best.json.pq']) settings({ out });
  });
});

describe('the plan of a selection', () => {
  it('has every row as a candidate, and shards for two and a half times the labels', () => {
    const plan = planSelection(settings(), corpus(12_000, 12));
    expect(plan).toMatchObject({ poolRows: 12_000, selectedRows: 2400, probes: 3000, preparesProbe: true });
    expect(plan.poolShards).toHaveLength(12);
    expect(plan.holdOutShards).toEqual([4, 5, 6, 7, 8, 9, 10, 11]); // 8,000 rows are the fewest whole shards over 7,503
    expect(plan.holdOutRows).toBe(8000);
  });

  it('leaves the shards that an oracle compares with out of the candidates', () => {
    const plan = planSelection(settings({ method: 'oracle' }), corpus(1_000_000, 1000));
    expect(plan).toMatchObject({ poolRows: 998_000, holdOutRows: 2000, selectedRows: 199_600, probes: 0 });
    expect(plan.poolShards).toEqual(Array.from({ length: 998 }, (_, shard) => shard));
    expect(plan.holdOutShards).toEqual([998, 999]);
    expect(planLine('corpus', corpus(1_000_000, 1000), plan)).toMatch(
      /of which 199600 are selected\. 2000 rows are not/,
    );
    expect(planLine('corpus', { ...corpus(2, 2), documents: 1 }, { ...plan, poolRows: 1, selectedRows: 1 })).toMatch(
      / from 1 document, of which 1 is selected\. 1 row is not a candidate:/,
    );
    const small = planSelection(settings({ method: 'oracle' }), corpus(900, 9));
    expect([small.poolRows, small.holdOutRows]).toEqual([700, 200]);
    expect(() => planSelection(settings({ method: 'oracle' }), corpus(900, 1))).toThrow(/^--method oracle: .*--shards/);
  });

  it('takes labels from every shard where they are most of the rows, and from a few of a large corpus', () => {
    expect(planSelection(settings({ labels: 898 }), corpus(900, 2, 1)).holdOutShards).toEqual([0, 1]);
    const large = planSelection(settings(), corpus(1_000_000, 100));
    expect(large.holdOutRows).toBe(150_000);
    expect(planSelection(settings({ method: 'dsir' }), corpus(12_000, 12))).toMatchObject({
      probes: 0,
      probeItems: 0,
      preparesProbe: false,
      holdOutRows: 2000,
    });
  });

  it('cuts scoring into parts by what a row costs, of every row once', () => {
    const parts = (over: Partial<Options>, rows: number) => {
      const plan = planSelection(settings(over), corpus(rows, 4));
      const items = scoreItems(plan);
      expect([items[0]!.begin, items.at(-1)!.end]).toEqual([0, plan.poolRows]);
      return items.length;
    };
    expect(parts({}, 120_000)).toBe(3);
    expect(parts({ features: [] }, 120_000)).toBe(3);
    expect(parts({ method: 'dsir' }, 120_000)).toBe(3);
    const passes: Partial<Options>[] = [{ features: ['dsir', 'loss'] }, { method: 'perplexity' }];
    for (const over of passes) expect(parts(over, 120_000)).toBe(120);
    expect(parts({ method: 'oracle' }, 120_000)).toBe(90); // of four shards one is no candidate
    expect(parts({}, 200_000_000)).toBe(400);
  });

  it('names --labels, and a number that would do', () => {
    const index = corpus(900, 2);
    expect(() => planSelection(settings(), index)).toThrow(
      /--labels 3000: the corpus has 900 rows.*Set --labels to 896 or/,
    );
    expect(planSelection(settings({ labels: 896 }), index).probes).toBe(896);
    expect(() => planSelection(settings({ labels: 20 }), corpus(12, 2))).toThrow(/--labels 20.*choose --method dsir/);
    expect(() => planSelection(settings({ labels: 800, fraction: 0.001 }), index)).toThrow(
      /--fraction 0\.001.*selects none/,
    );
  });

  it('reports its costs as shares of the training', () => {
    expect(costLine({ labelling: 1.234e15, scoring: 1.67e18, training: 1e18 })).toMatch(
      /labelling 1\.2e\+15 \(0\.12 %\), scoring 1\.7e\+18 \(167 %\)\.$/,
    );
    expect(costLine({ labelling: 0, scoring: 0, training: 1 })).toMatch(/labelling none, scoring none\.$/);
  });
});

describe('the settings of a selection', () => {
  it('write the rows and their texts to two files', () => {
    expect(() => settings({ text: './best.parquet' })).toThrow(/--text \.\/best\.parquet: --out writes that file/);
  });

  it.each<[Partial<Options>, RegExp]>([
    [{ out: './reference.jsonl' }, /^--out \.\/reference\.jsonl: that is --reference reference\.jsonl, which is read/],
    [{ text: 'corpus/shards/best.jsonl' }, /^--text corpus\/shards\/best\.jsonl: that is in --corpus corpus/],
    [{ out: 'model/config.json', checkpoint: 'model/' }, /^--out model\/config\.json: that is in --checkpoint model/],
    [{ out: 's3://lake/model/a', checkpoint: 's3://lake/model/' }, /^--out .* that is in --checkpoint s3/],
  ])('leaves what it reads as it is: %j', (over, message) => {
    expect(() => settings(over)).toThrow(message);
    expect(() => settings({ out: 'model-best.parquet', text: 'corpus.jsonl' })).not.toThrow();
  });

  it('leaves what it reads as it is, also by a link', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'data'));
    await writeFile(join(folder, 'data/passages.jsonl'), '');
    await symlink('data', join(folder, 'link'));
    await symlink('data/passages.jsonl', join(folder, 'named.jsonl'));
    for (const reference of ['data/passages.jsonl', 'link/passages.jsonl', 'named.jsonl'])
      for (const out of ['data/passages.jsonl', 'link/passages.jsonl'])
        expect(() => settings({ reference: join(folder, reference), text: join(folder, out) })).toThrow(
          /^--text \S+: that is --reference \S+, which is read/,
        );
  });

  const size = {
    ...{ layers: 3, width: 24, heads: 2, vocabularySize: 301, rotaryBase: 5000, layerNormEpsilon: 1e-6 },
    initializerStd: 0.1,
  };
  const gptNeox = { architecture: 'gpt-neox', ...size, rotaryFraction: 0.5 } as const;
  const llama = { architecture: 'llama', ...size, mlpWidth: 40, tiedEmbeddings: true } as const;
  it.each<DecoderShape>([
    {
      ...{ ...gptNeox, parallelResidual: true, mlpWidth: 96, activation: 'gelu' },
      ...{ attentionBias: true, tiedEmbeddings: false },
    },
    {
      ...{ ...gptNeox, parallelResidual: false, mlpWidth: 40, activation: 'gelu-tanh' },
      ...{ attentionBias: false, tiedEmbeddings: true },
    },
    { ...llama, keyValueHeads: 2, attentionBias: false },
    {
      ...{ ...llama, keyValueHeads: 1, attentionBias: 'qkv' },
      rotaryScaling: { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: 8192 },
    },
  ])('keeps the shape of the checkpoint, %j', (shape) => {
    const index = corpus(900, 2);
    const given = { shape, contextLength: 32 };
    const { initializerStd, ...kept } = modelShape(configOf(OPTIONS, settings(), index, given), index);
    expect({ ...kept, initializerStd: 0.1 }).toEqual(shape);
    // What a trained checkpoint was initialised with is of no use, and some say 0, which a run may not.
    expect(initializerStd).toBeGreaterThan(0);
    const config = configOf(OPTIONS, settings({ temperature: 0.2, target: 'last-word' }), index, given);
    expect(config).toMatchObject({ selection: { temperature: 0.2 }, reference: { target: 'last-word' } });
  });
});

describe('the work folder', () => {
  const record = (over: Partial<WorkRecord> = {}): WorkRecord => ({
    format: 'mates-select/1',
    corpus: 'c',
    checkpoint: { 'config.json': 'a', 'model.safetensors': 'b' },
    reference: 'r',
    settings: settings(),
    versions: { mates: '1', node: '20' },
    ...over,
  });
  let store: MemoryStore;
  beforeEach(async () => {
    store = new MemoryStore();
    await claimWorkFolder(store, 'work', record());
  });

  it('goes on with the same selection, even under another version of Node', async () => {
    await claimWorkFolder(store, 'work', record({ versions: { mates: '1', node: '22' } }));
  });

  it('allows another selection of rows from the same labels and scores', async () => {
    const summary = 'stages/1/selection.json';
    const changes: Partial<Options>[] = [
      { fraction: 0.1 },
      { temperature: 0.2 },
      { method: 'hard-top-k' },
      { threads: 4 },
    ];
    for (const over of changes) {
      await store.put(summary, '{}');
      const claim = () => claimWorkFolder(store, 'work', record({ settings: settings(over) }));
      await claim();
      expect(await store.size(summary)).toBeUndefined();
      await store.put(summary, '{}');
      await claim();
      expect(await store.size(summary)).toBe(2);
    }
  });

  it('is refused when the threads beside a GPU change, or the score', async () => {
    const gpu = new MemoryStore();
    const claim = (over: Partial<Options>) =>
      claimWorkFolder(gpu, 'work', record({ settings: settings({ runtime: 'onnx-cuda', ...over }) }));
    await claim({});
    await expect(claim({ threads: 4 })).rejects.toThrow('--threads was 0 and is now 4');
    await expect(claim({ method: 'dsir' })).rejects.toThrow('--method was influence and is now dsir');
    await expect(claim({ classifierWeight: 1 })).rejects.toThrow('--classifier-weight was 0 and is now 1');
  });

  it.each<[string, Partial<WorkRecord>, RegExp]>([
    [
      'checkpoint',
      { checkpoint: { 'config.json': 'a', 'model.safetensors': 'x' } },
      /--checkpoint was another \(model/,
    ],
    ['shards of weights', { checkpoint: { 'config.json': 'a', 'one.safetensors': 'b' } }, /one\.safetensors/],
    ['corpus', { corpus: 'x' }, /--corpus was another/],
    ['reference file', { reference: 'x' }, /--reference was a file with other content/],
    ['version', { versions: { mates: '2', node: '20' } }, /mates was 1 and is now 2/],
    ...(['seed', 'labels', 'passages'] as const).map((name): [string, Partial<WorkRecord>, RegExp] => [
      name,
      { settings: { ...settings(), [name]: 99 } as Settings },
      new RegExp(`--${name} was \\d+ and is now 99`),
    ]),
    ['features', { settings: settings({ features: [] }) }, /--features was dsir and is now none/],
    ['learning rate', { settings: settings({ learningRate: 1e-3 }) }, /--learning-rate was 0\.0001 and is now 0\.001/],
  ])('refuses another %s, and says what to do', async (_, over, message) => {
    const claimed = claimWorkFolder(store, 'work', record(over));
    await expect(claimed).rejects.toThrow(message);
    await expect(claimed).rejects.toThrow(/^--work work: .*Name another folder with --work, or delete this one\.$/);
  });

  it('is refused where it belongs to a run', async () => {
    const run = new MemoryStore();
    await run.put('run.json', '{}');
    await expect(claimWorkFolder(run, 'out/runs/a', record())).rejects.toThrow(/--work out\/runs\/a: .*it is a run's/);
  });
});

it('says how much of each domain is selected, and what the rows of mixed are', () => {
  const poolDomains = { mixed: 40, novels: 400, web: 1 };
  expect(
    domainLines({ poolDomains, selectedDomains: { mixed: 5, novels: 100 } } as unknown as SelectionSummary),
  ).toEqual([
    '  mixed: 12.5 % of its 40 rows (they join documents of several domains)',
    '  novels: 25.0 % of its 400 rows',
    '  web: 0.0 % of its 1 row',
  ]);
});
