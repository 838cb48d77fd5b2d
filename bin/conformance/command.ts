/** Runs the trainer like the process of a container: it alone gets the signals, as process 1 would. */
import { ConfigError, InterruptedError, throwIfStopped } from '../../core/errors.ts';
import { type Progress, parseProgress } from '../../core/progress.ts';
import { runChild } from '../../local/child-process.ts';

export interface TrainerRun {
  /** As of a container: 128 + the signal's number if a signal ended it. */
  exitCode: number;
  /** Whether the requested interruption came before the end. */
  interrupted: boolean;
  /** It had not ended by the time limit, or by the grace after SIGTERM, and was killed. */
  overdue: boolean;
  seconds: number;
  /** Whether it reported progress on stdout. */
  toldProgress: boolean;
  /** The last meaningful line of stderr; for an error with a stack, the error's own line. */
  lastWords: string;
}

export interface Interruption {
  signal: 'SIGTERM' | 'SIGKILL';
  /** Seconds after which it is sent at the latest. */
  after: number;
  /**
   * It is sent as soon as this returns true. Called at each progress line and many times a second, but never twice at
   * once, with the latest progress. A rejection counts as false: a listing that fails once may succeed the next time.
   */
  when(progress: Progress | undefined): boolean | Promise<boolean>;
}

/** Time that ECS by default leaves a container between SIGTERM and SIGKILL; this pipeline leaves it 110 seconds. */
export const GRACE_SECONDS = 30;

/**
 * @param timeout seconds after which it is killed.
 * @param stop aborted to end the whole check: the trainer then gets SIGTERM and the grace period.
 * @throws InterruptedError when `stop` is aborted; the trainer is gone by then.
 */
export async function runTrainer(
  [file, ...rest]: string[],
  environment: NodeJS.ProcessEnv,
  timeout: number,
  interruption?: Interruption,
  stop = new AbortController().signal,
): Promise<TrainerRun> {
  throwIfStopped(stop, STOPPED);
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  const interrupt = new AbortController();
  let toldProgress = false;
  const words = new LastWords();
  let progress: Progress | undefined;
  let asking = false;
  const consider = async () => {
    if (!interruption) return;
    if (seconds() >= interruption.after) return interrupt.abort();
    if (asking) return;
    asking = true;
    try {
      if (await interruption.when(progress)) interrupt.abort();
    } catch {
      // not yet
    }
    asking = false;
  };
  const timer = interruption && setInterval(consider, 20);
  try {
    const { exitCode, stopped, timedOut } = await runChild({
      file: file!,
      arguments: rest,
      environment,
      channel: false, // a container's process has no IPC channel
      timeout,
      grace: interruption?.signal === 'SIGKILL' ? 0 : GRACE_SECONDS,
      signal: AbortSignal.any([interrupt.signal, stop]),
      onLine: (line, stream) => {
        if (stream === 'stderr') {
          words.hear(line);
          return;
        }
        const told = parseProgress(line);
        if (!told) return;
        progress = told;
        toldProgress = true;
        void consider();
      },
    });
    throwIfStopped(stop, STOPPED);
    return {
      exitCode,
      interrupted: stopped,
      overdue: timedOut,
      seconds: seconds(),
      toldProgress,
      lastWords: words.said,
    };
  } catch (error) {
    if (error instanceof InterruptedError) throw error;
    throw new ConfigError(`--command ${file}: it cannot be started: ${(error as Error).message}`);
  } finally {
    clearInterval(timer);
  }
}

/** The last line of stderr, without what Node adds to a crash: the error's stack and properties, and Node's version. */
class LastWords {
  said = '';
  private inError = false;

  hear(line: string): void {
    if (/^\s+at /.test(line)) this.inError = true;
    const isDetail = this.inError && /^[\s}]/.test(line);
    if (isDetail || line.trim() === '' || /^Node\.js v\d\S*$/.test(line)) return;
    this.inError = line.endsWith(' {'); // properties follow
    this.said = line.trim().replace(/ \{$/, '');
  }
}

const STOPPED = 'The check was stopped; the same command starts it over.';

/**
 * Splits a command at spaces outside quotes. No shell is used, because it would not pass the signals on.
 *
 * @param flag where it was given.
 */
export function splitCommand(command: string, flag = '--command'): string[] {
  const words = command.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  if (words.length === 0) throw new ConfigError(`${flag}: expected a program and its arguments.`);
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single ?? ''));
}
