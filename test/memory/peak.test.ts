/** Peak memory, measured in new processes. Bounds are generous; `bench/memory.ts` measures what docs/performance.md states. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { trainBpe } from '../../core/tokenizer/index.ts';
import { startModule, temporaryFolder } from '../support.ts';

/** Keeps V8 from letting garbage pile up to gigabytes. */
const SMALL_HEAP = ['--max-old-space-size=128', '--max-semi-space-size=4'];

/** Peak memory, in MB, of a process that runs the text of a module, which may write to its `folder`. */
async function peakOf(source: string, folder?: string): Promise<number> {
  const path = JSON.stringify(folder ?? (await temporaryFolder()));
  const report = `import { peakMegabytes } from './bench/measure.ts';\nconsole.log(peakMegabytes());`;
  const child = startModule(`const folder = ${path};\n${source}\n${report}`, SMALL_HEAP);
  let [out, err] = ['', ''];
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    err += data;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(err);
  return Number(out);
}

it('a corpus of four times the documents is prepared in the same memory', async () => {
  // Words are long and have a token each, so that much text is read in little time.
  const words = Array.from({ length: 16 }, (_, i) => String.fromCharCode(97 + i).repeat(60));
  const tokenizer = join(await temporaryFolder(), 'tokenizer.json');
  await writeFile(tokenizer, trainBpe([words.join(' ')], 1400));
  /** Distinct documents of some 1,200 bytes. */
  const lines = function* (documents: number) {
    for (let i = 0; i < documents; i++) {
      const text = Array.from({ length: 20 }, (_, j) => words[(i * 7 + j * j) % words.length]).join(' ');
      yield `${JSON.stringify({ id: `d${i}`, domain: `domain ${i % 5}`, text: `${i} ${text}` })}\n`;
    }
  };
  const peak = async (documents: number) => {
    const input = join(await temporaryFolder(), 'in.jsonl');
    await writeFile(input, lines(documents));
    return peakOf(`
      import { prepareCorpus } from './core/corpus/prepare.ts';
      import { DirectoryStore, storeOpener } from './core/storage/index.ts';
      const { documents } = await prepareCorpus({
        opener: storeOpener(),
        inputs: [${JSON.stringify(input)}],
        tokenizer: { file: ${JSON.stringify(tokenizer)} },
        sequenceLength: 64,
        shards: 2,
        seed: 1,
        fields: { text: 'text', domain: 'domain', id: 'id' },
        target: new DirectoryStore(folder),
        progress: () => {},
        spoolBytes: 4 << 20,
      });
      if (documents !== ${documents}) throw new Error(documents + ' documents');`);
  };
  const few = await peak(30_000);
  // What must be held is the same in every run; garbage not yet collected differs by up to 50 MB between two runs.
  const many = Math.min(await peak(120_000), await peak(120_000));
  expect(many - few).toBeLessThan(80); // of 110 MB of text
});

it('a shard of four times the rows is written in the same memory', async () => {
  const peak = (rows: number) =>
    peakOf(`
      import { ShardWriter } from './core/corpus/packing/write-shard.ts';
      import { CounterRandom } from './core/random/philox.ts';
      import { DirectoryStore } from './core/storage/index.ts';
      const random = new CounterRandom(1, 1000);
      const text = Array.from({ length: 1 << 20 }, (_, i) => String.fromCharCode(33 + 90 * random.uniform(i))).join('');
      const tokens = Uint32Array.from({ length: 256 }, (_, i) => i);
      const tokenizer = { decode: () => text.substr((text.length - 1000) * random.uniform(writer.rows), 1000) };
      const format = { tokenizer, sequenceLength: 256, idBytes: 2, domains: new Map([['web', 0]]) };
      const writer = new ShardWriter(new DirectoryStore(folder), 'shard', format, 0);
      for (let i = 0; i < ${rows}; i++) await writer.add({ tokens, documents: ['d' + i], domain: 'web' });
      if ((await writer.finish()).rows !== ${rows}) throw new Error(writer.rows + ' rows');`);
  const [few, many] = [await peak(25_000), await peak(100_000)];
  expect(many - few).toBeLessThan(40); // of 110 MB of files
});

describe('a checkpoint', () => {
  const SHAPE = `{ layers: 2, width: 512, heads: 8, rotaryFraction: 0.25, rotaryBase: 10000, layerNormEpsilon: 1e-5,
    initializerStd: 0.02, vocabularySize: 24576 }`;
  const ARRAYS = 3 * 126; // MB of weights and moments
  const GARBAGE = 110; // up to 83 were seen, with Node 24; a copy of one array would add 126
  const model = `
    import { AdamW } from './engine/adamw.ts';
    import { loadCheckpoint, saveCheckpoint } from './engine/files/checkpoint.ts';
    import { decoderSpecs } from './engine/decoder/decoder.ts';
    import { ParameterSet } from './engine/parameters.ts';
    import { DirectoryStore } from './core/storage/index.ts';
    const store = new DirectoryStore(folder);
    const shape = ${SHAPE};
    const made = () => {
      const parameters = new ParameterSet(decoderSpecs(shape));
      const size = parameters.flat.length;
      const optimizer = new AdamW(size, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 });
      for (const array of [parameters.flat, optimizer.m, optimizer.v]) array.fill(0.5);
      return { shape, parameters, optimizer, state: { step: 1, tokens: 1 }, contextLength: 64, endOfText: 0 };
    };`;

  it('is saved and loaded without a copy of it', async () => {
    const folder = await temporaryFolder();
    const idle = await peakOf(model);
    const saved = await peakOf(`${model} await saveCheckpoint(store, 'a', made());`, folder);
    const loaded = await peakOf(`${model} await loadCheckpoint(store, 'a');`, folder);
    expect(saved - idle).toBeLessThan(ARRAYS + GARBAGE);
    expect(loaded - idle).toBeLessThan(ARRAYS + GARBAGE);
    expect(Math.min(saved, loaded) - idle).toBeGreaterThan(0.8 * ARRAYS); // it was all there
  });
});
