/** Threads that answer requests, and the threads' own side of it. */
import { parentPort, SHARE_ENV, type Transferable, Worker, type WorkerOptions } from 'node:worker_threads';
import { errorNamed, RunError } from '../errors.ts';

/** What runs in the threads of a pool. */
export interface WorkerKind {
  /** The module that calls {@link serve}. */
  source: string;
  /** The name of its entry point in a bundle, which puts it beside every other chunk. */
  bundled: string;
  /** For messages: what a thread is called, and what to do when one ends by itself. */
  called: string;
  remedy: string;
}

/** The reply to a request, and the first message of a thread that is ready. */
type Reply<Result> = { result: Result } | { error: Failure };

/** What of an error is sent to another thread: an object of a class would arrive as a plain one. */
interface Failure {
  name: string;
  message: string;
  /** Fields of a system's or service's error, by which callers recognise a full disk, or an error that may pass. */
  told: Pick<SystemError, (typeof TOLD)[number]>;
}

const TOLD = ['code', 'path', '$metadata', '$retryable'] as const;
type SystemError = NodeJS.ErrnoException & { $metadata?: object; $retryable?: object };

/** Starts the entry point: as it is in a bundle, by tsx from source. */
function startThread({ source, bundled }: WorkerKind, workerData: unknown): Worker {
  // One environment for all, so that native libraries see what the process has set.
  const options: WorkerOptions = { workerData, env: SHARE_ENV };
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL(`./${bundled}.js`, import.meta.url), options);
  // By its whole URL, as from a string packages would be looked for in the current folder, whose tsconfig.json is not
  // followed either. As JSON, since paths may have apostrophes.
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const given = [source, { parentURL: import.meta.url, tsconfig: false }].map((each) => JSON.stringify(each));
  const start = `import(${tsx}).then(({ tsImport }) => tsImport(${given}));`;
  return new Worker(start, { ...options, eval: true });
}

/** In a thread: says that it is ready once `start` is, and answers requests in turn. Buffers to `transfer` are not copied. */
export function serve<Request, Result>(
  start: () => Promise<Result>,
  answer: (request: Request) => Promise<Result>,
  transfer: (result: Result) => Transferable[] = () => [],
): void {
  const reply = (work: Promise<Result>) =>
    work.then(
      (result) => parentPort!.postMessage({ result } satisfies Reply<Result>, transfer(result)),
      (error: Error) => parentPort!.postMessage({ error: failureOf(error) } satisfies Reply<Result>),
    );
  let last = reply(start());
  parentPort!.on('message', (request: Request) => {
    last = last.then(() => reply(answer(request)));
  });
}

interface Member<Result> {
  thread: Worker;
  /** Requests that it has not answered, the oldest first. */
  waiting: { resolve(result: Result): void; reject(error: Error): void }[];
}

/** Threads that answer their requests in turn. If one ends, every request under way fails, and every later one. */
export class WorkerPool<Request, Result> {
  private readonly kind: WorkerKind;
  private readonly members: Member<Result>[] = [];
  private failure: Error | undefined;
  private closed = false;

  /**
   * Starts a thread for each setup, which is its `workerData`, and waits until all are ready.
   *
   * @throws the error of a thread that cannot start, such as ConfigError from one without its engine.
   */
  static async start<Request, Result>(
    kind: WorkerKind,
    setups: readonly unknown[],
  ): Promise<WorkerPool<Request, Result>> {
    const pool = new WorkerPool<Request, Result>(kind);
    // Wait for all before any is ended: a native library that fails to load in a thread being ended ends the process.
    const started = await Promise.allSettled(setups.map((setup, worker) => pool.add(setup, worker, setups.length)));
    const failed = started.find((one) => one.status === 'rejected');
    if (!failed) return pool;
    await pool.close();
    throw failed.reason;
  }

  private constructor(kind: WorkerKind) {
    this.kind = kind;
  }

  get size(): number {
    return this.members.length;
  }

  /** @throws what the work throws, if that is of a class that callers act on; RunError otherwise, and when a thread ends. */
  ask(worker: number, request: Request): Promise<Result> {
    const { thread } = this.members[worker]!;
    return this.wait(worker, () => thread.postMessage(request));
  }

  /** The same request to all. */
  askAll(request: Request): Promise<Result[]> {
    return Promise.all(this.members.map((_, worker) => this.ask(worker, request)));
  }

  /** Ends the threads, whatever they are doing. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.members.map(({ thread }) => thread.terminate()));
  }

  private add(setup: unknown, worker: number, workers: number): Promise<Result> {
    const thread = startThread(this.kind, setup);
    const member: Member<Result> = { thread, waiting: [] };
    this.members[worker] = member;
    const called = `${this.kind.called} ${worker + 1} of ${workers}`;
    thread.on('message', (reply: Reply<Result>) => {
      const request = member.waiting.shift();
      if (member.waiting.length === 0) thread.unref(); // an idle thread does not keep the process alive
      if ('result' in reply) request?.resolve(reply.result);
      else request?.reject(restored(reply.error, called));
    });
    thread.on('error', (error) => this.fail(new RunError(`${called} failed: ${error.message}`)));
    thread.on('exit', (code) => {
      if (!this.closed)
        this.fail(
          new RunError(`${called} ended with exit code ${code} in the middle of the work. ${this.kind.remedy}`),
        );
    });
    return this.wait(worker, () => {});
  }

  private wait(worker: number, begin: () => void): Promise<Result> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const member = this.members[worker]!;
      member.waiting.push({ resolve, reject });
      member.thread.ref();
      begin();
    });
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const member of this.members) for (const { reject } of member?.waiting.splice(0) ?? []) reject(this.failure);
  }
}

function failureOf(error: SystemError): Failure {
  const { name, message } = error;
  const told = Object.fromEntries(
    TOLD.filter((field) => error[field] !== undefined).map((field) => [field, error[field]]),
  );
  return { name, message, told };
}

/** A thread's error, with the class that it had if that is one of ours. */
function restored({ name, message, told }: Failure, called: string): Error {
  if (Object.keys(told).length > 0) return Object.assign(new Error(message), { name, ...told });
  return errorNamed(name, message, `${called} failed: ${message}`);
}
