/** A thread whose work ends in the error that a request names: entry point, started by `worker-pool.test.ts`. */
import { serve } from '../../core/threads/worker-pool.ts';

serve<string, void>(
  async () => {},
  async (name) => {
    throw Object.assign(new Error('web.jsonl, line 3: no text'), { name });
  },
);
