import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { runConfig } from '../../core/config/schema.ts';
import { openCorpus } from '../../core/corpus/corpus.ts';
import { sha256 } from '../../core/hash.ts';
import { pearson } from '../../core/metrics/index.ts';
import { readParquet } from '../../core/parquet.ts';
import { DirectoryStore } from '../../core/storage/index.ts';
import { loadTokenizer } from '../../core/tokenizer/load.ts';
import { AdamW } from '../../engine/adamw.ts';
import { type DecoderShape, decoderSpecs } from '../../engine/decoder/decoder.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { rowLosses } from '../../engine/decoder/row-passes.ts';
import { loadModel, saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { mates } from '../end-to-end/support.ts';
import { OTHER_GPT } from '../engine/support.ts';
import { temporaryFolder } from '../support.ts';

const FIXTURES = resolve('test/fixtures/mini-corpus');

describe('mates select', () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const checkpoint = async (
    name: string,
    { tokenizer, ...variant }: Partial<DecoderShape> & { tokenizer?: string } = {},
  ) => {
    const bytes = await readFile(at('corpus/tokenizer.json'));
    const { vocabularySize } = loadTokenizer(bytes, 'tokenizer.json');
    const shape = {
      layers: 1,
      width: 16,
      heads: 2,
      vocabularySize: Math.ceil(vocabularySize / 64) * 64,
      rotaryFraction: 0.25,
      rotaryBase: 10_000,
      layerNormEpsilon: 1e-5,
      initializerStd: 0.3,
      ...variant,
    } as DecoderShape;
    const parameters = initialParameters(decoderSpecs(shape), 5);
    const optimizer = new AdamW(parameters.flat.length, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0 });
    const store = new DirectoryStore(at(name));
    const state = { step: 0, tokens: 0 };
    await saveCheckpoint(store, '', { shape, parameters, optimizer, endOfText: 0, contextLength: 64, state });
    await store.put('tokenizer.json', tokenizer ?? new Uint8Array(bytes));
  };
  /** The loss of every row by a checkpoint as its own config.json describes it. */
  const lossesBy = async (name: string) => {
    const corpus = await openCorpus(new DirectoryStore(at('corpus')));
    const { shape, parameters } = await loadModel(new DirectoryStore(at(name)), '');
    const model = new LanguageModel(await createRuntime('onnx', { threads: 1 }), shape);
    const { rows, sequenceLength } = corpus.index;
    const tokens = await corpus.tokenRows(Array.from({ length: rows }, (_, row) => row));
    return rowLosses(model, parameters, tokens, sequenceLength);
  };
  const select = (...more: string[]) => {
    const named = ['--corpus', at('corpus'), '--checkpoint', at('model'), '--out', at('best.parquet')];
    const reference = join(FIXTURES, 'reference.jsonl');
    // Flags that the method does not use are refused.
    const labels = ['oracle', 'dsir', 'perplexity'].some((name) => more.includes(name)) ? [] : ['--labels', '60'];
    const passages = more.includes('perplexity') ? [] : ['--passages', '8'];
    return mates('select', ...named, '--reference', reference, ...passages, ...labels, '--threads', '1', ...more);
  };

  beforeAll(async () => {
    folder = await temporaryFolder();
    const inputs = ['novels-austen', 'dictionary', 'logs'].map((name) => join(FIXTURES, `${name}.jsonl`));
    const flags = ['--tokenizer', 'train:300', '--sequence-length', '32', '--shards', '6', '--out', at('corpus')];
    expect((await mates('prepare', '--input', ...inputs, ...flags)).code).toBe(0);
    await checkpoint('model');
  });

  it('writes the best fifth of the corpus, and the same again when it goes on', async () => {
    const { code, stdout, stderr } = await select('--work', at('work'), '--json', '--text', at('best.jsonl'));
    expect(code).toBe(0);
    expect(stderr).toMatch(/training once on the selected rows: labelling .* %\), scoring none\./);
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(result.selectedRows).toBe(Math.floor(result.poolRows / 5));
    expect(result.fit.spearman).toBeGreaterThan(-1);
    const bytes = await readFile(at('best.parquet'));
    const { row, domain, utility } = await readParquet(bytes, { row: 'INT64', domain: 'STRING', utility: 'FLOAT' });
    expect(row).toHaveLength(result.selectedRows);
    expect(new Set(row).size).toBe(row.length);
    const lines = (await readFile(at('best.jsonl'), 'utf8')).trim().split('\n');
    const corpus = await openCorpus(new DirectoryStore(at('corpus')));
    const [texts, documents] = [await corpus.texts(row), await corpus.documents(row)];
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      row.map((_, i) => ({
        row: row[i],
        domain: domain[i],
        utility: utility[i],
        text: texts[i],
        documents: documents[i],
      })),
    );
    // The files that are left are kept, and those that follow from them are made again.
    await rm(at('work/stages/1/scores'), { recursive: true });
    await rm(at('work/stages/1/selection.json'));
    // Of one that was killed, and of another selection.
    const left = ['work/stages/1/probe-model/first', 'best.parquet', 'other'].map((name) =>
      at(`${name}.partial-0123456789ab`),
    );
    for (const path of left) await writeFile(path, '');
    expect((await select('--work', at('work'))).code).toBe(0);
    expect(left.filter((path) => existsSync(path))).toEqual(left.slice(2));
    expect(sha256(await readFile(at('best.parquet')))).toBe(sha256(bytes));
  });

  it('leaves a folder that is verified as a selection and has no report, as nothing was trained', async () => {
    const verified = await mates('verify', at('work'), '--json');
    expect(verified.stdout).toMatch(/work: a selection; \d+ files, .* have the hashes/);
    expect(JSON.parse(verified.stdout.trim().split('\n').at(-1)!)).toMatchObject({ kind: 'selection', finished: true });
    for (const [command, flag] of [['report'], ['verify', '--inputs']]) {
      const { code, stderr } = await mates(command!, at('work'), ...(flag ? [flag] : []));
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/the folder of a selection/) });
    }
  });

  it('chooses whole documents too, from the same scores', async () => {
    const { code, stdout } = await select('--work', at('work'), '--documents', at('documents.jsonl'), '--json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!);
    type Line = { id: string; utility: number; tokens: number; selected: boolean };
    const lines = (await readFile(at('documents.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line): Line => JSON.parse(line));
    const { index } = await openCorpus(new DirectoryStore(at('corpus')));
    const sum = (of: Line[], value: (line: Line) => number) => of.reduce((total, line) => total + value(line), 0);
    expect(sum(lines, ({ tokens }) => tokens)).toBe(index.tokens);
    const scores = await readFile(at('work/stages/1/scores/00000/scores.f32'));
    const utilities = new Float32Array(new Uint8Array(scores).buffer).reduce((total, utility) => total + utility, 0);
    expect(sum(lines, ({ tokens, utility }) => tokens * utility)).toBeCloseTo(index.sequenceLength * utilities, 2);
    const [best, others] = [lines.filter(({ selected }) => selected), lines.filter(({ selected }) => !selected)];
    expect(best).toHaveLength(result.selectedDocuments);
    expect(Math.min(...best.map(({ utility }) => utility))).toBeGreaterThan(
      Math.max(...others.map(({ utility }) => utility)),
    );
    expect(sum(best, ({ tokens }) => tokens)).toBeGreaterThanOrEqual(index.tokens / 5);
  });

  it('takes another share, with another noise or none, from the same scores', async () => {
    const made = async () => {
      const files = (await readdir(at('work/stages/1'), { recursive: true })).filter(
        (name) => !/selection|plan|scorer/.test(name),
      );
      return Promise.all(files.sort().map(async (name) => [name, (await stat(at(`work/stages/1/${name}`))).ino]));
    };
    const before = await made();
    const flags = ['--method', 'hard-top-k', '--fraction', '0.1', '--threads', '2'];
    const { code, stdout } = await select('--work', at('work'), ...flags, '--json');
    expect(code).toBe(0);
    const { selectedRows, poolRows } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(selectedRows).toBe(Math.floor(poolRows / 10));
    const { utility } = await readParquet(await readFile(at('best.parquet')), { utility: 'FLOAT' });
    const scores = await readFile(at('work/stages/1/scores/00000/scores.f32'));
    const all = new Float32Array(new Uint8Array(scores).buffer).sort().reverse();
    expect(Float32Array.from(utility).sort().reverse()).toEqual(all.slice(0, selectedRows));
    expect(JSON.parse(await readFile(at('work/stages/1/selection.json'), 'utf8')).method).toBe('hard-top-k');
    const hard = await readFile(at('best.parquet'));
    expect((await mates('replay', at('work'))).stdout).toMatch(/2 of 2 files/);
    expect((await mates('replay', at('work'), '--from', 'scores')).stdout).toMatch(/3 of 3 files/);
    expect((await select('--work', at('work'), '--fraction', '0.1', '--temperature', '0.2')).code).toBe(0);
    expect(await readFile(at('best.parquet'))).not.toEqual(hard);
    expect(await made()).toEqual(before);
  });

  it('warns of a weak influence model in the names of its flags', async () => {
    const { code, stdout, stderr } = await select('--work', at('weak'), '--labels', '20', '--out', at('weak.parquet'));
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /\nWarning: the influence model is weak: its Spearman .*\. With another --work, raise --labels, give --features, or choose another --method\./,
    );
    expect(stderr).toMatch(
      /\nWarning: the influence model is weak: its .* Rows are selected by influence\. With another --work, raise --labels, /,
    );
    expect(stderr).not.toMatch(/stage|probe\.|influenceModel/);
  });

  it('warns of labels that too high a learning rate makes worthless, whatever their Spearman, and again on a second call', async () => {
    const far = ['--work', at('far'), '--learning-rate', '50', '--out', at('far.parquet')];
    for (const { code, stdout } of [await select(...far), await select(...far)]) {
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /\nWarning: the labels are weak: lookahead's steps .* worse model\. With another --work, lower --learning-rate/,
      );
    }
  });

  it('an oracle selects none of the rows that its probes compare with', async () => {
    const outputs = ['--out', at('oracle.parquet'), '--documents', at('oracle.jsonl')];
    const { code, stdout } = await select('--work', at('oracle'), '--method', 'oracle', ...outputs, '--json');
    expect(code).toBe(0);
    const { index } = await openCorpus(new DirectoryStore(at('corpus')));
    const { firstRow } = index.shards.at(-1)!;
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({
      poolRows: firstRow,
      selectedRows: Math.floor(firstRow / 5),
    });
    const { row } = await readParquet(await readFile(at('oracle.parquet')), { row: 'INT64' });
    expect(Math.max(...row)).toBeLessThan(firstRow);
    const lines = (await readFile(at('oracle.jsonl'), 'utf8')).trim().split('\n');
    const tokens = lines.reduce((total, line) => total + JSON.parse(line).tokens, 0);
    expect(tokens).toBe(firstRow * index.sequenceLength);
  });

  it('refuses the work folder of another checkpoint, and leaves it as it is', async () => {
    await checkpoint('second', { initializerStd: 0.1 });
    const before = await readFile(at('best.parquet'));
    const { code, stderr } = await select('--work', at('work'), '--checkpoint', at('second'));
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /--work .*another selection: --checkpoint was another \(model.safetensors, config.json had other/,
    );
    expect(await readFile(at('best.parquet'))).toEqual(before);
  });

  it('labels as many rows as it says that it can, at the cost that it reports', async () => {
    const refused = await select('--work', at('most'), '--labels', '100000');
    expect(refused.code).toBe(2);
    const most = /--labels 100000: .* Set --labels to (\d+) or less/.exec(refused.stderr)![1]!;
    const { code, stderr } = await select('--work', at('most'), '--labels', most, '--features', 'loss,dsir');
    expect(code).toBe(0);
    const [, labelling, scoring] = /labelling (\S+) .*, scoring (\S+) /.exec(stderr)!.map(Number);
    const taken = { labelling: 0, scoring: 0 };
    for (const file of await readdir(at('most/stages/1/timings'))) {
      const { job, flops } = JSON.parse(await readFile(at(`most/stages/1/timings/${file}`), 'utf8'));
      taken[job.startsWith('score-') ? 'scoring' : 'labelling'] += flops;
    }
    expect(scoring! / taken.scoring).toBeCloseTo(1, 1);
    // Lookahead may stop before its last step.
    expect(taken.labelling).toBeGreaterThan(0.5 * labelling!);
    expect(taken.labelling).toBeLessThan(1.1 * labelling!);
  });

  it('only reports the cost, and computes nothing, when asked to', async () => {
    const lines = Array.from({ length: 11 }, (_, i) => ({
      context: 'So they said '.repeat(i),
      continuation: `again ${i}.`,
    }));
    await writeFile(
      at('pairs.jsonl'),
      lines
        .slice(1)
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(''),
    );
    const flags = ['--dry-run', '--json', '--reference', at('pairs.jsonl'), '--target', 'last-word'];
    const { code, stdout } = await select('--work', at('dry'), '--out', at('dry.parquet'), ...flags);
    expect(code).toBe(0);
    const { poolRows, poolDocuments, ...result } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    const { rows, ...index } = JSON.parse(await readFile(at('corpus/corpus.json'), 'utf8'));
    expect([poolRows, poolDocuments]).toEqual([rows, index.documents]);
    expect(result).toMatchObject({
      selectedRows: Math.floor(rows / 5),
      labels: 60,
      reference: { passages: 8, found: 10 },
    });
    expect(result.operations.labelling).toBeGreaterThan(0);
    expect(stdout).toMatch(
      /pairs\.jsonl: 8 of 10 passages, [1-7] cut to their last 32 tokens; --passages leaves out 2\.\n/,
    );
    expect((await readdir(folder)).filter((name) => name.startsWith('dry'))).toEqual([]);
  });

  it('lists every engine in its help', async () => {
    const { stdout } = await mates('select', '--help');
    for (const runtime of runConfig.shape.engine.unwrap().shape.runtime.unwrap().options)
      expect(stdout).toContain(`"${runtime}"`);
  });

  it('needs no labels with another method', async () => {
    const { code, stdout } = await select('--work', at('dsir'), '--method', 'dsir', '--fraction', '0.1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/rows\.\n/);
    expect(stdout).not.toContain('Spearman');
  });

  it('adds the score of the classifier', async () => {
    const weights = ['--method', 'dsir', '--classifier-weight', '2'];
    const { code } = await select(
      '--work',
      at('beside'),
      ...weights,
      '--fraction',
      '0.1',
      '--out',
      at('beside.parquet'),
    );
    expect(code).toBe(0);
    const { parts } = JSON.parse(await readFile(at('beside/stages/1/scorer.json'), 'utf8'));
    expect(parts.map(({ kind, weight }: { kind: string; weight: number }) => [kind, weight])).toEqual([
      ['dsir', 1],
      ['classifier', 2],
    ]);
  });

  it('reads a model by the shape that its config.json describes', async () => {
    const losses: Float64Array[] = [];
    const utilities: number[][] = [];
    const llama = { architecture: 'llama', keyValueHeads: 1, attentionBias: 'qkv' } as const;
    const variants = { pythia: {}, sequential: { parallelResidual: false }, other: OTHER_GPT, llama };
    for (const [name, variant] of Object.entries(variants)) {
      await checkpoint(name, variant);
      const flags = ['--checkpoint', at(name), '--work', at(`work-${name}`), '--fraction', '1'];
      const { code, stdout, stderr } = await select(...flags, '--method', 'perplexity');
      expect(code).toBe(0);
      expect(stdout + stderr).toMatch(
        /reference\.jsonl: not used, as --method perplexity asks the checkpoint alone\.\n/,
      );
      utilities.push((await readParquet(await readFile(at('best.parquet')), { utility: 'FLOAT' })).utility);
      losses.push(await lossesBy(name));
    }
    for (const own of losses.keys())
      for (const [other, loss] of losses.entries()) {
        const agreement = pearson(utilities[own]!, Array.from(loss));
        if (other === own) expect(agreement).toBeCloseTo(-1, 4);
        else expect(agreement).toBeGreaterThan(-0.99);
      }
  });

  it('takes the same tokenizer when Transformers has saved it again', async () => {
    const json = JSON.parse(await readFile(at('corpus/tokenizer.json'), 'utf8'));
    json.model.merges = json.model.merges.map((merge: string | string[]) =>
      typeof merge === 'string' ? merge.split(' ') : merge.join(' '),
    );
    await checkpoint('saved-again', { tokenizer: JSON.stringify({ ...json, post_processor: { type: 'ByteLevel' } }) });
    const { code } = await select('--dry-run', '--checkpoint', at('saved-again'), '--work', at('none'));
    expect(code).toBe(0);
  });

  it('warns of a checkpoint that ends documents by another token', async () => {
    await checkpoint('other-end');
    const file = at('other-end/config.json');
    // An ordinary token, such as the default of Transformers, ends no documents.
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), eos_token_id: 7 }));
    const told = async () => {
      const { code, stdout } = await select('--dry-run', '--checkpoint', at('other-end'), '--work', at('none'));
      expect(code).toBe(0);
      return stdout;
    };
    expect(await told()).not.toContain('eos_token');
    await writeFile(at('other-end/tokenizer_config.json'), JSON.stringify({ eos_token: { content: '<|stop|>' } }));
    expect(await told()).toMatch(
      /other-end has <\|stop\|> as its eos_token, but documents of \S+ end with <\|endoftext\|>\. .* --end-of-text '<\|stop\|>'\./,
    );
  });

  it('refuses weights that are not finite', async () => {
    await checkpoint('infinite', { initializerStd: Number.POSITIVE_INFINITY });
    const { code, stderr } = await select('--dry-run', '--checkpoint', at('infinite'), '--work', at('none'));
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/infinite: gpt_neox\.\S+ has values that are not finite: /),
    ]);
  });

  it.each<[string, string[], RegExp, number?]>([
    ['labels for a method without', ['--method', 'dsir', '--labels', '60'], /^mates: --labels: --method dsir does not/],
    ['a fraction above 1', ['--fraction', '1.5'], /--fraction 1\.5: expected a share/],
    ['a corpus that is none', ['--corpus', 'examples'], /holds no prepared corpus/, 1],
    ['a folder to write to', ['--out', 'examples'], /--out examples: that is a folder/],
    ['a file in a file', ['--text', 'README.md/best.jsonl'], /--text .*: There is a file where a folder is needed/],
    ['another tokenizer', ['--checkpoint', 'other'], /prepared with another tokenizer than the checkpoint's/],
    [
      'a work folder of another selection',
      ['--work', 'work', '--seed', '9'],
      /--work .*the folder has another selection: --seed was 1 and is now 9/,
    ],
    [
      'a work folder that is a corpus',
      ['--work', 'corpus'],
      /--work .*has a corpus\.json and no select\.json: it is a corpus's/,
    ],
  ])('refuses %s', async (_, flags, message, status = 2) => {
    await checkpoint('other', { tokenizer: '{}' });
    const own = flags.map((flag) => (['other', 'work', 'corpus'].includes(flag) ? at(flag) : flag));
    const { code, stderr } = await select('--work', at('refused'), ...own);
    expect(code).toBe(status);
    expect(stderr).toMatch(message);
  });

  it('refuses a single reference passage in a dry run too, as lookahead keeps some aside', async () => {
    await writeFile(at('one.jsonl'), JSON.stringify({ text: 'A single passage, and no other.' }));
    const { code, stderr } = await select('--dry-run', '--reference', at('one.jsonl'), '--work', at('none'));
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/--reference has 1 passage, counting equal ones once: too few for --method "lookahead"/),
    ]);
  });

  it('refuses a work folder in a dry run too, and writes nothing there', async () => {
    const { code, stderr } = await select('--dry-run', '--work', at('work'), '--seed', '9');
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--work .*another selection: --seed was 1 and is now 9/)]);
    expect((await select('--dry-run', '--work', at('unclaimed'))).code).toBe(0);
    await expect(readdir(at('unclaimed'))).rejects.toThrow('ENOENT');
  });

  it('is refused where another process writes to the work folder', async () => {
    await mkdir(at('locked'));
    await writeFile(at('locked/.lock'), `${process.pid}\n`);
    const { code, stderr } = await select('--work', at('locked'));
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/is writing to it \(lock file .*\); wait for it, stop it, or name another --work\./),
    ]);
  });

  it('warns of a checkpoint that has no tokenizer to compare with', async () => {
    await checkpoint('bare');
    await rm(at('bare/tokenizer.json'));
    const { code, stdout } = await select('--dry-run', '--checkpoint', at('bare'), '--work', at('bare-work'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/Warning: \S*bare has no tokenizer\.json, so nothing shows/);
  });

  it('says what a reference file lacks', async () => {
    await writeFile(at('broken.jsonl'), '{"txt": 1}\n');
    const { code, stderr } = await select('--work', at('broken'), '--reference', at('broken.jsonl'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/broken\.jsonl, line 1/);
    await expect(readdir(at('broken'))).rejects.toThrow('ENOENT'); // otherwise the mended file would be refused there
  });
});
