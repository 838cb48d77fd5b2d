/** Each kind of bad input ends the command at once, with one line that names the file or field and the remedy. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support.ts';
import { mates, type TINY, writeConfig } from './support.ts';

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

const line = (text: string) => `${JSON.stringify({ id: 'a', text, domain: 'd' })}\n`;

interface Case {
  name: string;
  /** Corpus files to write, by name; they replace the configuration's input. */
  files?: Record<string, string | Uint8Array>;
  change?: (config: typeof TINY) => void;
  code: 1 | 2;
  message: RegExp;
  /** Nothing may be left under these keys of the run. */
  absent?: string;
}

const cases: Case[] = [
  {
    name: 'a missing corpus file',
    change: (config) => {
      config.corpus.input = ['/nowhere/corpus.jsonl'];
    },
    code: 1,
    message: /\/nowhere\/corpus\.jsonl/,
  },
  {
    name: 'a missing reference file',
    change: (config) => {
      config.reference.input = '/nowhere/reference.jsonl';
    },
    code: 1,
    message: /\/nowhere\/reference\.jsonl.*no such file/,
  },
  { name: 'an empty corpus', files: { 'empty.jsonl': '' }, code: 1, message: /no document|empty/i },
  {
    name: 'documents of only spaces',
    files: { 'spaces.jsonl': line('   ') + line(' \n\t ') },
    code: 1,
    message: /only (white )?space|empty/i,
  },
  {
    name: 'invalid UTF-8',
    files: {
      'bytes.jsonl': Buffer.concat([Buffer.from(line('good')), Buffer.from([0x7b, 0xff, 0xfe, 0x7d, 0x0a])]),
    },
    code: 1,
    message: /bytes\.jsonl.*(line |:)2.*UTF-8/s,
  },
  {
    name: 'a line that is not JSON',
    files: { 'broken.jsonl': `${line('good')}{"text": \n` },
    code: 1,
    message: /broken\.jsonl.*(line |:)2.*JSON/s,
  },
  {
    name: 'a line without the text field, whose field looks like an error and acts on terminals',
    files: { 'other.jsonl': '{"content\\nInterruptedError: \\u001b[31mfine": "words"}\n' },
    code: 1,
    message: /other\.jsonl.*(line |:)1.*text.*content\nInterruptedError: \\u001b\[31mfine/s,
  },
  {
    name: 'a line of more than 10 MB',
    files: { 'long.jsonl': line('word '.repeat(2_200_000)) },
    code: 1,
    message: /long\.jsonl.*(line |:)1.*MB/s,
  },
  {
    name: 'an engine that is not installed',
    change: (config) => {
      Object.assign(config.engine, { runtime: 'tfjs-gpu' });
    },
    code: 2,
    message: /engine\.runtime is tfjs-gpu, but .* cannot be loaded .*set engine\.runtime to onnx/,
    absent: 'corpus/corpus.json', // and so no plan: another engine may be named for the same run
  },
  {
    name: 'a pool smaller than the stage consumes',
    change: (config) => {
      config.pretrain.stepsPerStage = 5000;
    },
    code: 2,
    message: /pretrain\.stepsPerStage.*or less/s,
    absent: 'stages/0/plan.json',
  },
  {
    name: 'more probes than hold-out rows',
    change: (config) => {
      config.probe.documents = 5000;
    },
    code: 2,
    message: /probe\.documents: 5000 probes/,
    absent: 'stages/0/plan.json',
  },
  {
    name: 'a selection smaller than a later stage consumes',
    change: (config) => {
      config.selection.fraction = 0.01;
    },
    code: 2,
    message: /stage 1: .*selection\.fraction 0\.01 keeps/s,
    absent: 'stages/0/plan.json',
  },
  {
    name: 'a loss that is not a number',
    change: (config) => {
      Object.assign(config.pretrain, { learningRate: 1e38, warmupSteps: 0 });
    },
    code: 1,
    message: /the loss is (NaN|-?Infinity).*pretrain\.learningRate/s,
    absent: 'stages/0/checkpoint/training.json',
  },
  {
    name: 'an unknown field',
    change: (config) => {
      (config as Record<string, unknown>).stages = 3;
    },
    code: 2,
    message: /stages: unknown field; the fields here are .*pretrain/,
  },
  {
    name: 'a mistyped field',
    change: (config) => {
      (config.probe as Record<string, unknown>).documents = 'all';
    },
    code: 2,
    message: /probe\.documents: .*"all"/,
  },
];

describe('mates run refuses', () => {
  it.each(cases)('$name', async ({ name, files, change, code, message, absent }) => {
    const own = join(folder, name.replaceAll(' ', '-'));
    await mkdir(own, { recursive: true });
    for (const [file, content] of Object.entries(files ?? {})) await writeFile(join(own, file), content);
    const config = await writeConfig(own, (draft) => {
      if (files) draft.corpus.input = Object.keys(files).map((file) => join(own, file));
      change?.(draft);
    });
    const out = join(own, 'out');
    const finished = await mates('run', config, '--out', out);
    const complaint = finished.stderr.split('\n').filter((text) => text.startsWith('mates: '));
    expect(complaint).toHaveLength(1);
    expect(finished.stderr.slice(finished.stderr.indexOf('mates: '))).toMatch(message);
    expect(finished.stderr).not.toMatch(/^\s+at .*\(.*:\d+:\d+\)/m); // no stack trace
    expect(finished.code).toBe(code);
    if (absent) expect(existsSync(join(out, 'runs/tiny', absent))).toBe(false);
    if (files) expect(existsSync(join(out, 'runs/tiny/corpus/corpus.json'))).toBe(false);
  });

  it('a configuration file that is not there', async () => {
    const { code, stderr } = await mates('run', join(folder, 'none.json'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/none\.json: no such file/);
  });

  it('an id that belongs to a run with another configuration', async () => {
    const config = await writeConfig(folder);
    const out = join(folder, 'taken');
    await mkdir(join(out, 'runs/tiny/stages/0'), { recursive: true });
    await writeFile(join(out, 'runs/tiny/stages/0/plan.json'), '{}');
    await writeFile(
      join(out, 'runs/tiny/run.json'),
      JSON.stringify({ format: 'mates-run/1', id: 'tiny', config: { seed: 99 }, corpus: 'corpus', versions: {} }),
    );
    const { code, stderr } = await mates('run', config, '--out', out);
    expect(code).toBe(2);
    expect(stderr).toMatch(/run tiny is already there with another configuration: .*seed was 99.*--run-id/s);
  });

  it('a run on this machine is kept on its disk', async () => {
    const config = await writeConfig(folder);
    const { code, stderr } = await mates('run', config, '--out', 's3://bucket/runs');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^mates: --out s3:\/\/bucket\/runs: .*name a folder/);
  });

  it('a field that --set does not know', async () => {
    const config = await writeConfig(folder);
    const { code, stderr } = await mates('run', config, '--set', 'pretrain.stepz=3', '--out', join(folder, 'set'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/^mates: --set pretrain\.stepz=3: unknown field; the fields here are stages, /);
  });
});
