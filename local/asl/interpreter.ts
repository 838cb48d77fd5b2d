/**
 * Runs a state machine as https://states-language.net/spec.html says (JSONPath). Tasks, time and S3 are injected; what
 * is not implemented is refused by `validate` before anything runs.
 */
import { type Frame, History, tell, type Visit } from './frame.ts';
import { get, parsePath, put, type Scope } from './paths.ts';
import { checkSize, fill } from './payload.ts';
import { catcherFor } from './retry.ts';
import { choose, failure, perform, withRetries, withTimeout } from './states.ts';
import { type Environment, type Json, type Machine, type State, StatesError } from './types.ts';

export interface ExecutionOptions {
  name: string;
  /** Of the state machine, for `$$.StateMachine`. */
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
 * @throws StatesError what the execution failed with; anything else that a task threw, or the abort's reason.
 */
export async function execute(
  machine: Machine,
  input: Json,
  environment: Environment,
  { name, machineName = 'local', signal = new AbortController().signal }: ExecutionOptions,
): Promise<Execution> {
  const account = 'arn:aws:states:local:000000000000';
  const history = new History();
  const stop = new AbortController();
  const frame: Frame = {
    environment,
    history,
    context: {
      Execution: {
        Id: `${account}:execution:${machineName}:${name}`,
        Input: input,
        Name: name,
        StartTime: new Date(environment.clock.now()).toISOString(),
      },
      StateMachine: { Id: `${account}:stateMachine:${machineName}`, Name: machineName },
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
      : await withTimeout(work, stop, 'The execution', () => environment.clock.sleep(seconds, frame.signal));
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
  const entered = new Date(frame.environment.clock.now()).toISOString();
  const context = { ...frame.context, State: { Name: name, EnteredTime: entered, RetryCount: 0 } };
  const visit: Visit = { name, state, frame, context };
  frame.history.add(`${state.Type}StateEntered`);
  tell(visit, 'entered', { payload: input });
  const step = await takeStep(visit, input);
  checkSize(step.output, `The output of "${name}"`);
  frame.history.add(`${state.Type}StateExited`);
  tell(visit, 'exited', { payload: step.output });
  return step;
}

async function takeStep(visit: Visit, input: Json): Promise<Step> {
  const { name, state, frame } = visit;
  const scope: Scope = { input, context: visit.context };
  try {
    if (state.Type === 'Fail') throw failure(visit, input);
    if (state.Type === 'Choice') {
      const effective = through(state.InputPath, scope, 'InputPath');
      const next = choose(visit, effective);
      return { output: through(state.OutputPath, { ...scope, input: effective }, 'OutputPath'), next };
    }
    const output = await withRetries(visit, (attempt) => produce(attempt, input));
    return { output, next: state.Next };
  } catch (error) {
    if (!(error instanceof StatesError)) throw error;
    tell(visit, 'failed', { error });
    const catcher = frame.signal.aborted ? undefined : catcherFor(error, state.Catch);
    if (!catcher) throw error;
    const description: Json = { Error: error.error, ...(error.cause !== undefined && { Cause: error.cause }) };
    const output =
      catcher.ResultPath === null
        ? input
        : put(parsePath(catcher.ResultPath ?? '$', `${name}.Catch.ResultPath`), input, description);
    return { output, next: catcher.Next };
  }
}

/** InputPath, the state's own work, ResultSelector, ResultPath, OutputPath: in this order, as the specification has it. */
async function produce(visit: Visit, input: Json): Promise<Json> {
  const { name, state, context } = visit;
  const effective = through(state.InputPath, { input, context }, 'InputPath');
  const result = checkSize(await perform(visit, effective), `The result of "${name}"`);
  // Only these types make a result; Wait and Succeed hand their effective input on.
  if (!['Pass', 'Task', 'Parallel', 'Map'].includes(state.Type))
    return through(state.OutputPath, { input: result, context }, 'OutputPath');
  const selected =
    state.ResultSelector === undefined
      ? result
      : fill(state.ResultSelector, { input: result, context }, `${name}.ResultSelector`);
  const combined =
    state.ResultPath === null ? input : put(parsePath(state.ResultPath ?? '$', 'ResultPath'), input, selected);
  return through(state.OutputPath, { input: combined, context }, 'OutputPath');
}

/** InputPath and OutputPath: null stands for an empty object. */
function through(path: string | null | undefined, scope: Scope, field: string): Json {
  return path === null ? {} : get(parsePath(path ?? '$', field), scope, field);
}
