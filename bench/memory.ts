/**
 * `npx tsx bench/memory.ts [--json] [CONFIG..]`: the peak memory of every job of a short run, beside the prediction of
 * the formulas of docs/performance.md; by default for the quickstart and `examples/small.json`. Takes some minutes.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { PLAIN_TABLE } from '../bin/format.ts';
import { loadConfigFile } from '../bin/load-config.ts';
import { loadPassageSet } from '../containers/passages.ts';
import type { RunConfig } from '../core/config/schema.ts';
import { openRun, openRunCorpus } from '../core/run/open-run.ts';
import { storeOpener } from '../core/storage/index.ts';
import type { TaskName } from '../core/tasks.ts';
import { synthesizeMachine } from '../lib/synthesize.ts';
import { runMachine } from '../local/run-machine.ts';
import { peakMemory } from './memory-formulas.ts';

const examples = fileURLToPath(new URL('../examples', import.meta.url));
const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true });
const files = positionals.length > 0 ? positionals : ['quickstart.json', 'small.json'].map((f) => join(examples, f));

/** Settings of a short run: memory does not depend on how long a job runs. */
const SHORT = [
  ...['pretrain.stages=2', 'pretrain.stepsPerStage=6', 'pretrain.warmupSteps=2', 'pretrain.decaySteps=3'],
  ...['probe.documents=60', 'influenceModel.epochs=2'],
];

interface Peak {
  config: string;
  job: TaskName;
  /** Megabytes of 10^6 bytes. */
  formula: number;
  measured: number;
}

const peaks: Peak[] = [];
for (const file of files) peaks.push(...(await measured(file)));
if (values.json) console.log(JSON.stringify(peaks));
else {
  const table = new Table({ ...PLAIN_TABLE, head: ['configuration', 'job', 'formula', 'measured'] });
  for (const { config, job, formula, measured } of peaks)
    table.push([config, job, `${Math.round(formula)} MB`, `${Math.round(measured)} MB`]);
  console.log(table.toString());
}

/** The largest peak of each kind of job in a run; each job is a process of its own. */
async function measured(file: string): Promise<Peak[]> {
  const folder = mkdtempSync(join(tmpdir(), 'mates-memory-'));
  try {
    const config = await loadConfigFile(file, { set: SHORT });
    const record = join(folder, 'peaks.jsonl');
    const { template, dataTemplate } = synthesizeMachine();
    const name = basename(file, '.json');
    await runMachine({
      template,
      dataTemplate,
      input: { config: JSON.parse(JSON.stringify(config)), runId: name },
      executionName: name,
      lakeDirectory: folder,
      signal: new AbortController().signal,
      threads: config.engine.threads,
      jobs: 1,
      log: () => {},
      program: ([, ...task]) => ({
        file: process.execPath,
        arguments: ['--import', loader(), fileURLToPath(new URL('memory-job.ts', import.meta.url)), record, ...task],
      }),
    });
    const largest = new Map<TaskName, number>();
    for (const line of readFileSync(record, 'utf8').trim().split('\n')) {
      const { task, megabytes } = JSON.parse(line) as { task: TaskName; megabytes: number };
      largest.set(task, Math.max(largest.get(task) ?? 0, 1.048576 * megabytes));
    }
    const formulas = await formulasOf(folder, name, config);
    return [...largest].map(([job, measured]) => ({ config: name, job, formula: formulas[job] / 1e6, measured }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function formulasOf(lake: string, name: string, config: RunConfig): Promise<Record<TaskName, number>> {
  const run = await openRun(storeOpener(lake), join(lake, 'runs', name));
  const corpus = await openRunCorpus(run);
  const lengths = async (from: RunConfig['reference']) =>
    (await loadPassageSet(run, corpus, from)).map(({ tokens }) => tokens.length);
  const passages = { reference: await lengths(config.reference), heldOut: await lengths(config.heldOut) };
  return peakMemory(config, corpus.index, passages);
}

function loader(): string {
  return pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
}
