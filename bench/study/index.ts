/**
 * The study of docs/results.md: `npx tsx bench/study/index.ts --lambada FILE [--piqa FILE] [--arc-easy FILE] [--folder DIR]
 * [--at-once N] [--only TEXT,...] [--runtime onnx-cuda] [--results DIR] [--prepare]`. Cells of questions that are not given
 * are left out.
 *
 * Fetches the packages, makes the pools and runs every cell of grid.ts that has no result yet, or of those the one with such a
 * name, or all whose name has the text in it, in the order of the texts. Stop it at any time; the same command goes on. Results
 * are `bench/study/results/<cell>.json`, or in --results, with the texts' hashes; analyse.ts makes the tables of them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { exportModel } from '../../bin/commands/export.ts';
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfigInput } from '../../core/config/schema.ts';
import { corpusIndex } from '../../core/corpus/corpus.ts';
import { type PrepareOptions, prepareCorpus } from '../../core/corpus/prepare.ts';
import type { InfluenceFit, SelectionSummary } from '../../core/formats.ts';
import { armLayout, RUN_FILE, SUMMARY_FILE, stageLayout, TOKENIZER_FILE } from '../../core/layout.ts';
import { DirectoryStore, getJson, getJsonIfPresent, storeOpener } from '../../core/storage/index.ts';
import { WEIGHTS_FILE } from '../../engine/files/hugging-face.ts';
import { withPretrainedFields } from '../../engine/files/pretrained-fields.ts';
import { synthesizeMachine } from '../../lib/synthesize.ts';
import { runMachine } from '../../local/run-machine.ts';
import {
  QUESTIONS,
  type Questions,
  REFERENCE_SETS,
  type Setting,
  splitDomains,
  writeCorpus,
  writeQuestions,
} from './corpus.ts';
import {
  type Cell,
  cells,
  configOf,
  isTrained,
  type Place,
  SEQUENCE_LENGTH,
  type TrainedSize,
  trainedConfigOf,
  VOCABULARY,
} from './grid.ts';
import { requireSameTexts } from './same-texts.ts';

const HERE = import.meta.dirname;

const { values } = parseArgs({
  options: {
    lambada: { type: 'string' },
    piqa: { type: 'string' },
    'arc-easy': { type: 'string' },
    folder: { type: 'string', default: 'out/study' },
    'at-once': { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    runtime: { type: 'string', default: 'onnx' },
    results: { type: 'string', default: join(HERE, 'results') },
    /** Only makes the corpora. */
    prepare: { type: 'boolean', default: false },
  },
});
const folder = resolve(values.folder);
const results = resolve(values.results);
const only = values.only.split(',');
const runtime = values.runtime as Place['runtime'];
const optional = Object.keys(QUESTIONS) as Questions[];

/** Packages and texts, made where they are missing. */
async function makeTexts(): Promise<string> {
  const data = join(folder, 'data');
  const done = join(data, 'done');
  if (!existsSync(done)) await makeMost(data, done);
  for (const set of optional) if (values[set]) await writeQuestions(set, values[set], data);
  return data;
}

async function makeMost(data: string, done: string): Promise<void> {
  if (!values.lambada) throw new Error('--lambada FILE: name the test set of LAMBADA as JSON lines, once.');
  const sources = join(folder, 'sources');
  const { status } = spawnSync('sh', [join(HERE, 'sources.sh'), sources], { stdio: 'inherit' });
  if (status !== 0) throw new Error('The packages could not be fetched; see above.');
  await writeCorpus(sources, values.lambada, data);
  await writeFile(done, '');
}

/** What a cell trains on, and the model that it goes on from, if any; made once for all cells that share it. */
function startOf(data: string, cell: Cell): Promise<Start> {
  const name = `${poolOf(cell)}-${cell.seed}`;
  const key = isTrained(cell.size) ? `${cell.size}-${name}` : name;
  let start = starts.get(key);
  if (!start) {
    start = isTrained(cell.size)
      ? trainedStart(data, cell, cell.size, key)
      : makeCorpus(join(data, 'domains'), cell, { train: VOCABULARY }, key).then((corpus) => ({ corpus }));
    starts.set(key, start);
  }
  return start;
}

/** Several reference sets have the same pool; what does not look at them is then the same for all. */
function poolOf({ references }: Cell): string {
  const { without, distinct }: Setting = REFERENCE_SETS[references];
  if (without) return `no-${without}`;
  return distinct ? 'distinct' : 'all';
}

interface Start {
  corpus: string;
  pretrained?: string;
}

/** A model that has read a third of the documents, and a corpus of the others. */
async function trainedStart(data: string, cell: Cell, size: TrainedSize, name: string): Promise<Start> {
  const parts = join(folder, 'parts', name);
  const { before, after } = await splitDomains(join(data, 'domains'), parts, cell.seed);
  const pretrained = join(folder, 'models', name);
  if (!existsSync(join(pretrained, WEIGHTS_FILE))) {
    const corpus = await makeCorpus(before, cell, { train: VOCABULARY }, `${name}-before`);
    const run = await runToEnd(trainedConfigOf(size, cell.seed, { corpus, passages: data, runtime }), name);
    await exportModel(run, { out: pretrained, arm: 'main', decayed: true });
    await rm(run, { recursive: true });
  }
  const tokenizer = { file: join(pretrained, TOKENIZER_FILE) };
  return { corpus: await makeCorpus(after, cell, tokenizer, name), pretrained };
}

/** The prepared corpus of a cell's pool and seed, which deals the documents anew. */
async function makeCorpus(
  texts: string,
  { references, seed }: Cell,
  tokenizer: PrepareOptions['tokenizer'],
  name: string,
): Promise<string> {
  const target = join(folder, 'corpora', name);
  const { without, distinct = false }: Setting = REFERENCE_SETS[references];
  const open = storeOpener();
  // A corpus that does not say its seed is older than 0.4.0, and a run would deal its shards anew.
  if ((await corpusIndex(open(target)))?.seed === undefined) await rm(target, { recursive: true, force: true });
  const domains = (await open(texts).list('')).filter((name) => name !== `${without}.jsonl.gz`);
  await prepareCorpus({
    opener: open,
    inputs: domains.map((name) => join(texts, name)),
    tokenizer,
    sequenceLength: SEQUENCE_LENGTH,
    shards: 64,
    seed,
    removeNearDuplicates: distinct,
    fields: { text: 'text', domain: 'domain', id: 'id' },
    target: open(target),
    progress: () => {},
  });
  return target;
}

/** The jobs as one bundle: each starts in a fraction of the time that it takes from sources. */
async function bundleJobs(): Promise<string> {
  const outdir = resolve('out/study-jobs'); // below the repository, where the bundle finds its native module
  await build({
    entryPoints: ['containers/main.ts'],
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    external: ['onnxruntime-node'],
    mainFields: ['module', 'main'],
    logLevel: 'error',
    banner: { js: "import { createRequire as here } from 'node:module';const require = here(import.meta.url);" },
  });
  await writeFile(join(outdir, 'package.json'), '{ "type": "module" }\n');
  return join(outdir, 'main.js');
}

/** A run's name has at most 48 characters. */
const runIdOf = ({ id }: Cell) =>
  id
    .replace('lookahead-n-gram-dsir', 'ngram')
    .replace('lookahead-every-row', 'every-row')
    .replace('lookahead-model-features', 'features')
    .replace('classifier', 'cls')
    .replace('-trained', 'T')
    .replace('-labels-', '-');

const lake = join(folder, 'lake');
const runOf = (runId: string) => join(lake, 'runs', runId);

/** The folder of the run, which is at its end. */
async function runToEnd(input: RunConfigInput, runId: string): Promise<string> {
  const open = storeOpener();
  const config = parseConfig(await withPretrainedFields({ ...input }, (folder) => open(folder), runId, []), runId);
  await runMachine({
    ...{ template: machine.template, dataTemplate: machine.dataTemplate },
    input: { config: JSON.parse(JSON.stringify(config)), runId },
    executionName: runId,
    lakeDirectory: lake,
    jobs: 1,
    threads: 1,
    program: ([, ...task]) => ({ file: process.execPath, arguments: [main, ...task] }),
  });
  return runOf(runId);
}

async function runCell(cell: Cell, data: string) {
  const start = await startOf(data, cell);
  const runId = runIdOf(cell);
  await shareTraining(cell, runOf(runId));
  const began = Date.now();
  const run = await runToEnd(configOf(cell, { ...start, passages: data, runtime }), runId);
  await mkdir(results, { recursive: true });
  await writeFile(join(results, `${cell.id}.json`), `${JSON.stringify(await resultOf(cell, run), null, 1)}\n`);
  await keepTraining(cell, run);
  await rm(run, { recursive: true });
  console.log(`${new Date().toISOString()} ${cell.id} in ${Math.round((Date.now() - began) / 1000)} s`);
}

/**
 * What a cell trains alike with others, the most first: a run on random rows never looks at its reference set, and in its first stage no
 * run does. It is trained once for a pool, size and seed; each cell evaluates it itself.
 */
function sharedTraining(cell: Cell): { kept: string; part: string }[] {
  const kept = join(folder, 'trained', `${cell.size}-${poolOf(cell)}-${cell.seed}`);
  const first = { kept, part: stageLayout(0).root };
  if (!cell.method.startsWith('random')) return [first];
  return [{ kept: `${kept}-${cell.method.replaceAll(/\W+/g, '-')}`, part: dirname(first.part) }, first];
}

async function shareTraining(cell: Cell, run: string): Promise<void> {
  const found = sharedTraining(cell).find(({ kept }) => existsSync(kept));
  if (!found || existsSync(join(run, RUN_FILE))) return;
  await cp(found.kept, join(run, found.part), { recursive: true });
}

async function keepTraining(cell: Cell, run: string): Promise<void> {
  for (const { kept, part } of sharedTraining(cell).filter(({ kept }) => !existsSync(kept))) {
    const partial = `${kept}.${cell.id}`;
    await cp(join(run, part), partial, { recursive: true, filter: (file) => !basename(file).startsWith('evaluat') });
    await rename(partial, kept).catch(() => rm(partial, { recursive: true })); // another cell was faster
  }
}

/** What is kept of a run: the summary, the fits, and the domains selected. */
async function resultOf(cell: Cell, run: string) {
  const store = new DirectoryStore(run);
  const { stages } = await getJson<{ stages: { stage: number }[] }>(store, SUMMARY_FILE);
  const more = await Promise.all(
    stages.map(async ({ stage }) => {
      const fit = await getJsonIfPresent<InfluenceFit>(store, stageLayout(stage).fit);
      const { selectedDomains } = await getJson<SelectionSummary>(store, armLayout(stage, 'main').selectionSummary);
      return { pearson: fit?.pearson, penalty: fit?.penalty, bestEpoch: fit?.bestEpoch, selectedDomains };
    }),
  );
  const versions = (await getJson<{ versions: object }>(store, RUN_FILE)).versions;
  return { ...cell, runtime, versions, stages: stages.map((stage, i) => ({ ...stage, ...more[i] })) };
}

const data = await makeTexts();
await requireSameTexts(data, results, optional);
const starts = new Map<string, Promise<Start>>();
const main = await bundleJobs();
const machine = synthesizeMachine();
const absent: readonly string[] = optional.filter((set) => !existsSync(join(data, set)));
const all = cells().filter(({ references }) => !absent.includes(REFERENCE_SETS[references].passages));
const missing = all.filter(({ id }) => !existsSync(join(results, `${id}.json`)));
const named = new Set(all.map(({ id }) => id));
const isMeant = (id: string, part: string) => (named.has(part) ? id === part : id.includes(part));
const waiting = [...new Set(only.flatMap((part) => missing.filter(({ id }) => isMeant(id, part))))];
console.log(`${waiting.length} cells to run`);
await Promise.all(
  Array.from({ length: Number(values['at-once']) }, async () => {
    for (let cell = waiting.shift(); cell; cell = waiting.shift())
      try {
        await (values.prepare ? startOf(data, cell) : runCell(cell, data));
      } catch (error) {
        console.error(`${cell.id}: ${(error as Error).message}`); // the others go on
        process.exitCode = 1;
      }
  }),
);
