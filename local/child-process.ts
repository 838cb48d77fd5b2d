/**
 * Runs one job as a child process: passes on its lines and its end, and makes sure that it never outlives this process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

export interface ChildOptions {
  file: string;
  arguments: string[];
  environment: NodeJS.ProcessEnv;
  /** Seconds after which it is killed. */
  timeout?: number;
  /** Seconds between SIGTERM and SIGKILL when the signal is aborted; 0 means SIGKILL at once. */
  grace: number;
  signal: AbortSignal;
  /**
   * Whether it gets an IPC channel, whose `disconnect` event tells a Node program that this process has died; default
   * true.
   */
  channel?: boolean;
  onLine(line: string, stream: 'stdout' | 'stderr'): void;
}

export interface ChildEnd {
  /** 128 + the signal's number if a signal ended it, as for a container. */
  exitCode: number;
  killedBy?: NodeJS.Signals;
  /** The abort signal came before its end. */
  stopped: boolean;
  /** It had not ended by the timeout, or within the grace period, and was killed. */
  timedOut: boolean;
}

/**
 * How long its pipes may stay open after its end: processes that have left its group are not killed and may hold them.
 */
const PIPES_MS = 5000;
/** A timer holds at most 25 days: a longer limit is none. */
const MOST_MS = 2 ** 31 - 1;

/** Process groups to kill when this process ends, for any reason that lets `exit` run, including an uncaught error. */
const running = new Set<number>();
const killAll = () => {
  for (const pid of running) signalGroup(pid, 'SIGKILL');
};

/**
 * Runs a program to its end. On abort, only the program itself gets SIGTERM, like process 1 of a container; SIGKILL
 * then also goes to the processes that it has started. The promise settles when it is gone.
 *
 * The child has a process group of its own, so that Ctrl+C reaches it only through `signal`.
 *
 * @throws the error of spawn, when the program cannot be started.
 */
export async function runChild(options: ChildOptions): Promise<ChildEnd> {
  const { signal, grace, timeout, channel = true } = options;
  signal.throwIfAborted();
  const child = spawn(options.file, options.arguments, {
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe', ...(channel ? ['ipc' as const] : [])],
    detached: true,
  });
  const ended = waitForEnd(child);
  if (child.pid === undefined) await ended; // rejects with the reason
  const pid = child.pid!;
  if (running.size === 0) process.once('exit', killAll);
  running.add(pid);
  const lines = [readLines(child, 'stdout', options.onLine), readLines(child, 'stderr', options.onLine)];

  let stopped = false;
  let timedOut = false;
  const timers: NodeJS.Timeout[] = [];
  const later = (seconds: number, act: () => void) => {
    if (seconds * 1000 < MOST_MS) timers.push(setTimeout(act, seconds * 1000));
  };
  const giveUp = () => {
    timedOut = true;
    signalGroup(pid, 'SIGKILL');
  };
  const stop = () => {
    stopped = true;
    if (grace === 0) return signalGroup(pid, 'SIGKILL');
    child.kill('SIGTERM');
    later(grace, giveUp);
  };
  signal.addEventListener('abort', stop, { once: true });
  if (timeout !== undefined) later(timeout, giveUp);
  try {
    const end = { ...(await ended), stopped, timedOut };
    signalGroup(pid, 'SIGKILL'); // processes that the job has left behind would hold its pipes open
    await Promise.race([Promise.all(lines), delay(PIPES_MS, undefined, { ref: false })]);
    return end;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    running.delete(pid);
    if (running.size === 0) process.removeListener('exit', killAll);
  }
}

function waitForEnd(child: ChildProcess): Promise<Pick<ChildEnd, 'exitCode' | 'killedBy'>> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // `exit` and not `close`, which waits for the pipes
    child.once('exit', (code, killedBy) =>
      resolve(killedBy ? { exitCode: 128 + constants.signals[killedBy], killedBy } : { exitCode: code! }),
    );
  });
}

async function readLines(child: ChildProcess, stream: 'stdout' | 'stderr', onLine: ChildOptions['onLine']) {
  for await (const line of createInterface({ input: child[stream]!, crlfDelay: Number.POSITIVE_INFINITY }))
    onLine(line, stream);
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: it has gone already. EPERM is macOS's word for a group whose last processes are just ending.
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
