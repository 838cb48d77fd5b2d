/** Runs the synthesized state machine, with its functions and jobs, on this computer. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { JOB_VARIABLE } from '../core/deployed-names.ts';
import { ConfigError, errorNamed, InterruptedError, type MatesError, RunError } from '../core/errors.ts';
import { type Progress, WARNING } from '../core/progress.ts';
import { getJson, LAKE_DIRECTORY_VARIABLE, splitUri, storeOpener, uriOf } from '../core/storage/index.ts';
import { execute } from './asl/interpreter.ts';
import { type Json, StatesError } from './asl/types.ts';
import { validate } from './asl/validate.ts';
import { type JobAbout, JobRunner, type Program, slotsFor } from './jobs.ts';
import { logFiles } from './log-files.ts';
import { Tasks, taskProblem } from './tasks.ts';
import { readTemplate } from './template.ts';

export interface RunMachineOptions {
  /** The CloudFormation template with the state machine, its functions and its job definitions. */
  template: object;
  /** The template of the stack whose outputs `template` refers to. */
  dataTemplate?: object;
  input: Json;
  /** Name of the execution: letters, digits and hyphens, at most 80. */
  executionName: string;
  /** The directory that stands for the data lake's bucket. */
  lakeDirectory: string;
  /** Aborting it stops every job; the promise then rejects with InterruptedError. */
  signal?: AbortSignal;
  /** Most jobs at once; by default the cores divided by `threads`. */
  jobs?: number;
  /** Threads of one job; 0 or absent means one for each core, so that one job runs at a time. */
  threads?: number;
  /** `job` is the job's name, followed by `.3` in item 3 of a map. */
  onProgress?: (job: string, progress: Progress, about: JobAbout) => void;
  /** Gets each line in which a job warns the user; the log gets it too. */
  onWarning?: (warning: string) => void;
  /** Gets the jobs' other output, line by line; by default `runs/<executionName>/logs/<job>.log` of the lake. */
  log?: (job: string, line: string) => void;
  /**
   * The program to run in place of a container's command; by default `containers/main.ts` in this Node, and for a
   * trainer of the user's own that itself.
   */
  program?: (command: string[], environment: Record<string, string>) => Program;
  /** Where the functions' folders are; by default `functions/` of this repository. */
  functionsDirectory?: string;
}

/**
 * The variables that a job inherits from this process: those that concern this machine, its GPUs and its access to S3.
 * All others must be declared, as for a container, so that no result depends on a variable that happens to be set here.
 */
const INHERITED = [
  /^(PATH|HOME|TMPDIR)$/,
  /^(NODE_OPTIONS|NODE_EXTRA_CA_CERTS|LD_LIBRARY_PATH|OMP_NUM_THREADS)$/,
  /^(CUDA|NVIDIA)_/,
  /^AWS_(?!BATCH_)/, // AWS_BATCH_* describe the job that this process itself may be
  /_proxy$/i,
];

/** Else tsx would follow the tsconfig.json of the folder that the user is in, which may send our imports anywhere. */
const LOADER = { TSX_TSCONFIG_PATH: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) };

/**
 * Runs the synthesized state machine on this machine.
 *
 * @returns the execution's output.
 * @throws ConfigError, InputError or RunError with the failed step's own message, InterruptedError on abort.
 */
export async function runMachine(options: RunMachineOptions): Promise<Json> {
  const { lakeDirectory, executionName } = options;
  if (!/^[A-Za-z0-9-]{1,80}$/.test(executionName))
    throw new ConfigError(`The run's name "${executionName}": expected letters, digits and hyphens, at most 80.`);
  const pipeline = readTemplate(options.template, options.dataTemplate);
  const machine = validate(pipeline.definition, taskProblem);

  const log = options.log ?? logFiles(join(lakeDirectory, 'runs', executionName, 'logs'));
  const lake = { [LAKE_DIRECTORY_VARIABLE]: lakeDirectory };
  const jobs = new JobRunner({
    program: options.program ?? ((command, environment) => jobProgram(command, environment, lakeDirectory)),
    environment: { ...inherited(), ...lake, ...LOADER },
    slots: options.jobs ?? slotsFor(options.threads),
    onProgress: options.onProgress,
    log: (job, line) => {
      if (line.startsWith(WARNING)) options.onWarning?.(line);
      log(job, line);
    },
  });
  const functionsDirectory = options.functionsDirectory ?? fileURLToPath(new URL('../functions', import.meta.url));
  const tasks = new Tasks({ pipeline, jobs, functionsDirectory, environment: lake });
  const open = storeOpener(lakeDirectory);
  const stop = interruption(options.signal);
  const failed: string[] = [];
  try {
    const { output } = await execute(
      machine,
      options.input,
      {
        runTask: (call) => tasks.run(call),
        readJson: async (bucket, key) => {
          const { folder, name } = splitUri(`s3://${bucket}/${key}`);
          try {
            return await getJson<Json>(open(folder), name);
          } catch (error) {
            throw new StatesError('States.ItemReaderFailed', (error as Error).message);
          }
        },
        sleep,
        random: Math.random,
        onState: (event) => {
          if (event.kind === 'failed') failed.push(event.state);
        },
      },
      { name: executionName, signal: stop },
    );
    return output;
  } catch (error) {
    if (error instanceof StatesError) throw forPeople(error, tasks, failed[0]);
    throw error;
  }
}

/** The failed task's own error if it is known; the machine's Fail state passes its cause on. */
function forPeople(failure: StatesError, tasks: Tasks, state: string | undefined): MatesError {
  const known = tasks.failureBehind(failure.cause);
  if (known) return known;
  if (failure.error === 'States.ExceedToleratedFailureThreshold' && tasks.lastFailure) return tasks.lastFailure;
  if (!failure.error.startsWith('States.')) return errorNamed(failure.error, failure.cause ?? failure.error);
  return new RunError(`${state ? `"${state}" failed: ` : ''}${failure.message}`);
}

function interruption(signal: AbortSignal | undefined): AbortSignal {
  const stop = new AbortController();
  const abort = () =>
    stop.abort(new InterruptedError('Interrupted; what was done is kept. Give the same command again to resume.'));
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  return stop.signal;
}

/**
 * `mates-job TASK` is the image's entry point; here it is the same file, run by this Node through tsx. Any other command
 * is a trainer of the user's own, which knows the lake by its place on the disk and may need any variable of this
 * process.
 */
export function jobProgram(
  [entry, ...rest]: string[],
  environment: Record<string, string>,
  lakeDirectory: string,
): Program {
  if (entry === 'mates-job') return nodeProgram('../containers/main.ts', rest);
  const uri = uriOf(storeOpener(lakeDirectory)(environment[JOB_VARIABLE.runUri]!));
  const all = { ...(process.env as Record<string, string>), ...environment };
  return { ...nodeProgram('trainer.ts', [entry!, ...rest]), environment: { ...all, [JOB_VARIABLE.runUri]: uri } };
}

function nodeProgram(file: string, rest: string[]): Program {
  const main = fileURLToPath(new URL(file, import.meta.url));
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return { file: process.execPath, arguments: ['--import', loader, main, ...rest] };
}

function inherited(): Record<string, string> {
  const isInherited = ([name, value]: [string, string | undefined]) =>
    value !== undefined && value !== '' && INHERITED.some((pattern) => pattern.test(name));
  return Object.fromEntries(Object.entries(process.env).filter(isInherited)) as Record<string, string>;
}

async function sleep(seconds: number, signal: AbortSignal): Promise<void> {
  // A timer holds at most 2^31 - 1 milliseconds, some 25 days; timeouts of a month are usual.
  for (let left = seconds * 1000; left >= 0; left -= 2 ** 31 - 1) {
    await delay(Math.min(left, 2 ** 31 - 1), undefined, { signal }).catch((error) => {
      signal.throwIfAborted();
      throw error;
    });
  }
}
