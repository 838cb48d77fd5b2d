/** `plan.ts FOLDER`: our side of `bench/plan.ts`; FOLDER is the lake that the plans are written to. */
import { parseConfig } from '../../core/config/load.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { CORPUS_FOLDER } from '../../core/layout.ts';
import { probeOrder, splitHoldOut } from '../../core/plan/hold-out.ts';
import { createRun } from '../../core/run/create-run.ts';
import { putJson, storeOpener } from '../../core/storage/index.ts';
import { handler } from '../../functions/plan-stage/index.ts';
import { serve } from '../worker.ts';

const [folder = ''] = process.argv.slice(2);
process.env.MATES_LAKE_DIRECTORY = folder;

const [STAGES, SHARDS, SHARD_ROWS, LENGTH, PROBES] = [100, 10_000, 21_700, 1024, 80_000];
const run = { id: 'plan', uri: 's3://lake/runs/plan', bucket: 'lake', prefix: 'runs/plan' };
const store = storeOpener(folder)(run.uri);

/** An index with hashes, since they make up most of a real one. */
function corpusIndex(): CorpusIndex {
  const rows = SHARDS * SHARD_ROWS;
  const shards = Array.from({ length: SHARDS }, (_, i) => {
    const file = (extension: string) => ({
      key: `shards/${String(i).padStart(5, '0')}.${extension}`,
      bytes: 2 * SHARD_ROWS * LENGTH,
      sha256: 'a'.repeat(64),
    });
    const [tokens, text, domains] = [file('tokens.bin'), file('parquet'), file('domains.bin')];
    return { firstRow: i * SHARD_ROWS, rows: SHARD_ROWS, tokens, text, domains };
  });
  return {
    format: 'mates-corpus/1',
    sequenceLength: LENGTH,
    dtype: 'uint16',
    tokenizer: { key: 'tokenizer.json', sha256: 'a'.repeat(64), vocabularySize: 50_277, endOfText: 0 },
    rows,
    documents: rows,
    tokens: rows * LENGTH,
    droppedTokens: 0,
    duplicatesRemoved: 0,
    emptyRemoved: 0,
    excludedRemoved: 0,
    domains: [{ name: 'c4', rows }],
    shards,
    inputs: [],
    fingerprint: '',
  };
}

const config = parseConfig(
  {
    corpus: { input: ['s3://lake/c4/*'], shards: SHARDS, sequenceLength: LENGTH },
    reference: { input: 's3://lake/reference.jsonl' },
    heldOut: { input: 's3://lake/held-out.jsonl' },
    pretrain: { stages: STAGES, stepsPerStage: 500, batchRows: 512 },
    probe: { documents: PROBES, jobs: 100 },
    scoring: { jobs: 100 },
  },
  'bench/plan.ts',
);
await createRun(store, run.id, config, {});
await putJson(store, `${CORPUS_FOLDER}/corpus.json`, corpusIndex());

const holdOutRows = 0.05 * SHARDS * SHARD_ROWS;

await serve({
  plan: {
    units: STAGES,
    call: async () => {
      for (let stage = 0; stage < STAGES; stage++)
        await handler({ run: { ...run, trainer: 'batch', dryRun: false }, stage });
    },
  },
  'hold-out': {
    units: holdOutRows,
    call: async () => {
      const rows = new Float64Array(holdOutRows);
      for (let i = 0; i < holdOutRows; i++) rows[i] = i;
      const { probeable } = splitHoldOut(rows, new Uint16Array(holdOutRows), 64, config.seed);
      return probeOrder(probeable, PROBES, config.seed, 1).length;
    },
  },
});
