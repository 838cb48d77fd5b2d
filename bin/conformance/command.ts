/** The trainer as a container's process: it alone gets the signals, as process 1 does. */
import { ConfigError } from '../../core/errors.ts';
import { type Progress, parseProgress } from '../../core/progress.ts';
import { runChild } from '../../local/child-process.ts';

export interface TrainerRun {
  /** As a container's: 128 + the signal's number where one ended it. */
  exitCode: number;
  /** Whether the interruption that was asked for came before the end. */
  interrupted: boolean;
  /** It had not ended by the time limit, or by the grace after SIGTERM, and was killed. */
  overdue: boolean;
  seconds: number;
  /** Whether it told its progress on stdout. */
  toldProgress: boolean;
  /** The last line of stderr. */
  lastWords: string;
}

export interface Interruption {
  signal: 'SIGTERM' | 'SIGKILL';
  /** Seconds after which it comes at the latest. */
  after: number;
  /** It comes as soon as this says so: asked at each progress line, and many times a second. */
  when(progress: Progress | undefined): boolean | Promise<boolean>;
}

/** ECS leaves a container so long by default between SIGTERM and SIGKILL; this pipeline leaves it 110 seconds. */
export const GRACE_SECONDS = 30;

/** @param timeout seconds after which it is killed. */
export async function runTrainer(
  [file, ...rest]: string[],
  environment: NodeJS.ProcessEnv,
  timeout: number,
  interruption?: Interruption,
): Promise<TrainerRun> {
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  const interrupt = new AbortController();
  let toldProgress = false;
  let lastWords = '';
  const consider = async (progress?: Progress) => {
    if (interruption && (seconds() >= interruption.after || (await interruption.when(progress)))) interrupt.abort();
  };
  const asking = interruption && setInterval(() => void consider(), 20);
  try {
    const { exitCode, stopped, timedOut } = await runChild({
      file: file!,
      arguments: rest,
      environment,
      channel: false, // a container's process has none
      timeout,
      grace: interruption?.signal === 'SIGKILL' ? 0 : GRACE_SECONDS,
      signal: interrupt.signal,
      onLine: (line, stream) => {
        if (stream === 'stderr') {
          lastWords = line.trim() || lastWords;
          return;
        }
        const progress = parseProgress(line);
        if (!progress) return;
        toldProgress = true;
        void consider(progress);
      },
    });
    return { exitCode, interrupted: stopped, overdue: timedOut, seconds: seconds(), toldProgress, lastWords };
  } catch (error) {
    throw new ConfigError(`--command ${file}: it cannot be started: ${(error as Error).message}`);
  } finally {
    clearInterval(asking);
  }
}

/** Splits a command at spaces outside quotes; there is no shell, for it would not hand the signals on. */
export function splitCommand(command: string): string[] {
  const words = command.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  if (words.length === 0) throw new ConfigError('--command: expected a program and its arguments.');
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single ?? ''));
}
