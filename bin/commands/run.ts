import { join } from 'node:path';
import type { RunConfig } from '../../core/config/schema.ts';
import { JOB_VARIABLE } from '../../core/deployed-names.ts';
import { ConfigError } from '../../core/errors.ts';
import type { RunSummary } from '../../core/formats.ts';
import { REPORT_FILE, SUMMARY_FILE } from '../../core/layout.ts';
import { RUN_ID, RUN_ID_WORDS } from '../../core/run/execution-input.ts';
import { absolute, DirectoryStore, getJson, isLocalPath } from '../../core/storage/index.ts';
import { NO_TIME_LIMITS, synthesizeMachine } from '../../lib/synthesize.ts';
import { runMachine } from '../../local/run-machine.ts';
import { closingTable, summaryWarnings } from '../../report/table.ts';
import { splitCommand } from '../conformance/command.ts';
import { terminalColumns } from '../format.ts';
import { loadConfigFile } from '../load-config.ts';
import { lockPath } from '../run-lock.ts';
import { withProgress } from '../with-progress.ts';

interface Options {
  out: string;
  runId?: string;
  set?: string[];
  seed?: string;
  trainer?: string;
  json?: boolean;
}

/** `mates run CONFIG`: the whole state machine on this computer. The same command again resumes. */
export async function run(file: string, options: Options): Promise<void> {
  const config = await loadConfigFile(file, options);
  const runId = options.runId ?? config.name;
  if (!RUN_ID.test(runId)) throw new ConfigError(`--run-id ${runId}: ${RUN_ID_WORDS}.`);
  if (!isLocalPath(options.out))
    throw new ConfigError(
      `--out ${options.out}: a run on this machine is kept on its own disk; name a folder. On AWS, use mates start.`,
    );
  const trainer = options.trainer === undefined ? undefined : splitCommand(options.trainer, '--trainer');
  const runDirectory = await runHere(config, runId, absolute(options.out), trainer);
  const summary = await getJson<RunSummary>(new DirectoryStore(runDirectory), SUMMARY_FILE);
  const report = join(runDirectory, REPORT_FILE);
  const terminal = { color: process.stdout.isTTY ?? false, columns: terminalColumns() };
  console.log(`\n${closingTable(summary, terminal)}`);
  for (const warning of summaryWarnings(summary)) console.log(warning);
  console.log(`\nReport: ${report}`);
  if (options.json) console.log(JSON.stringify({ run: runDirectory, report, summary }));
}

/**
 * Starts a run on this machine, or resumes it, with its progress on stderr.
 *
 * @param trainer command of the pretraining step; by default our own job.
 * @returns its folder, `runs/<runId>` of the lake.
 */
export async function runHere(
  config: RunConfig,
  runId: string,
  lakeDirectory: string,
  trainer?: string[],
): Promise<string> {
  const runDirectory = join(lakeDirectory, 'runs', runId);
  const unlock = await lockPath(runDirectory, 'choose another --run-id');
  await new DirectoryStore(runDirectory).removePartial(); // of a killed process; the optimizer's may be gigabytes
  try {
    await withProgress(async (view, signal) => {
      let stage: string | undefined;
      await runMachine({
        ...synthesizeMachine({ ...NO_TIME_LIMITS, ...(trainer && { trainerCommand: trainer }) }),
        input: { config: JSON.parse(JSON.stringify(config)), runId },
        executionName: runId,
        lakeDirectory,
        signal,
        threads: config.engine.threads,
        onWarning: (warning) => view.notice(warning),
        onProgress: (job, progress, { environment }) => {
          const number = environment[JOB_VARIABLE.stage];
          const heading = number === undefined ? 'Corpus' : `Stage ${number}`;
          if (heading !== stage) view.heading(heading);
          stage = heading;
          view.update(job, progress);
        },
      });
    });
  } finally {
    await unlock();
  }
  return runDirectory;
}
