/** What each type of state does with its effective input; https://states-language.net/spec.html#state-types. */
import { holds } from './choice.ts';
import { pool, tell, type Visit } from './frame.ts';
import { evaluate, parseExpression } from './intrinsics.ts';
import { runMap } from './map.ts';
import { get, parsePath } from './paths.ts';
import { checkSize, fill } from './payload.ts';
import { Retries } from './retry.ts';
import { type Json, type JsonObject, StatesError } from './types.ts';

/** The result of Pass, Task, Wait, Parallel and Map; ResultSelector and the paths are the interpreter's. */
export async function perform(visit: Visit, input: Json): Promise<Json> {
  const { name, state, context } = visit;
  const parameters = () =>
    state.Parameters === undefined ? input : fill(state.Parameters, { input, context }, `${name}.Parameters`);
  switch (state.Type) {
    case 'Pass':
      return state.Result ?? parameters();
    case 'Wait':
      return wait(visit, input);
    case 'Task':
      return runTask(visit, parameters());
    case 'Parallel':
      return runParallel(visit, parameters());
    case 'Map':
      return runMap(visit, input);
    default:
      return input;
  }
}

/** The state that a Choice leads to. */
export function choose({ name, state, context }: Visit, input: Json): string {
  const rule = state.Choices!.findIndex((choice, i) => holds(choice, { input, context }, `${name}.Choices[${i}]`));
  const next = rule < 0 ? state.Default : state.Choices![rule]!.Next;
  if (next === undefined) throw new StatesError('States.NoChoiceMatched', `No rule of "${name}" holds.`);
  return next;
}

/** The error that a Fail state ends the execution with. */
export function failure({ name, state, context }: Visit, input: Json): StatesError {
  const text = (field: 'ErrorPath' | 'CausePath'): string | undefined => {
    const path = state[field];
    if (path === undefined) return undefined;
    const value = evaluate(parseExpression(path, field), { input, context }, `${name}.${field}`);
    if (typeof value === 'string') return value;
    throw new StatesError('States.Runtime', `${name}.${field}: '${path}' must lead to a string.`);
  };
  return new StatesError(state.Error ?? text('ErrorPath') ?? 'States.Failed', state.Cause ?? text('CausePath'));
}

async function wait({ name, state, frame, context }: Visit, input: Json): Promise<Json> {
  const seconds = state.Seconds ?? get(parsePath(state.SecondsPath!, name), { input, context }, `${name}.SecondsPath`);
  if (!Number.isInteger(seconds) || (seconds as number) < 0)
    throw new StatesError('States.Runtime', `${name}.SecondsPath must lead to a whole number of seconds.`);
  await frame.environment.clock.sleep(seconds as number, frame.signal);
  return input;
}

async function runTask({ name, state, frame }: Visit, parameters: Json): Promise<Json> {
  const { history, environment } = frame;
  checkSize(parameters, `The input of "${name}"`);
  const synchronous = state.Resource!.endsWith('.sync');
  history.add('TaskScheduled', 'TaskStarted', ...(synchronous ? ['TaskSubmitted'] : []));
  const stop = new AbortController();
  const call = {
    resource: state.Resource!,
    parameters,
    state: name,
    items: frame.items,
    signal: AbortSignal.any([frame.signal, stop.signal]),
  };
  const task = environment.runTask(call);
  const result =
    state.TimeoutSeconds === undefined
      ? await task
      : await withTimeout(task, stop, `"${name}"`, () => environment.clock.sleep(state.TimeoutSeconds!, call.signal));
  history.add('TaskSucceeded');
  return result;
}

/** Waits for a task that timed out to stop, so that its process is gone before the state is retried. */
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

async function runParallel({ state, frame }: Visit, parameters: Json): Promise<Json> {
  const branches = state.Branches!;
  const outputs = new Array<Json>(branches.length);
  frame.history.add('ParallelStateStarted');
  await pool(branches.length, branches.length, frame.signal, async (index, signal) => {
    outputs[index] = await frame.run(branches[index]!, parameters, { ...frame, signal });
  });
  frame.history.add('ParallelStateSucceeded');
  return outputs;
}

/** Does `work` again as the state's Retry says; `$$.State.RetryCount` counts. */
export async function withRetries(visit: Visit, work: (visit: Visit) => Promise<Json>): Promise<Json> {
  const { state, frame } = visit;
  const retries = new Retries(state.Retry, frame.environment.random);
  for (let count = 0; ; count++) {
    const context = { ...visit.context, State: { ...(visit.context.State as JsonObject), RetryCount: count } };
    try {
      return await work({ ...visit, context });
    } catch (error) {
      if (!(error instanceof StatesError) || frame.signal.aborted) throw error;
      const delay = retries.delayAfter(error);
      frame.history.add(`${state.Type}Failed`);
      if (delay === undefined) throw error;
      tell(visit, 'retried', { error });
      await frame.environment.clock.sleep(delay, frame.signal);
    }
  }
}
