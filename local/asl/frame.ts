import { type Environment, type Json, type JsonObject, type Machine, type State, StatesError } from './types.ts';

/** Most events in the history of one standard execution (Step Functions quotas). */
export const HISTORY_EVENTS = 25_000;

/** Counts the events that an execution's history would hold. */
export class History {
  events = 0;

  /** @throws StatesError States.Runtime beyond the quota. */
  add(...types: string[]): void {
    this.events += types.length;
    if (this.events > HISTORY_EVENTS)
      throw new StatesError(
        'States.Runtime',
        `The execution reached the maximum number of history events (${HISTORY_EVENTS}).`,
      );
  }
}

/** Where a state runs: which execution, which Map items, and how it is stopped. */
export interface Frame {
  environment: Environment;
  history: History;
  /** The context object `$$`. */
  context: JsonObject;
  signal: AbortSignal;
  /** Indices of the enclosing Map items, outermost first. */
  items: number[];
  /** Runs a nested machine; handed down so that the states' files need not import the interpreter. */
  run(machine: Machine, input: Json, frame: Frame): Promise<Json>;
}

/** One visit to a state. */
export interface Visit<S extends State = State> {
  name: string;
  state: S;
  frame: Frame;
}
