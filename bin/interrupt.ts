/** Aborted by Ctrl-C or SIGTERM. A second Ctrl-C ends the process at once, as the system's default does. */
export function stopSignal(message = 'Stopping: the jobs save what they have. The same command resumes.'): {
  signal: AbortSignal;
  dispose: () => void;
} {
  const controller = new AbortController();
  const stop = () => {
    process.stderr.write(`\n${message}\n`);
    controller.abort();
    dispose();
  };
  const dispose = () => {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return { signal: controller.signal, dispose };
}
