import type { Environment, Json, JsonObject, Machine, State, StatesError } from './types.ts';
import { StatesError as Failure } from './types.ts';

/** Most events in the history of one standard execution (Step Functions quotas). */
export const HISTORY_EVENTS = 25_000;

/** Counts the events that an execution's history would hold. */
export class History {
  events = 0;

  /** @throws StatesError States.Runtime beyond the quota. */
  add(...types: string[]): void {
    this.events += types.length;
    if (this.events > HISTORY_EVENTS)
      throw new Failure(
        'States.Runtime',
        `The execution reached the maximum number of history events (${HISTORY_EVENTS}).`,
      );
  }
}

/** Where a state runs: which execution, which Map items, and how it is stopped. */
export interface Frame {
  environment: Environment;
  history: History;
  /** The context object `$$` without State, which each state adds. */
  context: JsonObject;
  signal: AbortSignal;
  /** Indices of the Map items around, outermost first. */
  items: number[];
  /** Runs a nested machine; handed down so that the states' files need not import the interpreter. */
  run(machine: Machine, input: Json, frame: Frame): Promise<Json>;
}

/** One visit of a state. */
export interface Visit {
  name: string;
  state: State;
  frame: Frame;
  /** The context object, State included. */
  context: JsonObject;
}

export function tell(
  { name, state, frame }: Visit,
  kind: 'entered' | 'items' | 'retried' | 'failed' | 'exited',
  details: { count?: number; payload?: Json; error?: StatesError } = {},
): void {
  const { environment, items } = frame;
  environment.onState?.({ kind, state: name, type: state.Type, items, time: environment.clock.now(), ...details });
}

/**
 * Runs `work` for 0 to count - 1, at most `limit` at once. After a failure the others are aborted; it is thrown when
 * all have settled, so that nothing runs on in the background.
 */
export async function pool(
  count: number,
  limit: number,
  parent: AbortSignal,
  work: (index: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([parent, stop.signal]);
  let next = 0;
  const worker = async () => {
    while (next < count && !signal.aborted) {
      try {
        await work(next++, signal);
      } catch (error) {
        stop.abort(error); // the first abort sets the reason, later ones change nothing
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker));
  signal.throwIfAborted();
}
