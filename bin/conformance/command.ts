/** The trainer as a container's process: it alone gets the signals, as process 1 does. */
import { ConfigError, InterruptedError } from '../../core/errors.ts';
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
  /** The last line of stderr that says something; of an error with a stack, its own. */
  lastWords: string;
}

export interface Interruption {
  signal: 'SIGTERM' | 'SIGKILL';
  /** Seconds after which it comes at the latest. */
  after: number;
  /**
   * It comes as soon as this says so: asked at each progress line, and many times a second, but never twice at once. It is
   * given the last progress so far. A rejection is a no: a listing that fails once may succeed the next time.
   */
  when(progress: Progress | undefined): boolean | Promise<boolean>;
}

/** ECS leaves a container so long by default between SIGTERM and SIGKILL; this pipeline leaves it 110 seconds. */
export const GRACE_SECONDS = 30;

/**
 * @param timeout seconds after which it is killed.
 * @param stop aborted where the whole check is to end: the trainer then gets SIGTERM, and the grace.
 * @throws InterruptedError when `stop` is aborted; the trainer is gone by then.
 */
export async function runTrainer(
  [file, ...rest]: string[],
  environment: NodeJS.ProcessEnv,
  timeout: number,
  interruption?: Interruption,
  stop = new AbortController().signal,
): Promise<TrainerRun> {
  refuseStopped(stop);
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
      channel: false, // a container's process has none
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
    refuseStopped(stop);
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

/** Of what a Node program writes when it crashes: not the error's stack and properties, nor Node's version at the very end. */
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

function refuseStopped(stop: AbortSignal): void {
  if (stop.aborted) throw new InterruptedError('The check was stopped; the same command starts it over.');
}

/** Splits a command at spaces outside quotes; there is no shell, for it would not hand the signals on. */
export function splitCommand(command: string): string[] {
  const words = command.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  if (words.length === 0) throw new ConfigError('--command: expected a program and its arguments.');
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single ?? ''));
}
