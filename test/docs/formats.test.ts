import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { globSync } from 'tinyglobby';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  armLayout,
  CORPUS_FOLDER,
  INPUTS_FILE,
  MANIFEST_FILE,
  PASSAGES_FILE,
  REPORT_FILE,
  RUN_FILE,
  SAGEMAKER_FOLDER,
  SUMMARY_FILE,
  stageLayout,
} from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { makeManifest } from '../../core/run/manifest.ts';
import { summarise } from '../../core/run/summary.ts';
import { getJson, putJson } from '../../core/storage/index.ts';
import { TASK_FILES, TinyRun, tinyConfig } from '../containers/support.ts';

const execute = promisify(execFile);
const page = await readFile('docs/formats.md', 'utf8');

let tiny: TinyRun;
beforeAll(async () => {
  const tasks = TASK_FILES.map((file) => ({ file }));
  // Whatever has files of its own is in it.
  const over = {
    evaluation: { rowsPerDomain: 2, tasks },
    probe: { checkpoint: 'decayed' },
    influenceModel: { features: ['dsir', 'hidden'], minimumSpearman: -1 },
  };
  tiny = await TinyRun.create(tinyConfig(over));
  await tiny.prepare();
  await tiny.stage(0);
  await tiny.stage(1);
  await putJson(tiny.store, SUMMARY_FILE, await summarise(tiny.run));
  await putJson(tiny.store, MANIFEST_FILE, await makeManifest(tiny.run));
});

/** The first cells of the first table with a header after a place of the page. */
function firstCells(from: string, header: string): string[] {
  const start = page.indexOf(from);
  const table = page.indexOf(`\n| ${header} |`, start);
  if (start < 0 || table < 0) throw new Error(`the page has no table of ${header} after ${from}`);
  const rows = page.slice(table + 1, page.indexOf('\n\n', table + 1)).split('\n');
  return rows.slice(2).map((row) => /^\| `([^`]+)`/.exec(row)?.[1] ?? row);
}

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Whether the page says, in a field's row, that it may be missing. */
const mayBeAbsent = (field: string) => new RegExp(`\\| \`${literal(field)}\` \\| [^\\n]*absent`).test(page);

/** The paths of a JSON value's leaves, such as `a.b[].c`. */
function leaves(value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => leaves(item, `${at}[]`));
  if (typeof value !== 'object' || value === null) return [at];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, at ? `${at}.${name}` : name));
}

/** Whether a row of the page is about a leaf or what it is part of; `domains.<domain>` stands for any name. */
function isAbout(field: string, leaf: string): boolean {
  const names = field.split(/<\w+>/).map(literal).join('.+');
  return new RegExp(`^${names}($|\\.|\\[\\])`).test(leaf);
}

describe('docs/formats.md', () => {
  it('names every format that the code writes or reads', async () => {
    const sources = globSync('{bin,containers,core,engine,functions,lib,local,report}/**/*.ts');
    const code = (await Promise.all(sources.map((file) => readFile(file, 'utf8')))).join();
    const used = new Set(Array.from(code.matchAll(/mates-[a-z-]+\/\d+/g), ([format]) => format));
    expect(used.size).toBeGreaterThan(10);
    for (const format of used) expect(page).toContain(`\`${format}\``);
  });

  it('names every path of the layout', () => {
    const described = new Set(firstCells('## Where everything is', 'path'));
    const stage = stageLayout(7);
    const arm = armLayout(7, 'main');
    const made = [
      ...[RUN_FILE, INPUTS_FILE, PASSAGES_FILE, `${CORPUS_FOLDER}/`, MANIFEST_FILE, SUMMARY_FILE, REPORT_FILE],
      `${stage.root}/${SAGEMAKER_FOLDER}-<arm>/`,
      ...[...Object.values(stage), ...Object.values(arm)].map((value) =>
        typeof value === 'function' ? (value as (name: never) => string)(3 as never) : value,
      ),
    ];
    const named = (path: string) =>
      path
        .replace('stages/7', 'stages/<k>')
        .replace('000000003', '<step>')
        .replace('00003', '<i>')
        .replace('timings/3', 'timings/<job>');
    for (const path of made.map(named)) {
      if (path === 'stages/<k>') continue;
      const folder = path.endsWith('/') ? path : `${path}/`;
      const found = [...described].some((row) => row === path || row === folder || row.startsWith(folder));
      expect(found, `${path} is in the table of paths`).toBe(true);
    }
    expect(described).toContain(`${armLayout(7, 'control').root.replace('7', '<k>')}/`);
  });

  it('lists no path that a run does not write', async () => {
    const keys = await tiny.store.list('');
    for (const row of firstCells('## Where everything is', 'path')) {
      if (/partial|interrupted|logs|report|executions|classifier|sagemaker/.test(row)) continue; // there while a job runs, after one was interrupted, where something was printed, on AWS, or with another method
      const prefix = new RegExp(`^${literal(row).replaceAll(/<\w+>/g, '[^/]+')}`);
      expect(
        keys.some((key) => prefix.test(key)),
        row,
      ).toBe(true);
    }
  });

  describe.each([
    ['### `corpus.json`', 'corpus/corpus.json'],
    ['### `run.json`', 'run.json'],
    ['### `inputs.json`', 'inputs.json'],
    ['### `passages.json`', 'passages.json'],
    ['### `summary.json`', 'summary.json'],
    ['### `manifest.json`', 'manifest.json'],
    ['### `plan.json`', 'stages/1/plan.json'],
    ['`influence-model.json`, `mates', 'stages/1/influence-model/influence-model.json'],
    ['`fit.json`, `mates', 'stages/1/influence-model/fit.json'],
    ['`ridge.json`, `mates', 'stages/1/influence-model/ridge.json'],
    ['### DSIR', 'stages/1/dsir.json'],
    ['### Scorer', 'stages/1/scorer.json'],
    ['`index.json`, `mates', 'stages/1/scores/00000/index.json'],
    ['`selection.json`, `mates', 'stages/1/selection.json'],
    ['`training.json`, `mates', 'stages/1/checkpoint/training.json'],
    ['### `metrics.json`', 'stages/1/metrics.json'],
    ['### `evaluation.json`', 'stages/0/evaluation.json', 'stages/1/evaluation.json'],
    ['### Timings', 'stages/1/timings/probe-0.json'],
  ])('the fields after %s', (place, ...keys) => {
    const key = keys.join(' and ');
    it(`are those of ${key}`, async () => {
      const fields = firstCells(place, 'field');
      const files = await Promise.all(keys.map((key) => getJson(tiny.store, key)));
      const real = [...new Set(files.flatMap((file) => leaves(file)))];
      expect(new Set(fields).size).toBe(fields.length);
      for (const field of fields)
        expect(mayBeAbsent(field) || real.some((leaf) => isAbout(field, leaf)), `${field} is in ${key}`).toBe(true);
      for (const leaf of real)
        expect(
          fields.some((field) => isAbout(field, leaf)),
          `${leaf} of ${key} is described`,
        ).toBe(true);
    });
  });

  it.each([
    ['### Shards', 'corpus/shards/00000.parquet', 'STRING', ['text', 'domain', 'documents']],
    ['### Probes', 'stages/1/probes/00000.parquet', 'DOUBLE', ['loss', 'baseline', 'influence']],
    ['### Selection', 'stages/1/selection.parquet', 'FLOAT', ['utility']],
  ] as const)('has the columns of the Parquet after %s', async (place, key, type, columns) => {
    const described = firstCells(place, 'column');
    expect(described).toEqual(expect.arrayContaining(['row', ...columns]));
    const wanted = Object.fromEntries(described.map((name) => [name, name === 'row' ? 'INT64' : type] as const));
    const read = await readParquet({ store: tiny.store, key }, wanted);
    for (const name of described) expect(read[name]!.length).toBeGreaterThan(0);
  });

  it.each(['probe-items.json', 'score-items.json'])('has the fields of an item of %s', async (file) => {
    const [, fields] = new RegExp(`\\| \`${file}\` \\| \`{([^}]+)}\``).exec(page)!;
    for (const item of await getJson<object[]>(tiny.store, `stages/1/${file}`))
      expect(Object.keys(item).join(', ')).toBe(fields);
  });

  it('has headings for all its links', () => {
    const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const [, anchor] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor);
  });
});

describe('the examples', () => {
  const blocks = (language: string) =>
    [...page.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, code]) => code!);

  it('in TypeScript run and find the same score in both files', async () => {
    const [code] = blocks('ts');
    const folder = await mkdtemp(join('test', 'docs', '.example-')); // inside the package, where its imports are found
    try {
      await writeFile(join(folder, 'example.ts'), code!);
      const { stdout } = await execute(process.execPath, [
        '--import',
        'tsx',
        join(folder, 'example.ts'),
        tiny.directory,
      ]);
      const [, utility] = /utility (\S+)/.exec(stdout)!;
      expect(stdout).toContain(`scored ${utility} by job`);
      expect(stdout.split('\n')[1]!.split(' ')).toHaveLength(32);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('in Python run, where the packages are installed', async (context) => {
    const packages = 'import pandas, pyarrow, numpy, safetensors';
    await execute('python3', ['-c', packages]).catch(() => context.skip('no Python with pandas, pyarrow, safetensors'));
    const scripts = blocks('python');
    expect(scripts).toHaveLength(3);
    for (const script of scripts)
      expect((await execute('python3', ['-c', script, tiny.directory])).stdout).not.toBe('');
  });
});
