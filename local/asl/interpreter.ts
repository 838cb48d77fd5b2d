/**
 * Runs a state machine as specified by https://states-language.net/spec.html (JSONPath). Tasks, time and S3 are
 * injected; `validate` refuses what is not implemented before anything runs.
 */
import { choose } from './choice.ts';
import { type Frame, History, type Visit } from './frame.ts';
import { runMap } from './map.ts';
import { get, parsePath, put } from './paths.ts';
import { checkSize, fill } from './payload.ts';
import { catcherFor } from './retry.ts';
import { failure, runTask, withRetries, withTimeout } from './states.ts';
import {
  type Environment,
  type Json,
  type Machine,
  type MapState,
  type State,
  StatesError,
  type TaskState,
} from './types.ts';

export interface ExecutionOptions {
  name: string;
  /** Name of the state machine, for `$$.Execution.Id`. */
  machineName?: string;
  signal?: AbortSignal;
}

export interface Execution {
  output: Json;
  /** Events in the history of the execution itself; distributed Map children have their own. */
  events: number;
}

/**
 * Runs a validated machine from StartAt to its end.
 *
 * @throws the StatesError that the execution failed with, anything else that a task threw, or the signal's reason.
 */
export async function execute(
  machine: Machine,
  input: Json,
  environment: Environment,
  { name, machineName = 'local', signal = new AbortController().signal }: ExecutionOptions,
): Promise<Execution> {
  const history = new History();
  const stop = new AbortController();
  const frame: Frame = {
    environment,
    history,
    context: {
      Execution: { Id: `arn:aws:states:local:000000000000:execution:${machineName}:${name}`, Name: name },
    },
    signal: AbortSignal.any([signal, stop.signal]),
    items: [],
    run,
  };
  signal.throwIfAborted();
  checkSize(input, 'The input of the execution');
  history.add('ExecutionStarted');
  const work = run(machine, input, frame);
  const seconds = machine.TimeoutSeconds;
  const output =
    seconds === undefined
      ? await work
      : await withTimeout(work, stop, 'The execution', () => environment.sleep(seconds, frame.signal));
  history.add('ExecutionSucceeded');
  return { output, events: history.events };
}

async function run(machine: Machine, input: Json, frame: Frame): Promise<Json> {
  let name: string | undefined = machine.StartAt;
  let payload = input;
  while (name !== undefined) {
    frame.signal.throwIfAborted();
    const state: State = machine.States[name]!;
    const step: Step = await visitState(name, state, payload, frame);
    payload = step.output;
    name = step.next;
  }
  return payload;
}

interface Step {
  output: Json;
  next: string | undefined;
}

async function visitState(name: string, state: State, input: Json, frame: Frame): Promise<Step> {
  const visit: Visit = { name, state, frame };
  frame.history.add(`${state.Type}StateEntered`);
  frame.environment.onState?.({ kind: 'entered', state: name, payload: input });
  const step = await takeStep(visit, input);
  checkSize(step.output, `The output of "${name}"`);
  frame.history.add(`${state.Type}StateExited`);
  frame.environment.onState?.({ kind: 'exited', state: name, payload: step.output });
  return step;
}

async function takeStep(visit: Visit, input: Json): Promise<Step> {
  const { name, state, frame } = visit;
  try {
    switch (state.Type) {
      case 'Task':
        return { output: await produce({ name, state, frame }, input, runTask), next: state.Next };
      case 'Map':
        return { output: await produce({ name, state, frame }, input, runMap), next: state.Next };
      case 'Choice':
        return { output: input, next: choose({ name, state, frame }, input) };
      case 'Succeed':
        return { output: input, next: undefined };
      case 'Fail':
        throw failure({ name, state, frame }, input);
    }
  } catch (error) {
    if (!(error instanceof StatesError)) throw error;
    frame.environment.onState?.({ kind: 'failed', state: name });
    const catcher = frame.signal.aborted || !('Catch' in state) ? undefined : catcherFor(error, state.Catch);
    if (!catcher) throw error;
    const description: Json = { Error: error.error, ...(error.cause !== undefined && { Cause: error.cause }) };
    const path = parsePath(catcher.ResultPath ?? '$', `${name}.Catch.ResultPath`);
    return { output: put(path, input, description), next: catcher.Next };
  }
}

/**
 * Does the state's own work and applies ResultSelector, ResultPath and OutputPath, in the order of the specification.
 * Retry starts all of this again.
 */
function produce<S extends TaskState | MapState>(
  visit: Visit<S>,
  input: Json,
  work: (visit: Visit<S>, input: Json) => Promise<Json>,
): Promise<Json> {
  const { name, state, frame } = visit;
  const { context } = frame;
  return withRetries(visit, async () => {
    const result = checkSize(await work(visit, input), `The result of "${name}"`);
    const selected =
      state.ResultSelector === undefined
        ? result
        : fill(state.ResultSelector, { input: result, context }, `${name}.ResultSelector`);
    const combined =
      state.ResultPath === null ? input : put(parsePath(state.ResultPath ?? '$', 'ResultPath'), input, selected);
    return get(parsePath(state.OutputPath ?? '$', 'OutputPath'), { input: combined, context }, 'OutputPath');
  });
}
