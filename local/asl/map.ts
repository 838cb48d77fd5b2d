/** The Map state; https://states-language.net/spec.html#map-state. */
import { type Frame, History, pool, tell, type Visit } from './frame.ts';
import { get, isObject, parsePath } from './paths.ts';
import { checkSize, fill } from './payload.ts';
import { type Json, type JsonObject, StatesError } from './types.ts';

/** An inline Map runs at most 40 iterations at once, a distributed one 10,000 children (Step Functions quotas). */
const INLINE_CONCURRENCY = 40;
const DISTRIBUTED_CONCURRENCY = 10_000;

/** @returns the items' outputs in the items' order; those of tolerated failures are left out. */
export async function runMap(visit: Visit, input: Json): Promise<Json> {
  const { name, state, frame } = visit;
  const items = await readItems(visit, input);
  const distributed = state.ItemProcessor!.ProcessorConfig?.Mode === 'DISTRIBUTED';
  tell(visit, 'items', { count: items.length });
  frame.history.add('MapStateStarted', ...(distributed ? ['MapRunStarted'] : []));

  const most = distributed ? DISTRIBUTED_CONCURRENCY : INLINE_CONCURRENCY;
  const outputs = new Array<Json | undefined>(items.length);
  let failures = 0;
  await pool(items.length, state.MaxConcurrency || most, frame.signal, async (index, signal) => {
    const context = { ...visit.context, Map: { Item: { Index: index, Value: items[index]! } } };
    const scope = { input, context };
    const selected =
      state.ItemSelector === undefined ? items[index]! : fill(state.ItemSelector, scope, `${name}.ItemSelector`);
    checkSize(selected, `Item ${index} of "${name}"`);
    const nested = { ...frame, context, signal, items: [...frame.items, index] };
    try {
      if (distributed) outputs[index] = await runChild(visit, selected, nested);
      else {
        frame.history.add('MapIterationStarted');
        outputs[index] = await frame.run(state.ItemProcessor!, selected, nested);
        frame.history.add('MapIterationSucceeded');
      }
    } catch (error) {
      if (!distributed || signal.aborted || !(error instanceof StatesError)) throw error;
      failures++;
      if (exceeds(visit, failures, items.length))
        throw new StatesError(
          'States.ExceedToleratedFailureThreshold',
          'The specified tolerated failure threshold was exceeded',
        );
    }
  });
  frame.history.add(...(distributed ? ['MapRunSucceeded'] : []), 'MapStateSucceeded');
  return outputs.filter((output) => output !== undefined);
}

/** Each item of a distributed Map is an execution of its own: own history, own name, no `$$.Map` inside. */
async function runChild({ state, name, frame }: Visit, input: Json, nested: Frame): Promise<Json> {
  const { Map: _, State: __, ...context } = nested.context as JsonObject & { Map: Json; State: Json };
  const parent = frame.context.Execution as { Id: string; Name: string };
  const index = nested.items[nested.items.length - 1]!;
  const label = state.Label ?? name.replace(/[^A-Za-z0-9-]/g, '').slice(0, 40);
  const execution = {
    Id: `${parent.Id}/${label}:${index}`,
    Input: input,
    Name: `${parent.Name}-${label}-${index}`,
    StartTime: new Date(frame.environment.clock.now()).toISOString(),
  };
  const history = new History();
  history.add('ExecutionStarted');
  const child = { ...nested, history, context: { ...context, Execution: execution } };
  const output = await frame.run(state.ItemProcessor!, input, child);
  history.add('ExecutionSucceeded');
  return output;
}

function exceeds({ state }: Visit, failures: number, items: number): boolean {
  const { ToleratedFailureCount: count, ToleratedFailurePercentage: percentage } = state;
  if (count === undefined && percentage === undefined) return failures > 0;
  return (
    (count !== undefined && failures > count) || (percentage !== undefined && (failures / items) * 100 > percentage)
  );
}

async function readItems({ name, state, frame, context }: Visit, input: Json): Promise<Json[]> {
  const scope = { input, context };
  const reader = state.ItemReader;
  if (!reader) {
    const items = get(parsePath(state.ItemsPath ?? '$', name), scope, 'ItemsPath');
    if (Array.isArray(items)) return items;
    throw new StatesError('States.Runtime', `Reference path "${state.ItemsPath ?? '$'}" must point to array.`);
  }
  const from = fill(reader.Parameters, scope, `${name}.ItemReader.Parameters`);
  if (!isObject(from) || typeof from.Bucket !== 'string' || typeof from.Key !== 'string')
    throw new StatesError('States.ItemReaderFailed', `${name}.ItemReader.Parameters: expected Bucket and Key.`);
  const items = await frame.environment.readJson(from.Bucket, from.Key);
  if (!Array.isArray(items))
    throw new StatesError('States.ItemReaderFailed', `s3://${from.Bucket}/${from.Key} is not a JSON array.`);
  return items.slice(0, reader.ReaderConfig?.MaxItems);
}
