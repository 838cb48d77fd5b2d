import { setImmediate } from 'node:timers/promises';
import { execute } from '../../../local/asl/interpreter.ts';
import { type Environment, type Json, StatesError, type TaskCall } from '../../../local/asl/types.ts';
import { validate } from '../../../local/asl/validate.ts';

/** Virtual time: when nothing else is left to do, it jumps to the next one who sleeps. */
export class FakeClock {
  private time = Date.parse('2026-01-01T00:00:00Z');
  /** Seconds of each sleep, in order of their beginning. */
  readonly sleeps: number[] = [];
  private readonly sleepers = new Set<{ until: number; wake: () => void }>();
  private ticking = false;

  sleep(seconds: number, signal: AbortSignal): Promise<void> {
    this.sleeps.push(seconds);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const sleeper = { until: this.time + seconds * 1000, wake: resolve };
      this.sleepers.add(sleeper);
      signal.addEventListener('abort', () => {
        this.sleepers.delete(sleeper);
        reject(signal.reason);
      });
      void this.tick();
    });
  }

  private async tick(): Promise<void> {
    if (this.ticking) return;
    this.ticking = true;
    while (this.sleepers.size > 0) {
      for (let i = 0; i < 5; i++) await setImmediate();
      const [next] = [...this.sleepers].sort((a, b) => a.until - b.until);
      if (!next) break;
      this.time = next.until;
      this.sleepers.delete(next);
      next.wake();
    }
    this.ticking = false;
  }
}

export const TASK = 'arn:task';

/** A task that never ends until it is aborted. */
export const never = ({ signal }: TaskCall): Promise<Json> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

export interface Trial {
  tasks?: (call: TaskCall) => Promise<Json> | Json;
  objects?: Record<string, Json>;
  random?: () => number;
  signal?: AbortSignal;
}

export interface Outcome {
  output?: Json;
  error?: StatesError;
  history?: number;
  clock: FakeClock;
}

/** Validates and runs a definition; a StatesError is part of the outcome, any other error is thrown. */
export async function trial(definition: object, input: Json = {}, options: Trial = {}): Promise<Outcome> {
  const clock = new FakeClock();
  const environment: Environment = {
    runTask: async (call) => (options.tasks ?? (({ parameters }) => parameters))(call),
    readJson: async (bucket, key) => {
      const found = options.objects?.[`${bucket}/${key}`];
      if (found === undefined) throw new StatesError('States.ItemReaderFailed', `${key} does not exist`);
      return found;
    },
    sleep: (seconds, signal) => clock.sleep(seconds, signal),
    random: options.random ?? (() => 0.5),
  };
  const machine = check(definition);
  try {
    const { output, events: history } = await execute(machine, input, environment, {
      name: 'run-1',
      machineName: 'machine',
      signal: options.signal,
    });
    return { output, history, clock };
  } catch (error) {
    if (error instanceof StatesError) return { error, clock };
    throw error;
  }
}

export function check(definition: object) {
  return validate(definition, (resource) => (resource === TASK ? undefined : `Resource: ${resource} is not supported`));
}

/** Its result is its parameters, unless a trial's `tasks` say otherwise. */
export const task = (fields: object) => ({ Type: 'Task', Resource: TASK, End: true, ...fields });
/** A machine of one state. */
export const one = (state: object) => ({ StartAt: 'It', States: { It: state } });
