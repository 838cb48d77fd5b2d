import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { DescribeExecutionCommand } from '@aws-sdk/client-sfn';
import { describe, expect, it, vi } from 'vitest';
import { wordPieces } from '../../bench/word-pieces.ts';
import { ConfigError, InputError } from '../../core/errors.ts';
import { stageLayout } from '../../core/layout.ts';
import { mergeFields, RUN_ID, runIdOf } from '../../core/run/execution-input.ts';
import { putJson, storeOpener } from '../../core/storage/index.ts';
import { trainBpe } from '../../core/tokenizer/index.ts';
import { execution, fakeLake, refusal, validate } from './fake-lake.ts';
import { temporaryLake } from './support.ts';

describe('on one machine', () => {
  const lake = temporaryLake();
  const record = async (id: string) => JSON.parse(await readFile(join(lake.path, 'runs', id, 'run.json'), 'utf8'));

  it('{} is the smoke run, named after the execution', async () => {
    const state = await validate({}, 'my-first-run');
    expect(state).toEqual({
      run: {
        id: 'my-first-run',
        uri: 's3://lake/runs/my-first-run',
        bucket: 'lake',
        prefix: 'runs/my-first-run',
        trainer: 'batch',
        dryRun: false,
        maxCostUsd: undefined,
      },
      stage: 0,
      stages: 2,
    });
    expect((await record('my-first-run')).config.name).toBe('smoke');
    // SageMaker takes no job whose name begins with a hyphen.
    expect((await validate({}, '_x')).run.id).toMatch(/^run-x-[0-9a-f]{8}$/);
  });

  it('executions with other names have other runs', () => {
    const long = 'nightly-selection-of-pretraining-data-on-the-whole-corpus-2026-11-';
    const names = ['a_b', 'a-b', 'a.b', `${long}29`, `${long}30`];
    const ids = names.map((name) => runIdOf({}, name));
    expect(new Set(ids).size).toBe(names.length);
    for (const id of ids) expect(id).toMatch(RUN_ID);
    expect(ids[1]).toBe('a-b');
    expect(ids[3]!.slice(0, 39)).toBe(long.slice(0, 39));
  });

  it('a dry run answers with the plan and its price, and writes nothing', async () => {
    const { plan, run } = await validate({ dryRun: true });
    expect(run.dryRun).toBe(true);
    expect(plan).toMatchObject({ name: 'smoke', steps: 80, tokens: 80 * 8 * 128 });
    expect(plan!.instances.length).toBeGreaterThan(1);
    for (const { hours, onDemandUsd, spotUsd } of plan!.instances) {
      expect(hours).toBeGreaterThan(0);
      expect(spotUsd).toBeLessThan(onDemandUsd);
    }
    expect(plan!.pricesDated).toMatch(/^\d{4}-\d{2}/);
    expect(existsSync(join(lake.path, 'runs'))).toBe(false);
  });

  it('an override by a field that excludes others of its group replaces the group', () => {
    const train = { corpus: { tokenizer: { train: 300 }, shards: 4 } };
    const over = { corpus: { tokenizer: { file: 'tokenizer.json' } } };
    expect(mergeFields(train, over)).toEqual({ corpus: { ...over.corpus, shards: 4 } });
    const end = { corpus: { tokenizer: { endOfText: '</s>' } } };
    expect(mergeFields(over, end).corpus).toEqual({ tokenizer: { file: 'tokenizer.json', endOfText: '</s>' } });
    expect(mergeFields(train, { corpus: { prepared: 'c' } })).toEqual({ corpus: { prepared: 'c' } });
  });

  it('overrides change single fields, however deep', async () => {
    const { stages } = await validate({ overrides: { pretrain: { stages: 3 }, seed: 5 }, runId: 'other' });
    expect(stages).toBe(3);
    const { config } = await record('other');
    expect(config).toMatchObject({ seed: 5, pretrain: { stages: 3, stepsPerStage: 40 } });
  });

  describe('resumeFrom', () => {
    it('goes on with a run under a new execution, without its configuration', async () => {
      await validate({ overrides: { seed: 9 } }, 'first');
      const state = await validate({ resumeFrom: 'first' }, 'second');
      expect(state.run).toMatchObject({ id: 'first', uri: 's3://lake/runs/first' });
      expect(existsSync(join(lake.path, 'runs/second'))).toBe(false);
      expect((await record('first')).config.seed).toBe(9);
    });

    it('is refused where it names no run', async () => {
      await expect(validate({ resumeFrom: 'nowhere' })).rejects.toThrow(ConfigError);
      await expect(validate({ resumeFrom: 'nowhere' })).rejects.toThrow(
        /resumeFrom: there is no run nowhere .*run\.json/,
      );
      expect(existsSync(join(lake.path, 'runs'))).toBe(false);
    });

    it('keeps to the configuration of the run', async () => {
      await validate({}, 'first');
      await putJson(storeOpener(lake.path)('s3://lake/runs/first'), stageLayout(0).plan, {}); // it has begun
      await expect(validate({ resumeFrom: 'first', overrides: { seed: 2 } })).rejects.toThrow(
        /seed was 1 and is now 2/,
      );
      await expect(validate({ resumeFrom: 'first', runId: 'second' })).rejects.toThrow(/runId and resumeFrom/);
    });
  });

  it.each([
    [{ configuration: {} }, /^execution input: configuration: unknown field; the fields are config, /],
    [{ maxCostUsd: -1 }, /^execution input: maxCostUsd: /],
    [{ resumeFrom: 'a/b' }, /^execution input: resumeFrom: expected letters/],
    [{ runId: '-a' }, /^execution input: runId: .*no hyphen first/],
    [{ trainer: 'ecs' }, /^execution input: trainer: /],
    [{ overrides: { pretrain: { stagez: 2 } } }, /pretrain\.stagez: unknown field; the fields here are stages, /],
    [{ config: 's3://lake/none.json' }, /config s3:\/\/lake\/none\.json does not exist/],
  ])('%j is refused by the name of its field', async (input, message) => {
    await expect(validate(input)).rejects.toThrow(ConfigError);
    await expect(validate(input)).rejects.toThrow(message);
  });

  it.each([
    ['corpus', { input: ['/nowhere/a.jsonl'] }, /\/nowhere\/a\.jsonl: no such file; correct corpus\.input/],
    ['corpus', { input: ['builtin:corpus/none-*.jsonl'] }, /builtin:corpus\/none-\*\.jsonl: no file has such a name/],
    ['corpus', { input: ['builtin:../package.jsonl'] }, /stay inside/],
    ['corpus', { prepared: '/nowhere/corpus' }, /\/nowhere\/corpus\/corpus\.json: no such file; corpus\.prepared/],
    ['corpus', { tokenizer: { file: '/nowhere/t.json' } }, /\/nowhere\/t\.json: no such file; corpus\.tokenizer\.file/],
    ['reference', { input: '/nowhere/r.jsonl' }, /\/nowhere\/r\.jsonl: no such file; reference\.input/],
    ['heldOut', { input: 'builtin:corpus/none.jsonl' }, /none\.jsonl: no such file/],
    ['evaluation', { tasks: [{ file: '/nowhere/t.jsonl' }] }, /\/nowhere\/t\.jsonl: no such file; evaluation\.tasks/],
    ['evaluation', { tasks: [{ file: 'builtin:corpus/LICENSES.md' }] }, /LICENSES\.md, line 1: /],
    [
      'influenceModel',
      { architecture: 'bert', pretrained: '/nowhere/bert' },
      /bert\/config\.json: no such file; influenceModel\.pretrained/,
    ],
  ])('%s %j is refused before anything is written', async (group, fields, message) => {
    // The tokenizer of the smoke configuration is trained; a group that is no object replaces it whole.
    const overrides = {
      [group]: 'tokenizer' in fields ? { ...fields, input: ['builtin:corpus/logs.jsonl.gz'] } : fields,
    };
    const config = { corpus: { input: ['builtin:corpus/logs.jsonl.gz'] }, ...PASSAGES };
    await expect(validate({ config, overrides })).rejects.toThrow(InputError);
    await expect(validate({ config, overrides })).rejects.toThrow(message);
    expect(existsSync(join(lake.path, 'runs'))).toBe(false);
  });

  it('a tokenizer that no corpus could be prepared with is refused now', async () => {
    const file = join(lake.path, 'tokenizer.json');
    const given = (endOfText?: string) => ({
      config: { ...PASSAGES, corpus: { input: ['builtin:corpus/logs.jsonl.gz'], tokenizer: { file, endOfText } } },
    });
    await writeFile(file, trainBpe(['some words'], 260));
    await expect(validate(given('<|stop|>'))).rejects.toThrow(
      'tokenizer.json: "<|stop|>" is none of its added tokens, of which one has to end documents',
    );
    await writeFile(file, '{}');
    await expect(validate(given())).rejects.toThrow(/tokenizer\.json: not a Hugging Face tokenizer\.json/);
    expect(existsSync(join(lake.path, 'runs'))).toBe(false);
  });

  it('a pretrained encoder that could not be used later is refused now', async () => {
    const folder = join(lake.path, 'encoder');
    const write = (name: string, json: object) => writeFile(join(folder, name), JSON.stringify(json));
    const influenceModel = { architecture: 'bert', pretrained: folder, chunkTokens: 100 };
    const refused = (overrides: object) =>
      expect(validate({ overrides: { influenceModel: { ...influenceModel, ...overrides } } })).rejects;
    await mkdir(folder);
    await write('config.json', { model_type: 'roberta', max_position_embeddings: 64 });
    await refused({}).toThrow(/encoder\/tokenizer\.json: no such file; influenceModel\.pretrained/);
    await write('tokenizer.json', wordPieces(['some words'], 60));
    await refused({}).toThrow(/model_type is "roberta".*needs a "bert"/);
    await write('config.json', { model_type: 'bert', max_position_embeddings: 64 });
    await refused({}).toThrow(/influenceModel\.chunkTokens: 100, expected 3 to 64/);
    await refused({ chunkTokens: 64 }).toThrow(/neither model\.safetensors nor/);
  });
});

const PASSAGES = {
  reference: { input: 'builtin:corpus/reference.jsonl' },
  heldOut: { input: 'builtin:corpus/held-out.jsonl' },
};

describe('on S3', () => {
  const { s3, sfn, puts, workedOnBefore } = fakeLake();
  const config = (input: string, more: object = {}) => ({
    config: { corpus: { input: [input] }, ...PASSAGES, ...more },
  });
  const written = () => puts().length;

  it('the smoke run needs nothing of the bucket', async () => {
    const { run } = await validate({});
    expect(run.uri).toBe('s3://lake-bucket/runs/first');
    expect(puts().map(({ Key }) => Key)).toEqual(['runs/first/executions/00000.json', 'runs/first/run.json']);
    expect(puts()[0]).toMatchObject({ IfNoneMatch: '*' });
  });

  it('goes on with the trainer and the cost cap of the execution before, and without a cap only when told so', async () => {
    const terms = { trainer: 'sagemaker', maxCostUsd: 5000 };
    workedOnBefore(terms);
    expect((await validate({ runId: 'r' }, 'second')).run).toMatchObject(terms);
    expect(JSON.parse(String(puts()[0]!.Body))).toMatchObject({ execution: execution('second'), ...terms });
    const again = await validate({ runId: 'r', trainer: 'batch', maxCostUsd: 9 }, 'third');
    expect(again.run).toMatchObject({ trainer: 'batch', maxCostUsd: 9 });
    const lifted = await validate({ runId: 'r', maxCostUsd: null }, 'fourth');
    expect([lifted.run.trainer, lifted.run.maxCostUsd]).toEqual(['sagemaker', undefined]);
  });

  it('prices and warns of what the given trainer pretrains on', async () => {
    vi.spyOn(console, 'warn').mockReturnValue();
    const { plan } = await validate({ dryRun: true, trainer: 'sagemaker' });
    for (const { instance } of plan!.instances) expect(instance).toMatch(/ \+ ml\.g5\.xlarge$/);
    expect(plan!.quotas.map(({ quota }) => quota)).toContainEqual(expect.stringMatching(/^SageMaker: ml\.g5\.xlarge /));
    const onBatch = (await validate({ dryRun: true })).plan!;
    expect(onBatch.quotas.filter(({ quota }) => quota.startsWith('SageMaker'))).toEqual([]);
    vi.restoreAllMocks();
  });

  it('refuses an engine for GPUs where the deployment has none, and warns of GPUs that stay idle', async () => {
    const over = (runtime: string) => ({ overrides: { engine: { runtime } } });
    expect((await validate({ ...over('onnx'), dryRun: true })).warnings).toEqual([
      expect.stringMatching(/idle|CPUs of/),
    ]);
    process.env.MATES_DEPLOYMENT = JSON.stringify({ accelerator: 'cpu' });
    try {
      await expect(validate({ ...over('onnx-cuda'), dryRun: true })).rejects.toThrow(
        /no GPUs \(accelerator=cpu\): set/,
      );
      expect((await validate({ ...over('onnx'), dryRun: true })).warnings).toBeUndefined();
    } finally {
      delete process.env.MATES_DEPLOYMENT;
    }
  });

  it('refuses more workers of onnx-cuda than a job on Batch has GPUs', async () => {
    const over = (workers: number, runtime = 'onnx-cuda') => ({
      overrides: { engine: { runtime, workers } },
      dryRun: true,
    });
    await expect(validate(over(2))).rejects.toThrow(/^engine\.workers is 2, .*one GPU: set it to 0/);
    await validate(over(1));
    await validate(over(0));
    await validate(over(2, 'onnx'));
  });

  it('refuses terms that the deployment cannot keep, before anything is written', async () => {
    vi.stubEnv('MATES_DEPLOYMENT', JSON.stringify({ gpuInstances: ['p4d'] }));
    vi.stubEnv('MATES_NOT_IN_ECR', 'ghcr.io/owner/trainer:1');
    await expect(validate({ maxCostUsd: 9 })).rejects.toThrow(/maxCostUsd: there is no price of p4d .*g6\.xlarge/);
    await expect(validate({ trainer: 'sagemaker' })).rejects.toThrow(
      /only runs images from ECR.*ghcr\.io\/owner\/trainer:1/,
    );
    await validate({ dryRun: true });
    vi.unstubAllEnvs();
    vi.stubEnv('MATES_DEPLOYMENT', JSON.stringify({ sagemakerInstanceType: 'ml.p4d.24xlarge' }));
    await expect(validate({ trainer: 'sagemaker', maxCostUsd: 9 })).rejects.toThrow(/no price of ml\.p4d\.24xlarge /);
    await validate({ trainer: 'sagemaker', dryRun: true });
    vi.unstubAllEnvs();
    await expect(validate({ maxCostUsd: 0.1 })).rejects.toThrow(
      /maxCostUsd is 0\.1, .*\$0\.\d\d by the end of its first/,
    );
    await validate({ maxCostUsd: 0.1, dryRun: true });
    expect(written()).toBe(0);
  });

  it('a run that another execution works on is left alone', async () => {
    const record = { format: 'mates-execution/1', execution: execution('other'), since: '2026-01-01T00:00:00Z' };
    const Body = { transformToByteArray: async () => new TextEncoder().encode(JSON.stringify(record)) };
    const Key = 'runs/first/executions/00004.json';
    s3.on(ListObjectsV2Command).resolves({ Contents: [{ Key }] });
    s3.on(GetObjectCommand, { Key }).resolves({ Body } as object);
    sfn.on(DescribeExecutionCommand).resolves({ status: 'RUNNING' });
    await expect(validate({})).rejects.toThrow(
      /^s3:\/\/lake-bucket\/runs\/first: the execution other has been working/,
    );
    expect(written()).toBe(0);
    await validate({ dryRun: true }); // which touches nothing
    sfn.on(DescribeExecutionCommand).resolves({ status: 'ABORTED' });
    await validate({});
    expect(puts().map(({ Key }) => Key)).toEqual(['runs/first/executions/00005.json', 'runs/first/run.json']);
  });

  it('looks at names and sizes, and reads no documents', async () => {
    const Contents = [{ Key: 'web/a.jsonl' }, { Key: 'web/b.txt' }];
    s3.on(ListObjectsV2Command, { Bucket: 'data' }).resolves({ Contents });
    s3.on(HeadObjectCommand, { Bucket: 'data', Key: 'web/a.jsonl' }).resolves({ ContentLength: 10 });
    await validate(config('s3://data/web/*.jsonl'));
    const read = s3.commandCalls(GetObjectCommand).map(({ args }) => args[0].input.Key);
    expect(new Set(read)).toEqual(new Set(['runs/first/run.json']));
    s3.on(HeadObjectCommand, { Bucket: 'data', Key: 'web/a.jsonl' }).resolves({ ContentLength: 300e9 });
    expect((await validate(config('s3://data/web/*.jsonl'))).warnings).toContainEqual(
      expect.stringMatching(/^Preparing the corpus needs a disk of about 344 GiB/),
    );
  });

  it('says what the deployment has too little time for, and goes on', async () => {
    vi.spyOn(console, 'warn').mockReturnValue();
    vi.stubEnv('MATES_DEPLOYMENT', JSON.stringify({ accelerator: 'cpu', jobTimeoutHours: 1, jobAttempts: 1 }));
    const slow = config('builtin:corpus/logs.jsonl.gz', { pretrain: { stepsPerStage: 1_000_000 } });
    const state = await validate(slow);
    expect(state.warnings![0]).toMatch(
      /^The corpus's files have about 0\.48 MB of text, and rows .* some 61 GB: lower/,
    );
    expect(state.warnings![1]).toMatch(
      /^A job of pretrain takes about \d+ hours .* and has 1: .*jobTimeoutHours than 1/,
    );
    expect(console.warn).toHaveBeenCalledWith(state.warnings![0]);
    expect((await validate({})).warnings).toBeUndefined();
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  it('relative paths of a configuration on S3 are beside its file', async () => {
    const Body = { transformToByteArray: async () => new TextEncoder().encode(JSON.stringify(beside)) };
    const beside = { ...PASSAGES, corpus: { input: ['web/*.jsonl', './b.jsonl'] }, reference: { input: 'r.jsonl' } };
    s3.on(GetObjectCommand, { Bucket: 'data', Key: 'run/config.json' }).resolves({ Body } as object);
    const line = new TextEncoder().encode('{"text": "a b"}\n');
    const passage = { Body: { transformToByteArray: async () => line } };
    s3.on(GetObjectCommand, { Bucket: 'data', Key: 'run/r.jsonl' }).resolves(passage as object);
    s3.on(ListObjectsV2Command, { Bucket: 'data', Prefix: 'run/web/' }).resolves({
      Contents: [{ Key: 'run/web/a.jsonl' }],
    });
    s3.on(HeadObjectCommand).resolves({ ContentLength: line.length });
    await validate({ config: 's3://data/run/config.json' });
    const keys = s3.commandCalls(HeadObjectCommand).map(({ args }) => args[0].input.Key);
    expect([...new Set(keys)]).toEqual(['run/web/a.jsonl', 'run/b.jsonl', 'run/r.jsonl']);
    const { config } = JSON.parse(String(puts().at(-1)!.Body));
    expect(config.corpus.input).toEqual(['s3://data/run/web/*.jsonl', 's3://data/run/b.jsonl']);
  });

  it('a model to go on from describes itself, beside the configuration', async () => {
    const json = (value: object) => ({
      Body: { transformToByteArray: async () => new TextEncoder().encode(JSON.stringify(value)) },
    });
    const given = { ...PASSAGES, corpus: { input: ['a.txt'] }, model: { pretrained: './neox' } };
    const described = { model_type: 'gpt_neox', hidden_size: 64, num_attention_heads: 4, num_hidden_layers: 3 };
    s3.on(GetObjectCommand, { Bucket: 'data', Key: 'run/config.json' }).resolves(json(given) as object);
    const model = { Bucket: 'data', Key: 'run/neox/config.json' };
    s3.on(GetObjectCommand, model).resolves(json({ ...described, vocab_size: 300 }) as object);
    s3.on(GetObjectCommand, { Bucket: 'data', Key: 'run/neox/tokenizer.json' }).resolves(
      json(JSON.parse(trainBpe(['a b'], 258))) as object,
    );
    s3.on(HeadObjectCommand).resolves({ ContentLength: 10 });
    await validate({ config: 's3://data/run/config.json' });
    const { config: used } = JSON.parse(String(puts().at(-1)!.Body));
    expect(used.model).toMatchObject({ pretrained: 's3://data/run/neox', layers: 3, width: 64, vocabularySize: 300 });
    expect(used.corpus.tokenizer).toEqual({ file: 's3://data/run/neox/tokenizer.json' });
    s3.on(HeadObjectCommand, model).rejects(refusal('403', 403));
    const denied = /neox\/config\.json: access is denied; add/;
    await expect(validate({ config: 's3://data/run/config.json' })).rejects.toThrow(denied);
    const local = { ...given, corpus: { input: ['s3://data/a.txt'] }, model: { pretrained: '/etc' } };
    await expect(validate({ config: local })).rejects.toThrow(/model\.pretrained: \/etc is a path of one machine/);
  });

  it('a key or pattern that matches no object is refused', async () => {
    await expect(validate(config('s3://data/a.jsonl'))).rejects.toThrow(/^s3:\/\/data\/a\.jsonl: no such file/);
    await expect(validate(config('s3://data/*.jsonl'))).rejects.toThrow(
      /^s3:\/\/data\/\*\.jsonl: no file has such a name/,
    );
    expect(written()).toBe(0);
  });

  it.each([
    ['NoSuchBucket', 404, /corpus\.input .*there is no such bucket/],
    ['AccessDenied', 403, /corpus\.input .*inputBuckets/],
    ['PermanentRedirect', 301, /corpus\.input .*another region/],
  ])('%s is explained in words', async (name, status, message) => {
    s3.on(ListObjectsV2Command).rejects(refusal(name, status));
    await expect(validate(config('s3://data/*.jsonl'))).rejects.toThrow(InputError);
    await expect(validate(config('s3://data/*.jsonl'))).rejects.toThrow(message);
  });

  it('a forbidden HEAD is recognised by its status, as it has no other name', async () => {
    s3.on(HeadObjectCommand).rejects(refusal('403', 403));
    await expect(validate(config('s3://data/a.jsonl'))).rejects.toThrow(/inputBuckets/);
  });

  it.each(['/etc/hosts', 'file:///etc/hosts', 'run.json'])('a configuration at %s is refused unread', async (uri) => {
    await expect(validate({ config: uri })).rejects.toThrow(ConfigError);
    await expect(validate({ config: uri })).rejects.toThrow(/config .* is a path of one machine: copy it to S3/);
  });

  it('a path of one machine is refused by its field', async () => {
    await expect(validate(config('data/a.jsonl'))).rejects.toThrow(ConfigError);
    await expect(validate(config('data/a.jsonl'))).rejects.toThrow(
      /corpus\.input: data\/a\.jsonl is a path of one machine/,
    );
    const reference = { input: '/data/r.jsonl' };
    await expect(validate(config('builtin:corpus/logs.jsonl.gz', { reference }))).rejects.toThrow(/reference\.input: /);
  });
});
