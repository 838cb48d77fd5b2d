import { TransientError } from '../core/errors.ts';
import { isTransient } from '../core/storage/index.ts';

/**
 * A handler whose failures that may pass by themselves, such as a throttled or lost request to S3, have a name by which the
 * state machine calls it again. A handler may be called again at any time: what it writes is the same.
 */
export function retriable<Event, Answer>(handle: (event: Event) => Promise<Answer>): typeof handle {
  return (event) =>
    handle(event).catch(async (error: unknown) => {
      if (!(await isTransient(error))) throw error;
      const { name, message } = error as Error;
      throw new TransientError(`${name}: ${message}`);
    });
}
