import { SHARE_ENV, Worker, type WorkerOptions } from 'node:worker_threads';
import { ConfigError, RunError } from '../../core/errors.ts';
import type { Reply, Request, WorkerSetup } from './messages.ts';

/** Starts the entry point: as it is where it was bundled, which puts it beside every other chunk; from source by tsx. */
function startThread(setup: WorkerSetup): Worker {
  // One environment for all, so that native libraries see what the process has set.
  const options: WorkerOptions = { workerData: setup, env: SHARE_ENV };
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./training-worker.js', import.meta.url), options);
  const [entry, parent] = [new URL('./worker.ts', import.meta.url).href, import.meta.url].map((url) => `'${url}'`);
  const start = `import('tsx/esm/api').then(({ tsImport }) => tsImport(${entry}, ${parent}));`;
  return new Worker(start, { ...options, eval: true });
}

interface Member {
  thread: Worker;
  /** Settles the request that is under way. */
  settle?: { resolve(result: number): void; reject(error: Error): void };
}

/** Threads that answer one request at a time each. If one ends, every request under way fails, and every later one. */
export class WorkerPool {
  private readonly members: Member[] = [];
  private failure: Error | undefined;
  private closed = false;

  /**
   * Starts a thread for each setup and waits until all are ready.
   *
   * @throws ConfigError as the engine does, when one cannot be opened in a thread.
   */
  static async start(setups: readonly WorkerSetup[]): Promise<WorkerPool> {
    const pool = new WorkerPool();
    try {
      await Promise.all(setups.map((setup) => pool.add(setup)));
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  get size(): number {
    return this.members.length;
  }

  /** @throws RunError when the work fails or a thread ends. */
  ask(worker: number, request: Request): Promise<number> {
    const { thread } = this.members[worker]!;
    return this.wait(worker, () => thread.postMessage(request));
  }

  /** The same request to all. */
  askAll(request: Request): Promise<number[]> {
    return Promise.all(this.members.map((_, worker) => this.ask(worker, request)));
  }

  /** Ends the threads, whatever they are doing. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.members.map(({ thread }) => thread.terminate()));
  }

  private add(setup: WorkerSetup): Promise<number> {
    const { worker, workers } = setup;
    const thread = startThread(setup);
    this.members[worker] = { thread };
    const called = `training worker ${worker + 1} of ${workers}`;
    thread.on('message', (reply: Reply) => {
      const { settle } = this.members[worker]!;
      this.members[worker]!.settle = undefined;
      if ('result' in reply) settle?.resolve(reply.result);
      else settle?.reject(restored(reply.error, called));
    });
    thread.on('error', (error) => this.fail(new RunError(`${called} failed: ${error.message}`)));
    thread.on('exit', (code) => {
      if (!this.closed)
        this.fail(
          new RunError(
            `${called} ended with exit code ${code} in the middle of the work. Lower engine.workers if memory ran out; the ` +
              'same command resumes.',
          ),
        );
    });
    return this.wait(worker, () => {});
  }

  private wait(worker: number, begin: () => void): Promise<number> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.members[worker]!.settle = { resolve, reject };
      begin();
    });
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const member of this.members) {
      member?.settle?.reject(this.failure);
      if (member) member.settle = undefined;
    }
  }
}

/** A worker's error: its class, where a caller can act on it, does not survive the way. */
function restored({ name, message }: { name: string; message: string }, called: string): Error {
  return name === 'ConfigError' ? new ConfigError(message) : new RunError(`${called} failed: ${message}`);
}
