/** Task and Fail states, timeouts and retries; https://states-language.net/spec.html#state-types. */
import type { Visit } from './frame.ts';
import { evaluate, parseExpression } from './intrinsics.ts';
import { checkSize, fill } from './payload.ts';
import { Retries } from './retry.ts';
import { type FailState, type Json, type MapState, StatesError, type TaskState } from './types.ts';

/** The error with which a Fail state ends the execution. */
export function failure({ name, state, frame: { context } }: Visit<FailState>, input: Json): StatesError {
  const text = (field: 'ErrorPath' | 'CausePath'): string | undefined => {
    const path = state[field];
    if (path === undefined) return undefined;
    const value = evaluate(parseExpression(path, field), { input, context }, `${name}.${field}`);
    if (typeof value === 'string') return value;
    throw new StatesError('States.Runtime', `${name}.${field}: '${path}' must lead to a string.`);
  };
  return new StatesError(state.Error ?? text('ErrorPath')!, text('CausePath'));
}

export async function runTask({ name, state, frame }: Visit<TaskState>, input: Json): Promise<Json> {
  const { history, environment, context } = frame;
  const parameters =
    state.Parameters === undefined ? input : fill(state.Parameters, { input, context }, `${name}.Parameters`);
  checkSize(parameters, `The input of "${name}"`);
  const synchronous = state.Resource.endsWith('.sync');
  history.add('TaskScheduled', 'TaskStarted', ...(synchronous ? ['TaskSubmitted'] : []));
  const stop = new AbortController();
  const call = {
    resource: state.Resource,
    parameters,
    state: name,
    items: frame.items,
    signal: AbortSignal.any([frame.signal, stop.signal]),
  };
  const task = environment.runTask(call);
  const result =
    state.TimeoutSeconds === undefined
      ? await task
      : await withTimeout(task, stop, `"${name}"`, () => environment.sleep(state.TimeoutSeconds!, call.signal));
  history.add('TaskSucceeded');
  return result;
}

/** If a task times out, waits until it has stopped, so that its process is gone before the state is retried. */
export async function withTimeout<T>(
  task: Promise<T>,
  stop: AbortController,
  what: string,
  sleep: () => Promise<void>,
): Promise<T> {
  const timeout = new StatesError('States.Timeout', `${what} did not end in time.`);
  const timer = sleep().then(
    () => stop.abort(timeout),
    () => undefined,
  );
  try {
    return await task;
  } catch (error) {
    throw stop.signal.reason === timeout ? timeout : error;
  } finally {
    stop.abort();
    await timer;
  }
}

/** Repeats `work` as the state's Retry says. */
export async function withRetries(visit: Visit<TaskState | MapState>, work: () => Promise<Json>): Promise<Json> {
  const { state, frame } = visit;
  const retries = new Retries(state.Retry, frame.environment.random);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StatesError) || frame.signal.aborted) throw error;
      const delay = retries.delayAfter(error);
      frame.history.add(...(state.Type === 'Map' ? ['MapRunFailed', 'MapStateFailed'] : ['TaskFailed']));
      if (delay === undefined) throw error;
      await frame.environment.sleep(delay, frame.signal);
    }
  }
}
