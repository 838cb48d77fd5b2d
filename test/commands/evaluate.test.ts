import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DirectoryStore } from '../../core/storage/index.ts';
import { trainBpe } from '../../core/tokenizer/index.ts';
import { loadTokenizer } from '../../core/tokenizer/load.ts';
import { AdamW } from '../../engine/adamw.ts';
import { saveCheckpoint } from '../../engine/checkpoint.ts';
import { LanguageModel } from '../../engine/language-model.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { mates } from '../end-to-end/support.ts';

const TEXTS = ['the cat sat on the mat', 'a dog', 'and then they all went home again, one by one'];

describe('mates evaluate', () => {
  let folder: string;
  let perText: number[][];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mates-evaluate-'));
    const json = trainBpe(TEXTS, 280);
    const tokenizer = loadTokenizer(json, 'tokenizer.json');
    const shape = {
      ...{ layers: 1, width: 16, heads: 2, vocabularySize: 384 },
      ...{ rotaryFraction: 0.25, rotaryBase: 10_000, layerNormEpsilon: 1e-5, initializerStd: 0.3 },
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
      const tokens = Int32Array.from(tokenizer.encode(text));
      perText.push([...(await model.tokenLosses(parameters, { batch: 1, length: tokens.length, tokens }))]);
    }
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('gives the mean loss of plain text lines, over tokens and over passages', async () => {
    const { code, stdout } = await mates('evaluate', folder, '--task', join(folder, 'task.jsonl'), '--json');
    expect(code).toBe(0);
    const { results, loss } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(loss).toBeCloseTo(mean(perText.flat()), 5);
    expect(results[0].passageLoss).toBeCloseTo(mean(perText.map(mean)), 5);
    expect(results[0].passages).toBe(3);
  });

  it('says when passages are longer than the model reads', async () => {
    const task = join(folder, 'long.jsonl');
    await writeFile(task, JSON.stringify({ text: TEXTS.join(' ').repeat(9) }));
    const { code, stderr } = await mates('evaluate', folder, '--task', task, '--json');
    expect(code).toBe(0);
    expect(stderr).toMatch(/1 of 1 passages are longer than the model's 64 tokens/);
  });

  it.each([
    ['a task that is not there', ['--task', 'none.jsonl'], 1, /none\.jsonl: no such file/],
    ['an unknown target', ['--task', 'x', '--target', 'word'], 2, /--target word: expected passage or last-word/],
  ])('refuses %s', async (_, args, code, message) => {
    const finished = await mates('evaluate', folder, ...args);
    expect(finished.code).toBe(code);
    expect(finished.stderr).toMatch(message);
  });
});
