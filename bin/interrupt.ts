import { constants } from 'node:os';

/** npx passes on a Ctrl-C that its child already has from the terminal: a second signal this soon is the same press. */
const ONE_PRESS_MS = 1000;

/**
 * Aborted by Ctrl-C or SIGTERM. A second one ends the process at once, and with it its jobs, which are killed when it exits:
 * see local/child-process.ts.
 */
export function stopSignal(
  message = 'Stopping: work in progress is saved first, which may take minutes. Ctrl-C again ends it at once, and what is not ' +
    'saved is lost. The same command resumes.',
): {
  signal: AbortSignal;
  dispose: () => void;
} {
  const controller = new AbortController();
  let first: number | undefined;
  const stop = (signal: 'SIGINT' | 'SIGTERM') => {
    if (first !== undefined) {
      if (performance.now() - first > ONE_PRESS_MS) process.exit(128 + constants.signals[signal]);
      return;
    }
    first = performance.now();
    process.stderr.write(`\n${message}\n`);
    controller.abort();
  };
  const dispose = () => {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return { signal: controller.signal, dispose };
}
