/** One attempt of a job: a container's command as a process of this machine. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What happens to an attempt from outside, for tests of what the system makes of it. */
export interface Fault {
  /**
   * `interrupt`: SIGTERM, as a container gets two minutes before its spot instance goes; the job says how it ends.
   * `reclaim`: the instance goes at once, with the process on it.
   * `hold`: it stands still until it is told to end, so that a test is sure to find it there.
   */
  kind: 'interrupt' | 'reclaim' | 'hold';
  /** At the process's start, or at its first line of output, when it is at work. */
  at: 'start' | 'output';
}

export interface AttemptOptions {
  command: string[];
  environment: Record<string, string>;
  cwd: string;
  timeoutSeconds?: number;
  /** Between SIGTERM and SIGKILL. */
  graceSeconds: number;
  fault?: Fault;
  onStart(pid: number): void;
  onLine(line: string): void;
}

export interface AttemptEnd {
  /** 128 + the signal's number where a signal ended the process, as Docker says it. */
  exitCode?: number;
  /** Why there was no proper end: Batch's own words, which retry conditions match. */
  statusReason: string;
  reason?: string;
  timedOut: boolean;
}

export interface RunningAttempt {
  ended: Promise<AttemptEnd>;
  /** SIGTERM now, SIGKILL after the grace period. */
  stop(): void;
}

export const EXITED = 'Essential container in task exited';
const TIMED_OUT = 'Job attempt duration exceeded timeout';
const RECLAIMED = 'Host EC2 (instance i-0123456789abcdef0) terminated.';

const SIGNALS: Partial<Record<NodeJS.Signals, number>> = { SIGKILL: 9, SIGTERM: 15, SIGSEGV: 11, SIGABRT: 6 };

/** Attempts that run; they must not outlive this process. */
const running = new Set<number>();
process.on('exit', () => {
  for (const pid of running) signalGroup(pid, 'SIGKILL');
});

/**
 * Starts the command in a process group of its own. The IPC channel tells the job when this process is gone, so that
 * not even a SIGKILL of the runner leaves a job behind.
 */
export function startAttempt(options: AttemptOptions): RunningAttempt {
  const [file = '', ...rest] = options.command;
  const child = spawn(file, rest, {
    cwd: options.cwd,
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) {
    const ended = new Promise<AttemptEnd>((resolve) =>
      child.once('error', ({ message }) =>
        resolve({
          statusReason: 'Task failed to start',
          reason: `CannotStartContainerError: ${message}`,
          timedOut: false,
        }),
      ),
    );
    return { ended, stop: () => {} };
  }
  running.add(pid);
  options.onStart(pid);
  const timers: NodeJS.Timeout[] = [];
  let lost: string | undefined;
  const kill = (why?: string) => {
    lost ??= why;
    signalGroup(pid, 'SIGKILL');
  };
  const stop = () => {
    signalGroup(pid, 'SIGTERM');
    signalGroup(pid, 'SIGCONT'); // one that stands still hears it then
    timers.push(setTimeout(kill, options.graceSeconds * 1000));
  };
  let { fault } = options;
  const strike = (at: Fault['at']) => {
    if (fault?.at !== at) return;
    const { kind } = fault;
    fault = undefined;
    if (kind === 'reclaim') kill(RECLAIMED);
    else if (kind === 'hold') signalGroup(pid, 'SIGSTOP');
    else stop();
  };
  strike('start');
  const { timeoutSeconds } = options;
  // setTimeout counts in 32 bits: 24 days.
  if (timeoutSeconds) timers.push(setTimeout(() => kill(TIMED_OUT), Math.min(timeoutSeconds * 1000, 2 ** 31 - 1)));
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream! }).on('line', (line) => {
      options.onLine(line);
      strike('output');
    });
  const ended = new Promise<AttemptEnd>((resolve) => {
    child.once('exit', () => signalGroup(pid, 'SIGKILL')); // what the job has started and left behind
    child.once('close', (code, signal) => {
      for (const timer of timers) clearTimeout(timer);
      running.delete(pid);
      const exitCode = code ?? 128 + (SIGNALS[signal!] ?? 0);
      if (lost) resolve({ statusReason: lost, timedOut: lost === TIMED_OUT });
      else resolve({ exitCode, statusReason: EXITED, timedOut: false });
    });
  });
  return { ended, stop };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ESRCH: it has gone already
  }
}
