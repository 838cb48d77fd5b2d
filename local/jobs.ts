/** Runs jobs as AWS Batch would: with attempts, retry conditions, timeouts, and a limit on how many run at once. */
import { availableParallelism } from 'node:os';
import { errorNamed, type MatesError, RunError } from '../core/errors.ts';
import { type Progress, parseProgress } from '../core/progress.ts';
import { type ChildEnd, runChild } from './child-process.ts';
import type { ExitRule, RetryStrategy } from './template.ts';

export interface JobRunnerOptions {
  /** The program to run in place of a container's command, such as `['mates-job', 'probe']`. */
  program(command: string[], environment: Record<string, string>): Program;
  /** Variables that every job gets besides those that its definition and the state declare. */
  environment: Record<string, string>;
  /** Most jobs at once. */
  slots: number;
  /** Seconds between SIGTERM and SIGKILL; default {@link GRACE_SECONDS}. */
  grace?: number;
  onProgress?(job: string, progress: Progress, about: JobAbout): void;
  log?(job: string, line: string): void;
}

export interface Program {
  file: string;
  arguments: string[];
  /** Variables that it gets besides the job's own, which these replace. */
  environment?: Record<string, string>;
}

/** Where a job comes from. */
export interface JobAbout {
  /** The Task state that started it. */
  state: string;
  /** The indices of the Map items it runs in, outermost first. */
  items: number[];
  /** The variables that its definition and the state declare, such as MATES_STAGE. */
  environment: Record<string, string>;
}

export interface JobRequest extends JobAbout {
  /** Names the job in progress and logs. */
  label: string;
  command: string[];
  retryStrategy: RetryStrategy;
  /** Seconds for one attempt. */
  timeout?: number;
  signal: AbortSignal;
}

export interface Attempt {
  exitCode: number;
  /** What Batch calls the status reason of an attempt. */
  statusReason: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  stoppedAt: number;
}

export interface JobOutcome {
  attempts: Attempt[];
  /** Why the last attempt failed, in words for people; undefined when it succeeded. */
  failure?: MatesError;
}

/**
 * A job checks the signal between two steps, and a step of a large model takes minutes. A second Ctrl-C ends it at
 * once.
 */
const GRACE_SECONDS = 600;

/** Batch's words, which retry conditions may match. */
const EXITED = 'Essential container in task exited';
const TIMED_OUT = 'Job attempt duration exceeded timeout';

/** How many jobs fit: the cores divided by the threads of one job; 0 threads means one for each core. */
export function slotsFor(threads = 0): number {
  return threads === 0 ? 1 : Math.max(1, Math.floor(availableParallelism() / threads));
}

export class JobRunner {
  private readonly options: JobRunnerOptions;
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(options: JobRunnerOptions) {
    this.options = options;
    this.free = options.slots;
  }

  /** @throws the signal's reason when the request is aborted, after the process is gone. */
  async run(request: JobRequest): Promise<JobOutcome> {
    const { attempts: most, evaluateOnExit } = request.retryStrategy;
    const attempts: Attempt[] = [];
    for (;;) {
      const { attempt, failure, timedOut } = await this.attempt(request, attempts.length + 1);
      attempts.push(attempt);
      if (!failure) return { attempts };
      // Batch does not retry an attempt that timed out.
      if (timedOut || attempts.length >= most || !retries(evaluateOnExit, attempt)) return { attempts, failure };
      this.options.log?.(
        request.label,
        `Attempt ${attempts.length} ended with exit code ${attempt.exitCode}; trying again.`,
      );
    }
  }

  private async attempt(request: JobRequest, number: number) {
    const { label, signal } = request;
    await this.acquire(signal);
    try {
      const errors: string[] = [];
      const startedAt = Date.now();
      const program = this.options.program(request.command, request.environment);
      const end = await runChild({
        ...program,
        environment: {
          ...this.options.environment,
          ...request.environment,
          ...program.environment,
          AWS_BATCH_JOB_ATTEMPT: String(number),
        },
        timeout: request.timeout,
        grace: this.options.grace ?? GRACE_SECONDS,
        signal,
        onLine: (line, stream) => {
          const progress = stream === 'stdout' ? parseProgress(line) : undefined;
          if (progress) return this.options.onProgress?.(label, progress, request);
          if (stream === 'stderr' && errors.push(line) > 100) errors.shift();
          this.options.log?.(label, line);
        },
      });
      signal.throwIfAborted();
      const statusReason = end.timedOut ? TIMED_OUT : EXITED;
      const attempt = { exitCode: end.exitCode, statusReason, startedAt, stoppedAt: Date.now() };
      const failure = end.exitCode === 0 ? undefined : explain(label, end, errors, request.timeout);
      return { attempt, failure, timedOut: end.timedOut };
    } finally {
      this.release();
    }
  }

  private async acquire(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.free > 0) {
      this.free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.waiting.splice(this.waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.waiting.push(enter);
    });
  }

  private release(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.free++;
  }
}

/** Whether the first matching condition says RETRY; if none matches, Batch retries. */
export function retries(rules: ExitRule[], { exitCode, statusReason }: Attempt): boolean {
  const rule = rules.find(
    ({ onExitCode, onReason, onStatusReason }) =>
      fits(onExitCode, String(exitCode)) && fits(onReason, '') && fits(onStatusReason, statusReason),
  );
  return rule?.action !== 'EXIT';
}

/** A pattern matches the whole text, or its beginning if the pattern ends in `*`. */
function fits(pattern: string | undefined, text: string): boolean {
  if (pattern === undefined) return true;
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
}

/**
 * A failed job's last output on stderr is `Name: message`; further lines of the message are indented. See containers/main.ts.
 */
function explain(label: string, end: ChildEnd, lines: string[], timeout?: number): MatesError {
  if (end.timedOut) return new RunError(`The job ${label} took longer than its ${timeout} s and was stopped.`);
  const said = lines.filter((line) => line.trim() !== '' && !/^\s+at |^Node\.js v\d/.test(line));
  const begin = said.findLastIndex((line) => /^\w*Error: ./.test(line));
  const [, name, first] = /^(\w*Error): (.*)$/s.exec(said[begin] ?? '') ?? [];
  const how = end.killedBy ? `was ended by ${end.killedBy}` : `ended with exit code ${end.exitCode}`;
  if (first !== undefined) {
    const message = [first, ...said.slice(begin + 1).map((line) => line.replace(/^ {2}/, ''))].join('\n');
    return errorNamed(name, message, `The job ${label} ${how}: ${name === 'Error' ? '' : `${name}: `}${message}`);
  }
  if (end.killedBy === 'SIGKILL')
    return new RunError(
      `The job ${label} was killed, most likely because the machine ran out of memory. ` +
        'Run fewer jobs at once or choose smaller batches, then give the same command again.',
    );
  const last = said.at(-1);
  return new RunError(`The job ${label} ${how}${last ? `: ${last}` : '; its log may say why.'}`);
}
