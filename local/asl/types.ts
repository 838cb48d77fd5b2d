/** The Amazon States Language as data: https://states-language.net/spec.html, query language JSONPath. */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export interface Machine {
  StartAt: string;
  States: Record<string, State>;
  /** For the whole execution. */
  TimeoutSeconds?: number;
}

export type State = TaskState | MapState | ChoiceState | SucceedState | FailState;

/** Fields of a Task or a Map; `validate` refuses those that are not supported in a Map. */
export interface WorkingState {
  Next?: string;
  End?: boolean;
  ResultSelector?: Json;
  ResultPath?: string | null;
  OutputPath?: string;
  Retry?: Retrier[];
  Catch?: Catcher[];
}

export interface TaskState extends WorkingState {
  Type: 'Task';
  Resource: string;
  Parameters?: Json;
  TimeoutSeconds?: number;
}

export interface MapState extends WorkingState {
  Type: 'Map';
  ItemProcessor: Machine & { ProcessorConfig: { Mode: 'INLINE' | 'DISTRIBUTED'; ExecutionType?: string } };
  ItemSelector?: Json;
  MaxConcurrency: number;
  /** Only in INLINE maps. */
  ItemsPath?: string;
  /** Only in DISTRIBUTED maps, like the label. */
  ItemReader?: { Resource: string; ReaderConfig: { InputType: string }; Parameters: Json };
  Label?: string;
}

export interface ChoiceState {
  Type: 'Choice';
  Choices: ChoiceRule[];
  Default: string;
}

export interface SucceedState {
  Type: 'Succeed';
}

/** Has either Error or ErrorPath. */
export interface FailState {
  Type: 'Fail';
  Error?: string;
  ErrorPath?: string;
  CausePath?: string;
}

export interface Retrier {
  ErrorEquals: string[];
  /** Seconds before the first retry; default 1. */
  IntervalSeconds?: number;
  /** Default 3; 0 means never. */
  MaxAttempts?: number;
  /** Default 2. */
  BackoffRate?: number;
  MaxDelaySeconds?: number;
  JitterStrategy?: 'FULL';
}

export interface Catcher {
  ErrorEquals: string[];
  Next: string;
  ResultPath?: string;
}

/** Has exactly one comparison. */
export interface ChoiceRule {
  Variable: string;
  BooleanEquals?: boolean;
  StringEquals?: string;
  Next: string;
}

/** A failure as the States Language knows it: a name that Retry and Catch match, and a text for people or programs. */
export class StatesError extends Error {
  override name = 'StatesError';
  readonly error: string;
  override readonly cause: string | undefined;
  constructor(error: string, cause?: string) {
    super(cause ? `${error}: ${cause}` : error);
    this.error = error;
    this.cause = cause;
  }
}

/** A definition that this interpreter would not run exactly as the States Language says. */
class UnsupportedDefinition extends Error {
  override name = 'UnsupportedDefinition';
}

/** @throws UnsupportedDefinition naming the state and the field. */
export function refuse(where: string, message: string): never {
  throw new UnsupportedDefinition(`State machine: ${where}: ${message}.`);
}

export interface TaskCall {
  resource: string;
  parameters: Json;
  state: string;
  /** The indices of the Map items it runs in, outermost first. */
  items: number[];
  /** Aborted when a sibling fails, the task times out or the whole run is stopped: clean up, then settle. */
  signal: AbortSignal;
}

/** Everything the interpreter needs from outside. */
export interface Environment {
  /** Runs a Task; throws {@link StatesError} for a failure the machine may handle, anything else ends the run. */
  runTask(call: TaskCall): Promise<Json>;
  /** Parses the JSON object `s3://bucket/key`, for a Map's ItemReader. Throws StatesError. */
  readJson(bucket: string, key: string): Promise<Json>;
  /** Rejects with the signal's reason when it is aborted. */
  sleep(seconds: number, signal: AbortSignal): Promise<void>;
  /** Uniform in [0, 1), for JitterStrategy FULL. */
  random(): number;
  onState?(event: StateEvent): void;
}

/** What happens to a state, with its input when it is entered or its output when it is exited. */
export type StateEvent =
  | { kind: 'entered' | 'exited'; state: string; payload: Json }
  | { kind: 'failed'; state: string };
