import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { DirectoryStore } from '../../core/storage/index.ts';
import { trainBpe } from '../../core/tokenizer/index.ts';
import { loadTokenizer } from '../../core/tokenizer/load.ts';
import { AdamW } from '../../engine/adamw.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { mates } from '../end-to-end/support.ts';
import { temporaryFolder } from '../support.ts';

const QUIZ = resolve('test/fixtures/tasks/quiz.jsonl');
const TEXTS = ['the cat sat on the mat', 'a dog', 'and then they all went home again, one by one'];

describe('mates evaluate', () => {
  let folder: string;
  let perText: number[][];
  beforeAll(async () => {
    folder = await temporaryFolder();
    const json = trainBpe(TEXTS, 280);
    const tokenizer = loadTokenizer(json, 'tokenizer.json');
    const shape = {
      layers: 1,
      width: 16,
      heads: 2,
      vocabularySize: 384,
      rotaryFraction: 0.25,
      rotaryBase: 10_000,
      layerNormEpsilon: 1e-5,
      initializerStd: 0.3,
    };
    const model = new LanguageModel(await createRuntime('onnx', { threads: 1 }), shape);
    const parameters = initialParameters(model.specs, 5);
    const optimizer = new AdamW(parameters.flat.length, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0 });
    const store = new DirectoryStore(folder);
    await saveCheckpoint(store, '', {
      shape,
      parameters,
      optimizer,
      endOfText: 0,
      contextLength: 64,
      state: { step: 0, tokens: 0 },
    });
    await store.put('tokenizer.json', json);
    await writeFile(join(folder, 'task.jsonl'), TEXTS.map((text) => JSON.stringify({ text })).join('\n'));
    perText = [];
    for (const text of TEXTS) {
      const tokens = Int32Array.from([tokenizer.endOfText, ...tokenizer.encode(text)]);
      perText.push([...(await model.tokenLosses(parameters, { batch: 1, length: tokens.length, tokens }))]);
    }
  });

  it('gives the mean loss of plain text lines, over tokens and over passages', async () => {
    const { code, stdout } = await mates('evaluate', folder, '--task', join(folder, 'task.jsonl'), '--json');
    expect(code).toBe(0);
    const { results, loss } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(loss).toBeCloseTo(mean(perText.flat()), 5);
    expect(results[0].passageLoss).toBeCloseTo(mean(perText.map(mean)), 5);
    expect(results[0].passages).toBe(3);
  });

  it.each(['words.jsonl', 'model.safetensors'])('does not overwrite %s with samples', async (name) => {
    const path = join(folder, name);
    await writeFile(join(folder, 'words.jsonl'), await readFile('test/fixtures/tasks/words.jsonl'));
    const before = await readFile(path);
    const { code, stderr } = await mates(
      ...['evaluate', folder, '--samples', path, '--task', join(folder, 'words.jsonl')],
    );
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--samples \S+: that is .* is read and stays as it is/)]);
    expect(await readFile(path)).toEqual(before);
  });

  it('names mates export where a run is given in place of a model', async () => {
    const run = await temporaryFolder();
    await writeFile(join(run, 'run.json'), '{}');
    const { code, stderr } = await mates('evaluate', run, '--task', QUIZ);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `${run}: that is a run, not a model: write its model to a folder with mates export ${run} --out`,
    );
  });

  it('measures nothing where the samples cannot be written', async () => {
    const { code, stdout, stderr } = await mates(
      ...['evaluate', folder, '--samples', '/proc/mates/samples.jsonl', '--task', QUIZ],
    );
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^mates: --samples \/proc\/mates\/samples\.jsonl: .+ \(\/(proc)?\): .+\.\n$/);
  });

  it('prints the results before the samples fail', async () => {
    const samples = join(folder, `${'s'.repeat(240)}.jsonl`); // its partial file's name is longer than a file system takes
    const { code, stdout, stderr } = await mates('evaluate', folder, '--samples', samples, '--task', QUIZ, '--json');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/mates: A name is too long/)]);
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!).results[0].items).toBe(4);
  });

  it('scores tasks of every layout, writes each likelihood, and gives the losses of texts as well', async () => {
    const tasks = ['quiz', 'names', 'words', 'lines'].map((name) => resolve(`test/fixtures/tasks/${name}.jsonl`));
    const samples = join(folder, 'samples.jsonl');
    const { code, stdout, stderr } = await mates(
      'evaluate',
      folder,
      '--json',
      '--samples',
      samples,
      '--task',
      ...tasks,
    );
    expect(code).toBe(0);
    const { results, mean } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(results).toMatchObject([
      { file: tasks[0], task: 'quiz', layout: 'choices', items: 4 },
      { task: 'names', layout: 'contexts', items: 3 },
      { task: 'words', layout: 'continuation', items: 3 },
      { task: 'lines', layout: 'text', items: 2, passages: 2 },
    ]);
    expect(mean.acc).toBeCloseTo((results[0].acc + results[1].acc) / 2, 12);
    expect(results[3].bitsPerByte).toBeGreaterThan(0);
    expect(stderr).toMatch(/words\.jsonl: 1 of 3 contexts is longer than the model's 64 tokens/);

    const lines = (await readFile(samples, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const quiz = lines.filter(({ task }) => task === 'quiz');
    expect(quiz.map(({ line, option }) => `${line}.${option}`)).toEqual([
      '1.0',
      '1.1',
      '1.2',
      '2.0',
      '2.1',
      '2.2',
      '3.0',
      '3.1',
      '3.2',
      '3.3',
      '4.0',
      '4.1',
    ]);
    const right = [1, 2, 3, 4].filter((item) => {
      const of = quiz.filter(({ line }) => line === item);
      const best = of.reduce((a, b) => (b.logLikelihood > a.logLikelihood ? b : a));
      return best.option === best.gold;
    });
    expect(results[0].acc).toBe(right.length / 4);
    const nats = lines
      .filter(({ task }) => task === 'words')
      .reduce((sum, { logLikelihood }) => sum - logLikelihood, 0);
    expect(Math.log(results[2].perplexity)).toBeCloseTo(nats / 3, 10);
  });

  it('prints a table, and its progress elsewhere', async () => {
    const tasks = ['quiz', 'words'].map((name) => resolve(`test/fixtures/tasks/${name}.jsonl`));
    const { stdout, stderr } = await mates('evaluate', folder, '--limit', '2', '--batch', '3', '--task', ...tasks);
    expect(stdout).toMatch(/│ task +│ items │ +acc │ +acc_norm │ +perplexity │/);
    expect(stdout).toMatch(/│ quiz +│ +2 │ [01]\.\d{4} ± \d\.\d{4} │ [01]\.\d{4} ± /);
    expect(stderr).not.toContain('│');
  });

  it('measures the losses of any file with --target', async () => {
    const task = resolve('test/fixtures/tasks/words.jsonl');
    const { stdout } = await mates('evaluate', folder, '--task', task, '--target', 'last-word', '--json');
    const { results, loss } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    const { stdout: scored } = await mates('evaluate', folder, '--task', task, '--json');
    expect(results[0]).toMatchObject({ passages: 3, loss });
    expect(results[0].acc).toBeUndefined();
    expect(JSON.parse(scored.trim().split('\n').at(-1)!).loss).toBeCloseTo(loss, 2); // one more token of context fits
  });

  it('gives an overall loss only where exactly one file has a loss, wherever it stands in the list', async () => {
    const words = resolve('test/fixtures/tasks/words.jsonl');
    const lossOf = async (...files: string[]) => {
      const { stdout } = await mates('evaluate', folder, '--task', ...files, '--limit', '2', '--json');
      const { results, loss } = JSON.parse(stdout.trim().split('\n').at(-1)!);
      return [loss, results.map((result: { loss?: number }) => result.loss)];
    };
    const [only, losses] = await lossOf(QUIZ, words);
    expect([only, losses]).toEqual([expect.any(Number), [undefined, only]]);
    const [none, both] = await lossOf(words, join(folder, 'task.jsonl'));
    expect([none, both]).toEqual([undefined, [only, expect.any(Number)]]);
  });

  it("counts every token of a text that is longer than the model's context, in its loss and in its bits per byte", async () => {
    const text = TEXTS.join(' ').repeat(9);
    const task = join(folder, 'long.jsonl');
    const samples = join(folder, 'windows.jsonl');
    await writeFile(task, `${JSON.stringify({ text })}\n${JSON.stringify({ text: TEXTS[1] })}\n`);
    const { code, stdout, stderr } = await mates(
      ...['evaluate', folder, '--task', task, '--samples', samples, '--json'],
    );
    expect([code, stderr]).toEqual([0, expect.not.stringMatching(/longer than/)]);
    const [result] = JSON.parse(stdout.trim().split('\n').at(-1)!).results;
    const windows = (await readFile(samples, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const tokens = windows.reduce((sum, { targets }) => sum + targets, 0);
    const nats = result.bitsPerByte * Math.LN2 * Buffer.byteLength(text + TEXTS[1]);
    expect(windows.length).toBeGreaterThan(3);
    expect(result.loss).toBeCloseTo(nats / tokens, 10);
  });

  it('begins texts with the bos_token of tokenizer_config.json, and with what the post_processor adds', async () => {
    const begun = await temporaryFolder();
    for (const name of ['config.json', 'model.safetensors']) await copyFile(join(folder, name), join(begun, name));
    const json = JSON.parse(await readFile(join(folder, 'tokenizer.json'), 'utf8'));
    const task = join(folder, 'begun.jsonl');
    await writeFile(task, `${JSON.stringify({ text: TEXTS[1] })}\n`);
    const measured = async () => {
      const { stdout } = await mates('evaluate', begun, '--task', task, '--json');
      return JSON.parse(stdout.trim().split('\n').at(-1)!).loss;
    };
    await copyFile(join(folder, 'tokenizer.json'), join(begun, 'tokenizer.json'));
    const loss = await measured();
    await writeFile(join(begun, 'tokenizer_config.json'), JSON.stringify({ bos_token: { content: 'a' } }));
    expect(await measured()).not.toBe(loss);
    await writeFile(join(begun, 'tokenizer_config.json'), JSON.stringify({ bos_token: null }));
    expect(await measured()).toBe(loss);
    const template = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: 'a' } }, { Sequence: { id: 'A' } }, { SpecialToken: { id: 'b' } }],
      special_tokens: { a: { ids: [json.model.vocab.a] }, b: { ids: [json.model.vocab.b] } },
    };
    const post_processor = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] };
    await writeFile(join(begun, 'tokenizer.json'), JSON.stringify({ ...json, post_processor }));
    expect(await measured()).not.toBe(loss);
    await writeFile(join(begun, 'tokenizer_config.json'), JSON.stringify({ add_bos_token: false }));
    expect(await measured()).toBe(loss);
    const added = { ...json.added_tokens[0], content: '<|stop|>', id: json.model.vocab.a };
    await writeFile(
      join(begun, 'tokenizer.json'),
      JSON.stringify({ ...json, added_tokens: [...json.added_tokens, added] }),
    );
    await writeFile(join(begun, 'tokenizer_config.json'), JSON.stringify({ eos_token: '<|stop|>' }));
    expect(await measured()).not.toBe(loss);
    await writeFile(join(begun, 'tokenizer_config.json'), JSON.stringify({ eos_token: '<|missing|>' }));
    expect(await measured()).toBe(loss);
  });

  it('takes files of one name with --target, where no task is scored', async () => {
    const { code, stdout } = await mates(
      ...['evaluate', folder, '--task', QUIZ.replace('quiz', 'lines'), 'test/fixtures/tasks/lines.jsonl'],
      ...['--target', 'passage'],
    );
    expect([code, stdout.trim().split('\n').length]).toEqual([0, 2]);
  });

  it('says when passages are longer than the model reads', async () => {
    const task = join(folder, 'passage.jsonl');
    await writeFile(task, JSON.stringify({ text: TEXTS.join(' ').repeat(9) }));
    const { code, stderr } = await mates('evaluate', folder, '--task', task, '--target', 'passage', '--json');
    expect(code).toBe(0);
    expect(stderr).toMatch(/1 of 1 passage is longer than the model's 64 tokens/);
  });

  it.each([
    ['a task that is not there', ['--task', 'none.jsonl'], 1, /none\.jsonl: no such file/],
    [
      'a bad line, before anything is measured',
      ['--task', QUIZ, 'package.json'],
      1,
      /package\.json, line 1: not valid/,
    ],
    [
      'a GPU that is not there, by the flag',
      ['--task', QUIZ, '--runtime', 'onnx-cuda'],
      2,
      /^mates: --runtime is onnx-cuda, but .*, or set --runtime to onnx\.\n$/m,
    ],
    [
      'two tasks of one name',
      ['--task', QUIZ, 'test/fixtures/tasks/quiz.jsonl'],
      2,
      /--task \S+quiz\.jsonl test\S+: two tasks are called quiz: leave one out, or rename its file\.\n$/,
    ],
    [
      'samples of passages',
      ['--task', QUIZ, '--target', 'passage', '--samples', 'x.jsonl'],
      2,
      /--samples is for tasks: with --target, files are read as passages/,
    ],
    [
      'an unknown target',
      ['--task', 'x', '--target', 'word'],
      2,
      /'--target <which>' argument 'word' is invalid\. Allowed choices are passage, last-word/,
    ],
  ])('refuses %s', async (_, args, code, message) => {
    const finished = await mates('evaluate', folder, ...args);
    expect(finished.code).toBe(code);
    expect(finished.stderr).toMatch(message);
  });
});
