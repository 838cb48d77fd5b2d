/** The trainer as a container's process: it alone gets the signals, as process 1 does. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ConfigError } from '../../core/errors.ts';
import { type Progress, parseProgress } from '../../core/progress.ts';

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

/** What Batch leaves a container between SIGTERM and SIGKILL: ECS's default. */
export const GRACE_SECONDS = 30;

const SIGNALS: Partial<Record<NodeJS.Signals, number>> = { SIGKILL: 9, SIGTERM: 15 };

/** @param timeout seconds after which it is killed. */
export async function runTrainer(
  [file, ...rest]: string[],
  environment: NodeJS.ProcessEnv,
  timeout: number,
  interruption?: Interruption,
): Promise<TrainerRun> {
  const begin = performance.now();
  const child = spawn(file!, rest, { env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let interrupted = false;
  let overdue = false;
  let toldProgress = false;
  let lastWords = '';
  const timers: NodeJS.Timeout[] = [];
  const later = (seconds: number, act: () => void) => timers.push(setTimeout(act, 1000 * seconds));
  const killAll = () => {
    try {
      process.kill(-child.pid!, 'SIGKILL'); // what it has started ends with it, as in a container
    } catch {
      // it has gone
    }
  };
  const giveUp = () => {
    overdue = true;
    killAll();
  };
  const interrupt = () => {
    if (interrupted || child.exitCode !== null || child.signalCode !== null) return;
    interrupted = true;
    if (interruption!.signal === 'SIGKILL') return killAll();
    child.kill('SIGTERM');
    later(GRACE_SECONDS, giveUp);
  };
  const consider = async (progress?: Progress) => {
    if (await interruption!.when(progress)) interrupt();
  };
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new ConfigError(`--command ${file}: it cannot be started: ${error.message}`)),
    );
    child.once('exit', (code, signal) => resolve(code ?? 128 + (SIGNALS[signal!] ?? 0)));
  });
  if (child.pid === undefined) await ended;
  process.once('exit', killAll);
  createInterface({ input: child.stdout }).on('line', (line) => {
    const progress = parseProgress(line);
    if (!progress) return;
    toldProgress = true;
    if (interruption) void consider(progress);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.trim()) lastWords = line.trim();
  });
  later(timeout, giveUp);
  if (interruption) later(interruption.after, interrupt);
  const asking = interruption && setInterval(() => void consider(), 20);
  try {
    const exitCode = await ended;
    const seconds = (performance.now() - begin) / 1000;
    killAll();
    return { exitCode, interrupted, overdue, seconds, toldProgress, lastWords };
  } finally {
    clearInterval(asking);
    for (const timer of timers) clearTimeout(timer);
    process.removeListener('exit', killAll);
  }
}

/** Splits a command at spaces outside quotes; there is no shell, for it would not hand the signals on. */
export function splitCommand(command: string): string[] {
  const words = command.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  if (words.length === 0) throw new ConfigError('--command: expected a program and its arguments.');
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single ?? ''));
}
