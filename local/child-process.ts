/** One job as a child process: its lines, its end, and that it never outlives the run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface ChildOptions {
  file: string;
  arguments: string[];
  environment: Record<string, string>;
  /** Seconds that it may take; then it is killed. */
  timeout?: number;
  /** Seconds between SIGTERM and SIGKILL when the signal is aborted. */
  grace: number;
  signal: AbortSignal;
  onLine(line: string, stream: 'stdout' | 'stderr'): void;
}

export interface ChildEnd {
  /** 128 + the signal's number when a signal ended it, as a container's exit code has it. */
  exitCode: number;
  killedBy?: NodeJS.Signals;
  timedOut: boolean;
}

/** Groups to kill when this process ends for whatever reason that lets `exit` run, an uncaught error included. */
const running = new Set<number>();
const killAll = () => {
  for (const pid of running) signalGroup(pid, 'SIGKILL');
};

/**
 * Runs a program to its end. On abort it gets SIGTERM, then SIGKILL; the promise settles when it is gone.
 *
 * The child has a process group of its own, so that Ctrl+C reaches it only through `signal`, and an IPC channel, whose
 * `disconnect` event tells it that this process has died.
 *
 * @throws the error of spawn, when the program cannot be started.
 */
export async function runChild(options: ChildOptions): Promise<ChildEnd> {
  const { signal, grace, timeout } = options;
  signal.throwIfAborted();
  const child = spawn(options.file, options.arguments, {
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  const ended = waitForEnd(child);
  if (child.pid === undefined) return ended; // rejects with the reason
  const pid = child.pid;
  if (running.size === 0) process.once('exit', killAll);
  running.add(pid);
  const lines = [readLines(child, 'stdout', options.onLine), readLines(child, 'stderr', options.onLine)];

  let timedOut = false;
  const timers: NodeJS.Timeout[] = [];
  const later = (seconds: number, act: () => void) =>
    timers.push(setTimeout(act, Math.min(seconds * 1000, 2 ** 31 - 1)));
  const stop = () => {
    signalGroup(pid, 'SIGTERM');
    later(grace, () => signalGroup(pid, 'SIGKILL'));
  };
  signal.addEventListener('abort', stop, { once: true });
  if (timeout !== undefined)
    later(timeout, () => {
      timedOut = true;
      signalGroup(pid, 'SIGKILL');
    });
  try {
    const end = await ended;
    signalGroup(pid, 'SIGKILL'); // what the job has started and left behind would hold its pipes open
    await Promise.all(lines);
    return { ...end, timedOut };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    running.delete(pid);
    if (running.size === 0) process.removeListener('exit', killAll);
  }
}

function waitForEnd(child: ChildProcess): Promise<ChildEnd> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // `exit` and not `close`, which waits for the pipes
    child.once('exit', (code, killedBy) =>
      resolve({
        exitCode: code ?? 128 + (SIGNAL_NUMBERS[killedBy!] ?? 0),
        ...(killedBy && { killedBy }),
        timedOut: false,
      }),
    );
  });
}

const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

async function readLines(child: ChildProcess, stream: 'stdout' | 'stderr', onLine: ChildOptions['onLine']) {
  for await (const line of createInterface({ input: child[stream]!, crlfDelay: Number.POSITIVE_INFINITY }))
    onLine(line, stream);
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ESRCH: it has gone already
  }
}
