import { stopSignal } from './interrupt.ts';
import { createProgressView, type ProgressView } from './progress-view.ts';

/**
 * Runs work whose progress is shown, and which Ctrl-C and SIGTERM ask to stop.
 *
 * @param stopping what is then printed.
 */
export async function withProgress<T>(
  work: (view: ProgressView, signal: AbortSignal) => Promise<T>,
  stopping?: string,
): Promise<T> {
  const view = createProgressView();
  const { signal, dispose } = stopSignal(stopping);
  try {
    return await work(view, signal);
  } finally {
    view.close();
    dispose();
  }
}
